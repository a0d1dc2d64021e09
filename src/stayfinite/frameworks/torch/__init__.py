"""PyTorch: the guarded step, the eager step op by op, and its replay."""
