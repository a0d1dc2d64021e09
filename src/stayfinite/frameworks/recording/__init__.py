"""What TensorFlow and PyTorch share: a step run op by op, recorded as a `Graph`, and changed."""
