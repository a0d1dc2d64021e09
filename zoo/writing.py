"""A score as Markdown, on a terminal, and as JSON."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from zoo.scoring import Score
from zoo.table import Table


def markdown(tables: Sequence[Table], command: str, today: datetime.date) -> str:
    """A page with all tables: what was run, and when."""
    parts = [
        "# What the tools make of the zoo\n",
        f"On {today:%-d %B %Y}, by `{command}`. [zoo/README.md](../zoo/README.md) says what is\n"
        "counted. Each cell is `right/judged`.\n",
    ]
    for table in tables:
        lines = [table.head, ("---",) * len(table.head), *table.rows]
        body = "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)
        parts.append(f"## {table.title}\n\n{body}\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def show(tables: Sequence[Table], console: Console) -> None:
    """The same tables on a terminal."""
    for table in tables:
        shown = RichTable(title=table.title, title_justify="left", box=None, pad_edge=False)
        for name in table.head:
            shown.add_column(name, overflow="fold")
        for row in table.rows:
            # What scripts said is no markup.
            shown.add_row(*(Text(cell) for cell in row))
        console.print(shown, "")


def as_json(scores: Sequence[Score]) -> str:
    """Every answer and how it was judged."""
    return json.dumps([_score(score) for score in scores], indent=2) + "\n"


def _score(score: Score) -> dict[str, Any]:
    return {
        "tool": score.tool.name,
        "backend": score.backend,
        "cases": [
            {
                "id": judgement.case.id,
                "cause": judgement.case.cause,
                "right": judgement.right,
                "misses": [dataclasses.asdict(miss) for miss in judgement.misses],
                "answer": dataclasses.asdict(judgement.answer),
            }
            for judgement in score.judgements
        ],
        "innocent": [
            {
                "id": innocent.id,
                "kind": innocent.kind,
                "false_alarm": innocent.false_alarm,
                "plain_seconds": innocent.plain_seconds,
                "answer": dataclasses.asdict(innocent.answer),
            }
            for innocent in score.innocents
        ],
    }
