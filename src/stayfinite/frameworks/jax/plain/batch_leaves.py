"""What each array of a batch is: input, target, weight of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.graph.graph import Role

_TARGETS = {"y", "label", "labels", "target", "targets", "y_true", "ys"}
_WEIGHTS = {"mask", "sample_weight", "sample_weights", "weight", "weights"}


@dataclass(frozen=True)
class BatchLeaf:
    """One array of a batch without its values."""

    role: Role
    name: str
    has_samples: bool


def batch_leaves(names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> list[BatchLeaf]:
    """The arrays of a batch with these names, as `batch/image`.

    The samples are those of the first array of two axes or more, else of the first with an axis; an
    array of another length, such as a random key, has none. The second array of a pair without
    names is its target.
    """
    sized = [shape for shape in shapes if len(shape) > 1] or [shape for shape in shapes if shape]
    length = sized[0][0] if sized else None
    short = _short(names)
    return [
        BatchLeaf(_role(name), shown, bool(shape) and shape[0] == length)
        for name, shown, shape in zip(names, short, shapes, strict=True)
    ]


def _role(name: str) -> Role:
    last = name.rpartition("/")[2].lower()
    if last in _TARGETS or (last == "1" and "/" in name):
        return "target"
    return "sample_weight" if last in _WEIGHTS else "input"


def _short(names: Sequence[str]) -> list[str]:
    """The last key of each name where these are words and differ, as in a dict; else `batch[0]`."""
    last = [name.rpartition("/")[2] for name in names]
    if len(set(last)) == len(last) and not any(key.isdigit() for key in last):
        return last
    shown = []
    for name in names:
        first, *keys = name.split("/")
        shown.append(first + "".join(f"[{key}]" if key.isdigit() else f"[{key!r}]" for key in keys))
    return shown
