"""TensorFlow: the guarded step, its ops told one by one, and its replay."""
