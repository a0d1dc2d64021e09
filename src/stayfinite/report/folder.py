"""The incident on disk: JSON and safetensors only, so that a stranger's is safe to open.

incident-000812/
    incident.json              the incident (`stayfinite.incident/1`)
    batch.safetensors          the batch of the failing step, by leaf name
    state.safetensors          the whole state before it: weights, statistics, optimizer, seeds
    last_good.weights.h5       the last good weights, for plain `model.load_weights`
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from stayfinite.errors import UsageError
from stayfinite.incident import Incident
from stayfinite.report.json import render

INCIDENT = "incident.json"
WEIGHTS = "last_good.weights.h5"


@dataclass(frozen=True)
class Folder:
    """Where one incident lies. `weights` is None when they could not be written."""

    path: Path
    weights: Path | None


def create(
    keep: Path, step: int, model: Any, state: dict[str, np.ndarray], batch: dict[str, np.ndarray]
) -> Folder:
    """Write everything but the explanation, before anything else can go wrong.

    Raises:
        OSError: the folder cannot be written.
    """
    path = _fresh(keep, f"incident-{step:06d}")
    for name, arrays in (("batch", batch), ("state", state)):
        contiguous = {key: np.asarray(array, order="C") for key, array in arrays.items()}
        save_file(contiguous, path / f"{name}.safetensors")
    return Folder(path, _save_weights(model, path / WEIGHTS))


def write(path: Path, incident: Incident) -> None:
    """Write the incident into its folder."""
    (path / INCIDENT).write_text(render(incident) + "\n", encoding="utf-8")


def read(path: Path) -> Incident:
    """Read the incident in the folder `path`, or in its JSON file `path`.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    manifest = path / INCIDENT if path.is_dir() else path
    try:
        return Incident.from_json(json.loads(manifest.read_text(encoding="utf-8")))
    except OSError as error:
        reason = error.strerror
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise UsageError(
        f"{manifest}: {reason}; pass the folder of an incident, as printed at the end of its report"
    )


def _save_weights(model: Any, path: Path) -> Path | None:
    try:
        model.save_weights(path)
    except Exception:
        # A user's layer may not be savable; its values are in state.safetensors all the same.
        return None
    return path


def _fresh(keep: Path, name: str) -> Path:
    """A new folder; a run never writes over the incident of an earlier one."""
    keep.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = keep / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
            continue
        return path
