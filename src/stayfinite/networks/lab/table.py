"""The final figures of a lab, as CSV and as Markdown."""

from __future__ import annotations

from typing import Any

from stayfinite.networks.lab.result import REPORT, Result
from stayfinite.networks.lab.running import describe
from stayfinite.networks.lab.spec import Spec
from stayfinite.networks.training.folder import write_table, write_text

_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
COLUMNS = ("configuration", "status", "steps", "best epoch", *_FIGURES, "seconds", "report")


def write(spec: Spec, results: dict[str, Result]) -> None:
    """Write `table.csv` and `table.md` to the folder of the lab."""
    rows = [_row(spec, name, result) for name, result in results.items()]
    write_table(spec.out / "table.csv", COLUMNS, rows)
    lines = [" | ".join(COLUMNS), " | ".join("---" for _ in COLUMNS)]
    for row in rows:
        report = f"[report]({row['report']})" if row["report"] else ""
        cells = [*(_text(row[name]) for name in COLUMNS[:-1]), report]
        lines.append(" | ".join(cells))
    body = "".join(f"| {line} |\n" for line in lines)
    ends = "".join(f"- {name}: {describe(result)}\n" for name, result in results.items())
    write_text(spec.out / "table.md", f"# {spec.title}\n\n![curves](curves.png)\n\n{body}\n{ends}")


def _row(spec: Spec, name: str, result: Result) -> dict[str, Any]:
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


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
