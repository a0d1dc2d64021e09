"""The figures of a training, each written as PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from stayfinite.errors import UsageError
from stayfinite.networks.training.folder import Row

# Panels that come first. Each is drawn together with its `val_` column.
_LOSSES = ("loss",)
_APART = ("epoch", "phase", "seconds", "learning_rate")
# Largest number of classes with readable names.
MOST_NAMED = 40


def new_figure(width: float, height: float) -> Any:
    """Create a matplotlib figure of this size in inches; no display is needed.

    Raises:
        UsageError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("figures need matplotlib: pip install 'stayfinite[train]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def write_figure(figure: Any, paths: Sequence[Path]) -> None:
    """Write a figure to each path, in the format of its suffix."""
    for path in paths:
        figure.savefig(path, dpi=150)


def curves(rows: Sequence[Row], title: str) -> Any:
    """Draw loss, metrics and learning rate over the epochs, of training and validation."""
    names = [
        name
        for name in dict.fromkeys(name for row in rows for name in row)
        if name not in _APART and not name.startswith("val_")
    ]
    panels = sorted(names, key=lambda name: name not in _LOSSES)
    if any("learning_rate" in row for row in rows):
        panels.append("learning_rate")
    figure = new_figure(4.2 * max(1, len(panels)), 3.6)
    figure.suptitle(title)
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("epoch")
        for key, label, style in ((name, "training", "-"), (f"val_{name}", "validation", "--")):
            points = [(row["epoch"], row[key]) for row in rows if key in row]
            if points:
                axes.plot(*zip(*points, strict=True), style, marker=".", label=label)
        if name == "learning_rate":
            axes.set_yscale("log")
        elif axes.lines:
            axes.legend(frameon=False)
        _mark_phases(axes, rows)
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _mark_phases(axes: Any, rows: Sequence[Row]) -> None:
    for before, row in pairwise(rows):
        if row.get("phase") != before.get("phase"):
            axes.axvline(float(row["epoch"]) - 0.5, color="0.6", linewidth=0.8)


def confusion(matrix: np.ndarray, classes: Sequence[str], title: str) -> Any:
    """Draw a confusion matrix with one row for each true class, coloured by the share.

    Args:
        matrix: Counts of shape `(classes, classes)`, true classes first.
        classes: Names of the classes.
        title: Title of the figure.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = min(4 + 0.35 * len(classes), 20)
    figure = new_figure(side + 1, side)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class")
    axes.set(title=title, xlabel="predicted", ylabel="true")
    if len(classes) <= MOST_NAMED:
        places = range(len(classes))
        axes.set_xticks(places, classes, rotation=90)
        axes.set_yticks(places, classes)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            count = str(matrix[row, column])
            axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=7)
    return figure


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pairs of true and predicted labels: `(num_classes, num_classes)`, true first."""
    matrix = np.zeros((num_classes, num_classes), "int64")
    np.add.at(matrix, (labels, predicted), 1)
    return matrix
