"""The page of a lab: the table of its configurations, and their curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stayfinite.networks.lab.output import COLUMNS, OF_EPOCHS, OF_STEPS, in_text, table_rows
from stayfinite.networks.lab.running import STEPS, LabResult
from stayfinite.networks.lab.spec import Spec
from stayfinite.networks.training.folder import OutputFolder, read_table, write_text
from stayfinite.networks.training.page import title_of
from stayfinite.pages.curves import Curve, CurvePanel, DataTable, Link, curves_page


def write_page(spec: Spec, results: dict[str, LabResult]) -> None:
    """Write `index.html` to the folder of the lab."""
    rows = [
        [*(in_text(row[name]) for name in COLUMNS[:-1]), _report(spec, row["report"])]
        for row in table_rows(spec, results)
    ]
    table = DataTable("Configurations", [title_of(column) for column in COLUMNS], rows)
    page = curves_page(spec.title, "lab", list(_panels(spec, results)), [table])
    write_text(OutputFolder(spec.out).page, page)


def _report(spec: Spec, path: str) -> str | Link:
    """The link to the report of a bad step: to its page where there is one."""
    if not path:
        return ""
    incidents = OutputFolder((spec.out / path).parent).incidents
    found = max(
        incidents.glob("*/incident.html"), key=lambda page: page.stat().st_mtime_ns, default=None
    )
    return Link("report", path if found is None else found.relative_to(spec.out).as_posix())


def _panels(spec: Spec, results: dict[str, LabResult]) -> Iterator[CurvePanel]:
    """A panel for each quantity of a step, and for each of an epoch."""
    for unit, quantities in (("step", OF_STEPS), ("epoch", OF_EPOCHS)):
        for quantity, _ in quantities:
            curves = [
                _curve(spec, name, folder, unit, quantity, result)
                for name, folder, result in _configurations(spec, results)
            ]
            yield CurvePanel(title_of(quantity), unit, curves)


def _configurations(
    spec: Spec, results: dict[str, LabResult]
) -> Sequence[tuple[str, OutputFolder, LabResult]]:
    return [
        (each.name, OutputFolder(spec.out / each.folder), results[each.name])
        for each in spec.configurations
    ]


def _curve(
    spec: Spec, name: str, folder: OutputFolder, unit: str, quantity: str, result: LabResult
) -> Curve:
    rows = read_table(folder.root / STEPS if unit == "step" else folder.history)
    points = [(float(row[unit]), float(row[quantity])) for row in rows if quantity in row]
    ends = [float(result.step)] if unit == "step" and result.step is not None else []
    return Curve(name, points, ends)
