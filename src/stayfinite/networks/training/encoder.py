"""The encoder of a siamese training: the embedding on its backbone, and its preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

import stayfinite
from stayfinite.errors import UsageError
from stayfinite.networks.training.momentum import lower_momentum
from stayfinite.networks.training.settings import SiameseSettings

OWN_SUFFIX = ".keras"


def build_encoder(settings: SiameseSettings) -> Any:
    """Build the model from images to vectors.

    Raises:
        UsageError: If the backbone or its weights cannot be loaded, or the size does not fit.
    """
    if has_own_backbone(settings):
        return stayfinite.models.EmbeddingNetwork(
            _own_backbone(settings),
            embedding_dim=settings.embedding_dim,
            activation=settings.activation,
        )
    weights = None if settings.weights == "none" else settings.weights
    try:
        encoder = stayfinite.models.EmbeddingNetwork(
            settings.backbone,
            (settings.size, settings.size, 3),
            settings.embedding_dim,
            weights=weights,
            activation=settings.activation,
        )
    except Exception as error:
        # Keras downloads the weights here and raises exceptions of many kinds.
        raise UsageError(
            f"cannot build {settings.backbone} with --weights {settings.weights} at "
            f"--size {settings.size}: {_one_line(error)}"
        ) from error
    if weights is None:
        lower_momentum(encoder)
    return encoder


def has_own_backbone(settings: SiameseSettings) -> bool:
    """Whether the backbone is a file, not a name in `keras.applications`."""
    return settings.backbone.endswith(OWN_SUFFIX)


def shown(settings: SiameseSettings) -> dict[str, Any]:
    """Return the options of an image data set for this backbone: `size` and `preprocess`."""
    size = (settings.size, settings.size)
    if has_own_backbone(settings):
        return {"size": size, "preprocess": _as_they_are}
    return {
        "size": size,
        "preprocess": stayfinite.models.preprocess_input(settings.backbone),
    }


def _own_backbone(settings: SiameseSettings) -> Any:
    path = Path(settings.backbone)
    if not path.is_file():
        raise UsageError(f"cannot read the backbone {path}: there is no such file")
    if settings.weights not in ("imagenet", "none"):
        raise UsageError(
            f"--weights {settings.weights} is for a network of keras.applications; the backbone "
            f"{path} has its own weights: leave --weights out"
        )
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:
        # Keras raises exceptions of many kinds, for a damaged archive or an unknown layer.
        raise UsageError(f"cannot load the backbone {path}: {_one_line(error)}") from error
    expected = (None, settings.size, settings.size, 3)
    received = tuple(getattr(model, "input_shape", ()))
    fits = len(received) == len(expected) and all(
        r is None or r == e for r, e in zip(received, expected, strict=True)
    )
    if not fits:
        raise UsageError(
            f"expected a backbone that takes images of shape {expected}; received {path}, which "
            f"takes {received}: pass another --size"
        )
    return model


def _as_they_are(images: np.ndarray) -> np.ndarray:
    return images


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
