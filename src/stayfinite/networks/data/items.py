"""The files of a data set and their classes, read from a folder or a CSV list, and split.

A data set is a folder with one sub-folder for each class, or a CSV file with the columns `path` and
`label`. A file that cannot be used is reported as a `Problem` with its reason.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from stayfinite.errors import UsageError


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used, or only with a restriction, and the reason."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class Item:
    """One file; `label` is the index of its class in `Items.classes`."""

    path: Path
    label: int


@dataclass(frozen=True)
class Items:
    """The usable files of a data set in a fixed order, its classes, and the files left out."""

    classes: tuple[str, ...]
    items: tuple[Item, ...]
    problems: tuple[Problem, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.items)

    @property
    def labels(self) -> np.ndarray:
        """The label of each file, int64 of shape `(len(self),)`."""
        return np.array([item.label for item in self.items], "int64")

    def without(self, problems: Iterable[Problem]) -> Items:
        """Return a copy without the files of these problems, with the same classes."""
        found = tuple(problems)
        bad = {problem.path for problem in found}
        kept = tuple(item for item in self.items if item.path not in bad)
        return replace(self, items=kept, problems=self.problems + found)

    def only(self, positions: Sequence[int] | np.ndarray) -> Items:
        """Return a copy with the files at these positions, no problems and the same classes."""
        return replace(self, items=tuple(self.items[n] for n in positions), problems=())


@dataclass(frozen=True)
class DataSplit:
    """The files by their use. No file, or no class, has two uses.

    Args:
        training: Those that the weights are trained on.
        validation: Those that choose the epoch.
        test: Those of the reported figures, which have chosen nothing; None without.
    """

    training: Items
    validation: Items
    test: Items | None

    @classmethod
    def of(
        cls,
        items: Items,
        split: Callable[[Items, float, int], tuple[Items, Items]],
        validation: float,
        test: float,
        seed: int,
    ) -> DataSplit:
        """Split by files or by classes, with `split_files` or `split_classes`.

        Args:
            items: The files.
            split: The function that holds a share out.
            validation: Share for validation.
            test: Share of the others for the test; 0 for none.
            seed: Seed of the draw.

        Raises:
            UsageError: If there are too few.
        """
        others, chosen = split(items, validation, seed)
        if not test:
            return cls(others, chosen, None)
        training, kept = split(others, test, seed)
        return cls(training, chosen, kept)


def read_items(source: str | Path, suffixes: Collection[str]) -> Items:
    """List the files of a folder with one sub-folder for each class, or of a CSV list.

    Args:
        source: The folder; or a CSV file with the columns `path` and `label`. Relative paths in it
            start at the folder of the list.
        suffixes: Suffixes of the files, in lower case with the dot. Other files of a folder are
            problems, except hidden ones. Files in sub-folders of a class belong to the class.

    Raises:
        UsageError: If the source does not exist, cannot be read, or has no class.
    """
    source = Path(source)
    try:
        if source.is_dir():
            return _of_folder(source, suffixes)
        if source.is_file():
            return _of_list(source, suffixes)
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error
    raise UsageError(
        f"{source} does not exist; pass a folder with one sub-folder for each class, or a CSV list"
    )


def _of_folder(folder: Path, suffixes: Collection[str]) -> Items:
    parts = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not parts:
        raise UsageError(f"{folder} has no sub-folder; expected one sub-folder for each class")
    items: list[Item] = []
    problems: list[Problem] = []
    for label, part in enumerate(parts):
        try:
            files = sorted(p for p in part.rglob("*") if not p.is_dir() and _is_visible(p, part))
        except OSError as error:
            problems.append(Problem(part, f"cannot be listed: {error.strerror}"))
            continue
        for path in files:
            if path.suffix.lower() in suffixes:
                items.append(Item(path, label))
            else:
                problems.append(Problem(path, _not_wanted(path, suffixes)))
    return Items(tuple(part.name for part in parts), tuple(items), tuple(problems))


def _is_visible(path: Path, folder: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _of_list(source: Path, suffixes: Collection[str]) -> Items:
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"expected a CSV list in UTF-8, but {source} is not: {error}") from error
    rows = list(csv.DictReader(text.splitlines(), skipinitialspace=True))
    if not rows or not {"path", "label"} <= set(rows[0]):
        raise UsageError(
            f"expected the columns path and label, and at least one row, in {source}; received "
            f"{text.partition(chr(10))[0][:80]!r}"
        )
    problems: list[Problem] = []
    found: list[tuple[Path, str]] = []
    for row in rows:
        path, name = source.parent / (row["path"] or ""), (row["label"] or "").strip()
        if not name:
            problems.append(Problem(path, "has no label in the list"))
        elif path.suffix.lower() not in suffixes:
            problems.append(Problem(path, _not_wanted(path, suffixes)))
        else:
            found.append((path, name))
    classes = tuple(sorted({name for _, name in found}))
    if not classes:
        raise UsageError(f"no row of {source} names a file with one of {_listed(suffixes)}")
    items = tuple(Item(path, classes.index(name)) for path, name in found)
    return Items(classes, items, tuple(problems))


def _not_wanted(path: Path, suffixes: Collection[str]) -> str:
    return f"expected one of {_listed(suffixes)}, received {path.suffix or 'no suffix'}"


def _listed(suffixes: Collection[str]) -> str:
    return " ".join(sorted(suffixes))


def split_files(items: Items, fraction: float, seed: int) -> tuple[Items, Items]:
    """Split the files of each class into training and validation files.

    Args:
        items: The files.
        fraction: Share of the files of a class for validation, at least one file. The only file of
            a class is a training file.
        seed: Seed of the draw.

    Returns:
        The training files, with the problems of `items`, and the validation files.

    Raises:
        UsageError: If `fraction` is not between 0 and 1.
    """
    _check_fraction(fraction)
    rng = np.random.default_rng(seed)
    held: set[int] = set()
    for positions in _by_label(items).values():
        count = min(max(1, round(fraction * len(positions))), len(positions) - 1)
        held.update(rng.permutation(positions)[:count].tolist())
    return _parted(items, held)


def split_classes(items: Items, fraction: float, seed: int) -> tuple[Items, Items]:
    """Split the classes into those to train on and those to hold out.

    Args:
        items: The files.
        fraction: Share of the classes with two files to hold out, at least two classes.
        seed: Seed of the draw.

    Returns:
        The files of the training classes, with the problems of `items`, and the files held out.

    Raises:
        UsageError: If `fraction` is not between 0 and 1, or fewer than four classes have two files.
    """
    _check_fraction(fraction)
    sizes = Counter(item.label for item in items.items)
    able = sorted(label for label, count in sizes.items() if count > 1)
    count = max(2, round(fraction * len(able)))
    if len(able) - count < 2:
        raise UsageError(
            "expected at least 4 classes with two or more files, two to train on and two to hold "
            f"out; received {len(able)}"
        )
    chosen = set(np.random.default_rng(seed).permutation(able)[:count].tolist())
    return _parted(items, {n for n, item in enumerate(items.items) if item.label in chosen})


def _by_label(items: Items) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for position, item in enumerate(items.items):
        found[item.label].append(position)
    return found


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise UsageError(f"expected a fraction between 0 and 1 to hold out; received {fraction}")


def _parted(items: Items, held: set[int]) -> tuple[Items, Items]:
    every = range(len(items))
    training = items.only([n for n in every if n not in held])
    return replace(training, problems=items.problems), items.only(sorted(held))
