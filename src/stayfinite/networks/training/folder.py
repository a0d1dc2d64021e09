"""The output folder of a training: the names of its files, and their atomic writing."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stayfinite.errors import UsageError
from stayfinite.networks.data.items import Problem

Row = dict[str, float | int | str]


@dataclass(frozen=True)
class OutputFolder:
    """The output folder of a training."""

    root: Path

    def make(self) -> None:
        """Create the folder and its parents.

        Raises:
            UsageError: If it cannot be created.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write to {self.root}: {error.strerror}") from error

    @property
    def history(self) -> Path:
        """The history: one row for each epoch."""
        return self.root / "history.csv"

    @property
    def problems(self) -> Path:
        """The files that were left out, with the reason."""
        return self.root / "problems.csv"

    @property
    def classes(self) -> Path:
        """The names of the classes, in the order of the network's outputs."""
        return self.root / "classes.json"

    @property
    def progress(self) -> Path:
        """The progress of the training, and the name of the file with model and optimizer."""
        return self.root / "progress.json"

    @property
    def best_weights(self) -> Path:
        """The weights of the best epoch."""
        return self.root / "best.weights.h5"

    @property
    def page(self) -> Path:
        """The page of the training, or of the lab."""
        return self.root / "index.html"

    @property
    def incidents(self) -> Path:
        """The folder of incidents."""
        return self.root / "incidents"

    def figure(self, name: str) -> tuple[Path, Path]:
        """Return the paths of a figure, as PNG and SVG."""
        return self.root / f"{name}.png", self.root / f"{name}.svg"


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: an interruption leaves the old file or the new one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON atomically."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file atomically; missing values are empty cells."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, restval="", extrasaction="raise")
        table.writeheader()
        table.writerows(rows)
    partial.replace(path)


def read_table(path: Path) -> list[dict[str, Any]]:
    """Read a CSV file of numbers as rows without their empty cells; none if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {name: _number(cell) for name, cell in row.items() if cell}
            for row in csv.DictReader(file)
        ]


def _number(cell: str) -> int | float:
    return int(cell) if cell.isdigit() else float(cell)


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write the list of files that were left out; without problems, remove it."""
    if not problems:
        path.unlink(missing_ok=True)
        return
    rows = [{"path": str(problem.path), "reason": problem.reason} for problem in problems]
    write_table(path, ["path", "reason"], rows)
