"""TensorFlow: the guarded step, the recording of its ops, and its replay."""
