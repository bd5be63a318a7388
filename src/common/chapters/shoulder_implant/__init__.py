"""What the chapter on shoulder implants computes, draws and tabulates."""
