"""The network of a siamese training: the embedding on its backbone, and what shows images to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

import stayfinite
from stayfinite.errors import UsageError
from stayfinite.networks.training.settings import SiameseSettings

OWN_SUFFIX = ".keras"
_MOMENTUM = 0.9


def build_encoder(settings: SiameseSettings) -> Any:
    """The model from images to vectors.

    Raises:
        UsageError: If the backbone or its weights cannot be had, or are of another size.
    """
    if has_own_backbone(settings):
        return stayfinite.models.EmbeddingNetwork(
            _own_backbone(settings), embedding_dim=settings.embedding_dim
        )
    weights = None if settings.weights == "none" else settings.weights
    try:
        encoder = stayfinite.models.EmbeddingNetwork(
            settings.backbone,
            (settings.size, settings.size, 3),
            settings.embedding_dim,
            weights=weights,
        )
    except Exception as error:
        # Keras downloads the weights here, and has an exception of its own for each way to fail.
        raise UsageError(
            f"cannot build {settings.backbone} with --weights {settings.weights} at "
            f"--size {settings.size}: {_first_words(error)}"
        ) from error
    if weights is None:
        _follow_soon(encoder)
    return encoder


def has_own_backbone(settings: SiameseSettings) -> bool:
    """Whether the backbone is a file and not a name in `keras.applications`."""
    return settings.backbone.endswith(OWN_SUFFIX)


def shown(settings: SiameseSettings) -> dict[str, Any]:
    """How images are made ready for the backbone: options of the data sets of images."""
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
        # A damaged archive, a layer that is not registered: Keras raises many kinds.
        raise UsageError(f"cannot load the backbone {path}: {_first_words(error)}") from error
    expected = (None, settings.size, settings.size, 3)
    received = tuple(getattr(model, "input_shape", ()))
    fits = len(received) == len(expected) and all(
        r is None or r == e for r, e in zip(received, expected, strict=True)
    )
    if not fits:
        raise UsageError(
            f"expected a backbone that takes images of shape {expected}; received {path}, which "
            f"takes {received}: give another --size"
        )
    return model


def _follow_soon(encoder: Any) -> None:
    """Let moving statistics follow within some tens of steps.

    Random weights change fast. With the momentum 0.999 of MobileNetV2 their statistics are those of
    a network of a thousand steps ago, and its vectors in inference are worth nothing.
    """
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, _MOMENTUM)


def _as_they_are(images: np.ndarray) -> np.ndarray:
    return images


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
