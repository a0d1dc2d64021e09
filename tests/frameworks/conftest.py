"""Tests of one backend's inside are collected where that backend runs."""

from __future__ import annotations

import keras

BACKENDS = ("jax", "tensorflow", "torch")
collect_ignore_glob = [f"test_{n}_*.py" for n in BACKENDS if n != keras.backend.backend()]
