"""Weights of a reference network from a file of Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load_weights(model: Any, weights: str | Path, expected: str) -> None:
    """Load the weights of `model`.

    Args:
        model: The network.
        weights: The file, as it was passed.
        expected: What `weights` may be, for the message.

    Raises:
        ValueError: there is no such file, or its weights are those of another network.
    """
    path = Path(weights)
    if not path.is_file():
        raise ValueError(f"`weights` {expected} Received: weights={str(weights)!r}")
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"`weights` must be those of this network ({model.name}, "
            f"{model.count_params():,} parameters). Received: weights={str(weights)!r}: {reason}"
        ) from error
