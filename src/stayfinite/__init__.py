"""stayfinite: stops a training before a NaN reaches the weights, and explains its cause.

Importing this package imports no framework, chooses no backend and patches nothing. Every name
below is imported at its first use, because a script may set `KERAS_BACKEND` after the import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stayfinite import data, losses, metrics, models
    from stayfinite import notebook as notebook
    from stayfinite.checkpoints.counting import verify
    from stayfinite.errors import NonFiniteError, UsageError
    from stayfinite.guard.callback import Guard
    from stayfinite.guard.loop import guarded
    from stayfinite.guard.plain_torch import watching
    from stayfinite.incident import Incident
    from stayfinite.networks.models.freezing import freeze
    from stayfinite.report.folder import explain
    from stayfinite.saving.safe_checkpoint import SafeCheckpoint

__version__ = "0.1.0"

__all__ = [
    "Guard",
    "Incident",
    "NonFiniteError",
    "SafeCheckpoint",
    "UsageError",
    "__version__",
    "data",
    "explain",
    "freeze",
    "guarded",
    "losses",
    "metrics",
    "models",
    "verify",
    "watching",
]

_HOME = {
    "Guard": "stayfinite.guard.callback",
    "Incident": "stayfinite.incident",
    "NonFiniteError": "stayfinite.errors",
    "SafeCheckpoint": "stayfinite.saving.safe_checkpoint",
    "UsageError": "stayfinite.errors",
    "explain": "stayfinite.report.folder",
    "freeze": "stayfinite.networks.models.freezing",
    "guarded": "stayfinite.guard.loop",
    "load_ipython_extension": "stayfinite.notebook.extension",
    "unload_ipython_extension": "stayfinite.notebook.extension",
    "verify": "stayfinite.checkpoints.counting",
    "watching": "stayfinite.guard.plain_torch",
}
_ROOMS = ("data", "lightning", "losses", "metrics", "models", "notebook", "transformers")


def __getattr__(name: str) -> object:
    if name not in _ROOMS and name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        if name in _ROOMS:
            return importlib.import_module(f"{__name__}.{name}")
        value = getattr(importlib.import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "keras":
            raise
        raise ModuleNotFoundError(
            f"stayfinite.{name} needs Keras, which is not installed; run pip install keras",
            name="keras",
        ) from None
    # Stored, so that the next look-up finds an ordinary attribute.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
