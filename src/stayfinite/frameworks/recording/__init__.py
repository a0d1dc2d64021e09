"""What TensorFlow and PyTorch share: a step run op by op, recorded as a `Trace`, and changed."""
