"""Checkpoints on disk: folders that are whole or not there.

    step-000000001500/
        state.safetensors   every array
        manifest.json       everything else, and the SHA-256 of both
        bad-step            only if a training had a bad step at once after it: the step

A folder is written under another name, synced and renamed. No pickle.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors.numpy import load

from stayfinite.files.arrays import write_arrays
from stayfinite.files.writing import folder_beside, put_folder

SCHEMA = "stayfinite.checkpoint/2"

_ARRAYS, _MANIFEST, _MARK = "state.safetensors", "manifest.json", "bad-step"
_NAME = re.compile(r"step-\d{12,}")


class BadCheckpoint(ValueError):
    """A checkpoint that is not whole; the message says why."""


@dataclass(frozen=True)
class Checkpoint:
    """The whole state of a training.

    Attributes:
        step: Steps made before it.
        arrays: By name.
        facts: Values of JSON.
    """

    step: int
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


def newest_first(directory: Path) -> Iterator[Path]:
    """The checkpoints of `directory`, whether good or not."""
    if directory.is_dir():
        yield from sorted(
            (path for path in directory.iterdir() if _NAME.fullmatch(path.name)),
            key=lambda path: int(path.name.removeprefix("step-")),
            reverse=True,
        )


def path_of(directory: Path, step: int) -> Path:
    """The folder of the checkpoint of `step`."""
    return directory / f"step-{step:012d}"


def mark(path: Path, bad_step: int) -> None:
    """Note that a training had a bad step at once after this checkpoint.

    Its numbers are finite, and may be the reason: a moment so large that the next update overflows.
    A checkpoint that is written in its place has no mark.

    Raises:
        OSError: The mark could not be written.
    """
    if path.is_dir():
        (path / _MARK).write_text(f"{bad_step}\n", encoding="utf-8")


def is_marked(path: Path) -> bool:
    """Whether `mark` was called for this checkpoint."""
    return (path / _MARK).exists()


def write(directory: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write `checkpoint`, then delete all but the newest `keep` that are not newer than it.

    Those of later steps are deleted, too: the training has gone back behind them.

    Raises:
        OSError: It could not be written; the others are unchanged.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = path_of(directory, checkpoint.step)
    # One name for all, so that each deletes what a killed process has left.
    with folder_beside(directory / "step") as folder:
        new = folder / path.name
        new.mkdir()
        _write_files(new, checkpoint)
        put_folder(new, path, replaces=True)
        # Moved at once and deleted there, so that none is found half deleted after a kill.
        for other in _superseded(directory, checkpoint.step, keep):
            with contextlib.suppress(OSError):
                other.replace(folder / other.name)
    return path


def _superseded(directory: Path, step: int, keep: int) -> list[Path]:
    paths = list(newest_first(directory))
    newer = [path for path in paths if int(path.name.removeprefix("step-")) > step]
    return [*newer, *paths[len(newer) + keep :]]


def _write_files(folder: Path, checkpoint: Checkpoint) -> None:
    dtypes = {name: str(array.dtype) for name, array in checkpoint.arrays.items()}
    shapes = {name: list(array.shape) for name, array in checkpoint.arrays.items()}
    # As bytes, because safetensors does not have each dtype.
    data = {
        name: np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        for name, array in checkpoint.arrays.items()
    }
    write_arrays(folder / _ARRAYS, data)
    content = {
        "step": checkpoint.step,
        "facts": checkpoint.facts,
        "dtypes": dtypes,
        "shapes": shapes,
        "arrays_sha256": _sha256_of(folder / _ARRAYS),
    }
    manifest = {"schema": SCHEMA, "content": content, "content_sha256": _sha256(content)}
    text = json.dumps(manifest, allow_nan=False, separators=(",", ":"))
    (folder / _MANIFEST).write_text(text, encoding="utf-8")


def read(path: Path) -> Checkpoint:
    """Read a checkpoint, and compare what is read with its checksums.

    Raises:
        BadCheckpoint: It is not whole.
    """
    try:
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["schema"] != SCHEMA:
            raise BadCheckpoint(f"its schema is {manifest['schema']!r}, {SCHEMA!r} was expected")
        content = manifest["content"]
        if manifest["content_sha256"] != _sha256(content):
            raise BadCheckpoint(f"the checksum of {_MANIFEST} is wrong")
        data = (path / _ARRAYS).read_bytes()
        if hashlib.sha256(data).hexdigest() != content["arrays_sha256"]:
            raise BadCheckpoint(f"the checksum of {_ARRAYS} is wrong")
        arrays = {
            name: _array(raw, content["dtypes"][name], content["shapes"][name])
            for name, raw in load(data).items()
        }
        return Checkpoint(int(content["step"]), arrays, dict(content["facts"]))
    except BadCheckpoint:
        raise
    except OSError as error:
        raise BadCheckpoint(f"{error.strerror or error}") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadCheckpoint(f"it is damaged ({type(error).__name__})") from error


def _array(raw: np.ndarray, dtype: str, shape: list[int]) -> np.ndarray:
    known = hasattr(ml_dtypes, dtype)
    kind = np.dtype(getattr(ml_dtypes, dtype)) if known else np.dtype(dtype)
    return np.frombuffer(raw.tobytes(), kind).reshape(shape).copy()


def _sha256(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
