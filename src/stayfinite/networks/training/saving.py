"""Saving of a trained network in several formats, and a comparison with the loaded network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from stayfinite.errors import UsageError
from stayfinite.networks.training.folder import write_text

ROUNDING = 1e-5
# Samples that are saved with their predictions.
_SAMPLES = 8


def save(model: Any, folder: Path, name: str = "model") -> dict[str, Path]:
    """Save a network as one file, and as architecture and weights, without its optimizer.

    Args:
        model: A functional model of stock layers; the files load without stayfinite.
        folder: The folder to write to.
        name: Prefix of the file names.

    Returns:
        The paths under `"model"` (.keras), `"architecture"` (JSON) and `"weights"` (HDF5).
    """
    # A compiled model would also save its optimizer, and losses or metrics unknown to plain Keras.
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
    """Load the files of `save` and compare their predictions with those of the model.

    Args:
        model: The model that was saved.
        paths: The paths that `save` returned.
        batch: Inputs to predict on.

    Returns:
        The largest difference between two predictions; 0.0 if they are bit-identical.

    Raises:
        UsageError: If predictions are non-finite, or differ by more than rounding errors.
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
                f"the predictions of the network loaded from {source} differ by "
                f"{differences[-1]:.3g}"
            )
    return max(differences)


def saved_and_checked(model: Any, folder: Path, name: str, batch: Any) -> str:
    """Save and check; return "equal" or "equal up to ..." for the loaded predictions.

    `<name>.sample.npz` gets a few samples of the batch as `inputs` and the predictions as `outputs`
    for a comparison with a network that another process loads.
    """
    difference = check_saved(model, save(model, folder, name), batch)
    inputs = np.asarray(batch)[:_SAMPLES]
    outputs = np.asarray(model.predict_on_batch(inputs))
    np.savez(folder / f"{name}.sample.npz", inputs=inputs, outputs=outputs)
    return "equal" if difference == 0 else f"equal up to {difference:.1e}"
