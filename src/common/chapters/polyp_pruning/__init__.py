"""The chapter on pruning a polyp U-Net."""
