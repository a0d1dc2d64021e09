"""The images of a data set, each file once, sorted by class."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stayfinite.errors import UsageError
from stayfinite.networks.data.images import SUFFIXES, inspect_images
from stayfinite.networks.data.items import Item, Items, Problem, read_items


def image_items(source: Items | str | Path) -> Items:
    """The images of a folder or a CSV list, decoded once to find those that cannot be used.

    Args:
        source: As in `read_items`; or `Items`, whose files are then not looked at again.

    Returns:
        Each file once. One that is listed twice would be a positive of itself, and one that is in
        two classes a negative of itself; they are named in `problems`.

    Raises:
        UsageError: If no image is left, or as `read_items`.
    """
    if not isinstance(source, Items):
        source = inspect_images(read_items(source, SUFFIXES))
    items = _each_once(source)
    if not items.items:
        reasons = "; ".join(str(problem) for problem in items.problems[:3])
        raise UsageError(f"expected images; none can be used: {reasons or 'there is none'}")
    return items


def _each_once(items: Items) -> Items:
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items.items:
        found[os.path.abspath(item.path)].append(item)  # noqa: PTH100 - Path has no pure form of it
    kept: list[Item] = []
    problems: list[Problem] = []
    for first, *others in found.values():
        names = sorted({items.classes[item.label] for item in (first, *others)})
        if len(names) > 1:
            problems.append(Problem(first.path, f"it is in {len(names)} classes: {names}"))
            continue
        kept.append(first)
        if others:
            problems.append(Problem(first.path, "it is listed more than once, and used once"))
    return replace(items, items=tuple(kept), problems=items.problems + tuple(problems))


@dataclass(frozen=True)
class ByClass:
    """The files of `Items` in the order of their classes, as arrays to draw from.

    Class `c` has the files `paths[start[c] : start[c] + count[c]]`.
    """

    paths: tuple[Path, ...]
    labels: np.ndarray  # of each file, int64
    start: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, items: Items) -> ByClass:
        """Those of `items`; a class without files has the count 0."""
        order = np.argsort(items.labels, kind="stable")
        labels = items.labels[order]
        count = np.bincount(labels, minlength=len(items.classes))
        paths = tuple(items.items[n].path for n in order)
        return cls(paths, labels, np.cumsum(count) - count, count)

    def lone(self) -> list[Path]:
        """The files that are the only one of their class."""
        return [self.paths[n] for n in self.start[self.count == 1]]
