"""Checkpoint files: the tensors of a file, whatever wrote it, and their non-finite values.

The files are read without a framework, a model or pickle, and in blocks: a checkpoint may be
larger than memory, and may come from a stranger.
"""
