"""The only rooms that import a framework: one folder a backend behind the seam of `base`."""
