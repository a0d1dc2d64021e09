"""Saving a trained network in the forms people load it from, and loading them back to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from stayfinite.errors import UsageError
from stayfinite.networks.training.folder import write_text

ROUNDING = 1e-5


def save(model: Any, folder: Path, name: str = "model") -> dict[str, Path]:
    """Save a network whole, and its architecture and weights apart, without its optimizer.

    Args:
        model: A functional model of stock layers; the files load without stayfinite.
        folder: Where to.
        name: Begins the names of the files.

    Returns:
        The paths under `"model"` (.keras), `"architecture"` (JSON) and `"weights"` (HDF5).
    """
    # What a compiled model saves besides is an optimizer nobody needs to predict with, and perhaps
    # a loss or metric that plain Keras does not know.
    bare = keras.Model(model.input, model.output, name=model.name)
    paths = {
        "model": folder / f"{name}.keras",
        "architecture": folder / f"{name}.architecture.json",
        "weights": folder / f"{name}.weights.h5",
    }
    bare.save(paths["model"])
    write_text(paths["architecture"], bare.to_json())
    bare.save_weights(paths["weights"])
    return paths


def check_saved(model: Any, paths: dict[str, Path], batch: Any) -> float:
    """Load what `save` wrote, and hold its predictions against those of the model.

    Args:
        model: The model that was saved.
        paths: What `save` returned.
        batch: Inputs to predict on.

    Returns:
        The largest difference between two predictions; 0.0 where they are equal bit for bit.

    Raises:
        UsageError: If predictions are not finite, or differ by more than rounding.
    """
    expected = np.asarray(model.predict_on_batch(batch))
    if not np.isfinite(expected).all():
        raise UsageError(f"the predictions of {paths['model']} are not finite")
    architecture = paths["architecture"].read_text(encoding="utf-8")
    rebuilt = keras.models.model_from_json(architecture)
    rebuilt.load_weights(paths["weights"])
    loaded = keras.saving.load_model(paths["model"])
    differences = []
    for again, source in ((loaded, paths["model"]), (rebuilt, paths["weights"])):
        found = np.asarray(again.predict_on_batch(batch))
        differences.append(float(np.max(np.abs(found - expected))))
        if not differences[-1] <= ROUNDING * max(1.0, float(np.max(np.abs(expected)))):
            raise UsageError(
                f"{source} does not load back to equal predictions: they differ by "
                f"{differences[-1]:.3g}"
            )
    return max(differences)


def saved_and_checked(model: Any, folder: Path, name: str, batch: Any) -> str:
    """`save`, then `check_saved`: how equal the predictions are, in words."""
    difference = check_saved(model, save(model, folder, name), batch)
    return "equal" if difference == 0 else f"equal up to {difference:.1e}"
