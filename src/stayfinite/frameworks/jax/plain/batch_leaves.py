"""What each array of a batch is: input, target, weight of the samples."""

from __future__ import annotations

import collections
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
    array of another length, such as a random key, has none. An argument whose arrays differ in
    length, such as the weights of a second network, comes after the others. The second array of a
    pair without names is its target.
    """
    length = _num_samples(names, shapes)
    short = _short(names)
    return [
        BatchLeaf(_role(name), shown, bool(shape) and shape[0] == length)
        for name, shown, shape in zip(names, short, shapes, strict=True)
    ]


def _num_samples(names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> int | None:
    arguments = [name.partition("/")[0] for name in names]
    lengths = {
        (argument, shape[0]) for argument, shape in zip(arguments, shapes, strict=True) if shape
    }
    num_lengths = collections.Counter(argument for argument, _ in lengths)
    tables = [
        (num_lengths[argument] > 1, shape[0])
        for argument, shape in zip(arguments, shapes, strict=True)
        if len(shape) > 1
    ]
    if tables:
        return min(tables, key=lambda table: table[0])[1]
    return next((shape[0] for shape in shapes if shape), None)


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
