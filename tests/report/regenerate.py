"""Writes the golden reports anew: `python -m tests.report.regenerate`. Read the diff as prose."""

from __future__ import annotations

from pathlib import Path

from stayfinite.report import text
from tests.report.incidents import CASES

GOLDEN = Path(__file__).parent / "golden"

if __name__ == "__main__":
    for name, incident in CASES.items():
        report = text.render(incident) + "\n"
        (GOLDEN / f"{name}.txt").write_text(report, encoding="utf-8", newline="\n")
