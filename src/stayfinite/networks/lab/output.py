"""The curves of all configurations of a lab in one figure, and their final figures as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from stayfinite.networks.lab.running import REPORT, STEPS, LabResult, describe
from stayfinite.networks.lab.spec import Spec
from stayfinite.networks.training.figures import new_figure
from stayfinite.networks.training.folder import OutputFolder, read_table, write_table, write_text

# Column and scale of the panels with one point per step, and of those with one point per epoch.
OF_STEPS = (("loss", "log"), ("gradient_norm", "log"), ("weight_norm", "linear"))
OF_EPOCHS = (("val_loss", "log"), ("val_accuracy", "linear"))
_DASHES = ("-", "--", ":", "-.")


def draw_curves(spec: Spec, results: dict[str, LabResult]) -> Any:
    """Draw one panel per quantity, one line per configuration, and a cross at non-finite steps.

    In the SVG, a cross links to the report of the step, relative to the folder of the lab.
    """
    figure = new_figure(15, 8)
    figure.suptitle(spec.title)
    *panels, legend = figure.subplots(2, 3).ravel()
    for axes, (name, scale) in zip(panels, OF_STEPS + OF_EPOCHS, strict=True):
        axes.set(title=name.replace("_", " ").replace("val ", "validation "), yscale=scale)
        axes.set_xlabel("step" if (name, scale) in OF_STEPS else "epoch")
        axes.grid(alpha=0.3)
    for number, configuration in enumerate(spec.configurations):
        folder = spec.out / configuration.folder
        style = {"color": f"C{number % 10}", "linestyle": _DASHES[number // 10 % len(_DASHES)]}
        steps, epochs = read_table(folder / STEPS), read_table(OutputFolder(folder).history)
        bad = results[configuration.name].step
        for axes, (name, _) in zip(panels, OF_STEPS, strict=False):
            _line(axes, steps, "step", name, style)
            if bad is not None:
                _cross(axes, steps, name, bad, style, f"{configuration.folder}/{REPORT}")
        for axes, (name, _) in zip(panels[len(OF_STEPS) :], OF_EPOCHS, strict=True):
            _line(axes, epochs, "epoch", name, {**style, "marker": "."})
        legend.plot([], [], label=configuration.name, **style)
    legend.axis("off")
    legend.legend(loc="center", frameon=False)
    return figure


def _line(axes: Any, rows: Sequence[dict[str, float]], at: str, name: str, style: Any) -> None:
    points = [(row[at], row[name]) for row in rows if math.isfinite(row.get(name, math.nan))]
    if points:
        axes.plot(*zip(*points, strict=True), linewidth=1, **style)


def _cross(
    axes: Any, rows: Sequence[dict[str, float]], name: str, step: int, style: Any, link: str
) -> None:
    finite = [row[name] for row in rows if math.isfinite(row[name])]
    # At the last finite value, since a non-finite value has no position on an axis.
    place = axes.scatter(
        [step], [finite[-1] if finite else 1.0], marker="X", s=90, color=style["color"], zorder=3
    )
    place.set_urls([link])


_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
COLUMNS = ("configuration", "status", "steps", "best epoch", *_FIGURES, "seconds", "report")


def write_tables(spec: Spec, results: dict[str, LabResult]) -> None:
    """Write `table.csv` and `table.md` to the folder of the lab."""
    rows = table_rows(spec, results)
    write_table(spec.out / "table.csv", COLUMNS, rows)
    lines = [" | ".join(COLUMNS), " | ".join("---" for _ in COLUMNS)]
    for row in rows:
        report = f"[report]({row['report']})" if row["report"] else ""
        cells = [*(in_text(row[name]) for name in COLUMNS[:-1]), report]
        lines.append(" | ".join(cells))
    body = "".join(f"| {line} |\n" for line in lines)
    ends = "".join(f"- {name}: {describe(result)}\n" for name, result in results.items())
    write_text(spec.out / "table.md", f"# {spec.title}\n\n![curves](curves.png)\n\n{body}\n{ends}")


def table_rows(spec: Spec, results: dict[str, LabResult]) -> list[dict[str, Any]]:
    """The rows of the table, by `COLUMNS`; `report` is the path of a report, or empty."""
    return [_row(spec, name, result) for name, result in results.items()]


def _row(spec: Spec, name: str, result: LabResult) -> dict[str, Any]:
    folder = next(c.folder for c in spec.configurations if c.name == name)
    figures = {key: result.figures.get(key, "") for key in _FIGURES}
    return {
        "configuration": name,
        "status": result.status,
        "steps": result.num_steps,
        "best epoch": int(result.figures["epoch"]) if "epoch" in result.figures else "",
        **figures,
        "seconds": result.seconds,
        "report": f"{folder}/{REPORT}" if result.step is not None else "",
    }


def in_text(value: Any) -> str:
    """A cell of the table."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
