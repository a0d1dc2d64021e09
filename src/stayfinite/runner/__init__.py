"""Runs a script as Python does, with every training guarded."""
