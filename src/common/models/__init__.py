"""What is new in each paper: networks, losses, balancing; everything else comes from MONAI."""
