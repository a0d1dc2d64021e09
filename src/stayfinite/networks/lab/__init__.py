"""Comparison of named configurations of a training: `stayfinite lab`."""
