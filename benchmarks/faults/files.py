"""What a run has left on disk, read without stayfinite."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import ml_dtypes  # noqa: F401 - gives NumPy the names of the narrow dtypes
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

_UNREADABLE = (OSError, ValueError, KeyError, SafetensorError)


def damaged_checkpoints(folder: Path) -> list[str]:
    """What is wrong with the checkpoints of `SafeCheckpoint` in `folder`."""
    return [f"{path.name}: {why}" for path in folder.glob("step-*") for why in _checkpoint(path)]


def newest_checkpoint(folder: Path) -> int:
    """The step of the newest checkpoint that is whole; 0 if there is none."""
    whole = [path.name for path in folder.glob("step-*") if not list(_checkpoint(path))]
    return max((int(name.removeprefix("step-")) for name in whole), default=0)


def damaged_incidents(folder: Path) -> list[str]:
    """What is wrong with the incidents in `folder`."""
    return [f"{path.name}: {why}" for path in folder.glob("incident-*") for why in _incident(path)]


def damaged_model(path: Path) -> list[str]:
    """What is wrong with a weights file of Keras, if there is one."""
    if not path.exists():
        return []
    try:
        bad = _not_finite(path)
    except _UNREADABLE as error:
        return [f"{path.name}: {error}"]
    return [f"{path.name}: {name} is not finite" for name in bad]


def damaged_json(path: Path) -> list[str]:
    """What is wrong with a JSON file, if there is one."""
    try:
        if path.exists():
            json.loads(path.read_text(encoding="utf-8"))
    except _UNREADABLE as error:
        return [f"{path.name}: {error}"]
    return []


def _checkpoint(path: Path) -> Iterator[str]:
    try:
        content = json.loads((path / "manifest.json").read_text(encoding="utf-8"))["content"]
        data = (path / "state.safetensors").read_bytes()
        if hashlib.sha256(data).hexdigest() != content["arrays_sha256"]:
            yield "the checksum is wrong"
        for name, raw in load_file(path / "state.safetensors").items():
            array = raw.view(np.dtype(content["dtypes"][name]))
            is_state = name.startswith(("trainable/", "non_trainable/", "optimizer/"))
            if is_state and array.dtype.kind == "f" and not np.isfinite(array).all():
                yield f"{name} is not finite"
    except _UNREADABLE as error:
        yield f"{type(error).__name__}: {error}"


def _incident(path: Path) -> Iterator[str]:
    try:
        incident = json.loads((path / "incident.json").read_text(encoding="utf-8"))
        json.loads((path / "replay.json").read_text(encoding="utf-8"))
        for name in ("batch", "state"):
            load_file(path / f"{name}.safetensors")
        if incident["kept"]["weights"] is not None:
            list(_not_finite(path / "last_good.weights.h5"))
    except _UNREADABLE as error:
        yield f"{type(error).__name__}: {error}"


def _not_finite(path: Path) -> list[str]:
    found: list[str] = []

    def visit(name: str, item: object) -> None:
        is_float = isinstance(item, h5py.Dataset) and item.dtype.kind == "f"
        if is_float and not np.isfinite(item[()]).all():
            found.append(name)

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found
