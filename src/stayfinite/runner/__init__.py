"""Runs a script exactly as Python does, with every `keras.Model` guarded."""
