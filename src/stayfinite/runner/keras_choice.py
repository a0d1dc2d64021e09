"""Which backend Keras was asked for, and whether that is why it could not be imported."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

_TRAINING = ("jax", "tensorflow", "torch")
_KNOWN = (*_TRAINING, "numpy", "openvino")


def reason_of(error: BaseException) -> str | None:
    """One line where `error` ended the import of Keras because of its backend; else None.

    Only asked once the program has ended: it may catch the error and choose another backend.
    """
    if not isinstance(error, ImportError | ValueError) or "keras" in sys.modules:
        return None
    name = _chosen()
    expected = ", ".join(_TRAINING[:-1]) + f" or {_TRAINING[-1]}"
    if name not in _KNOWN:
        return f"Keras has no backend {name!r}; set KERAS_BACKEND to {expected}"
    if not _is_installed(name):
        return (
            f"the Keras backend {name!r} is not installed; run pip install {name}, or set "
            f"KERAS_BACKEND to another of {expected}"
        )
    return None


def _chosen() -> str:
    """As Keras chooses: the environment, then its configuration file, then TensorFlow."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = os.environ.get("KERAS_HOME") or str(Path.home() / ".keras")
    try:
        config = json.loads((Path(home) / "keras.json").read_text(encoding="utf-8"))
        return str(config.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):
        return "tensorflow"


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
