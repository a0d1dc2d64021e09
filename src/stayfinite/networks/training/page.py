"""The page of a training: its best epoch, its curves and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stayfinite.networks.training.folder import OutputFolder, Row, write_text
from stayfinite.pages.curves import Curve, CurvePanel, DataTable, Picture, curves_page

# Columns of the history that are no quantity.
APART = ("epoch", "phase", "seconds")


def title_of(column: str) -> str:
    """The name of a column of a history as a heading: `validation loss` for `val_loss`."""
    return column.replace("val_", "validation ", 1).replace("_", " ")


def write_page(
    folder: OutputFolder,
    title: str,
    rows: Sequence[Row],
    best: Mapping[str, float | int | str],
    figures: Sequence[str],
) -> None:
    """Write `index.html`.

    Args:
        folder: The folder of the training.
        title: The heading.
        rows: The history.
        best: The row of the best epoch.
        figures: Names of the figures in the folder that are shown.
    """
    names = dict.fromkeys(name.removeprefix("val_") for row in rows for name in row)
    panels = [_panel(name, rows) for name in names if name not in APART]
    cells = [[title_of(name), _text(value)] for name, value in best.items()]
    table = DataTable("Best epoch", ("quantity", "value"), cells)
    pictures = [Picture(name.capitalize(), folder.figure(name)[0]) for name in figures]
    write_text(folder.page, curves_page(title, "training", panels, [table], pictures))


def _panel(name: str, rows: Sequence[Row]) -> CurvePanel:
    curves = []
    for label, column in (("training", name), ("validation", f"val_{name}")):
        points = [(float(row["epoch"]), float(row[column])) for row in rows if column in row]
        if points:
            curves.append(Curve(label, points))
    return CurvePanel(title_of(name), "epoch", curves)


def _text(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
