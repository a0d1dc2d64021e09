"""Runs a script exactly as Python does, with every `keras.Model` in it guarded."""
