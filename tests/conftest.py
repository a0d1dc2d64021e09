"""Settings of every test."""

from __future__ import annotations

import os

# The suite runs once per backend, each in a process of its own; this is the one without a choice.
os.environ.setdefault("KERAS_BACKEND", "jax")
