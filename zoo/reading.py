"""Scores that were written as JSON, read again: parts of a zoo that were run one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zoo.answer import Answer, ProposedFix
from zoo.collect import Zoo
from zoo.judging import Judgement, Miss
from zoo.scoring import Innocent, Score
from zoo.tool import Tool


class CannotReadError(Exception):
    """A file holds no score, or one of scripts that are not there any more."""


def read(files: Iterable[Path], zoo: Zoo, tools: Mapping[str, Tool]) -> list[Score]:
    """The scores of all files, those of one tool on one backend put together.

    Raises:
        CannotReadError: a file is no score of this zoo.
    """
    cases = {case.id: case for case in zoo.cases}
    found: dict[tuple[str, str], Score] = {}
    for file in files:
        try:
            for part in json.loads(file.read_text(encoding="utf-8")):
                key = part["tool"], part["backend"]
                score = found.setdefault(key, Score(tools[key[0]], key[1]))
                for told in part["cases"]:
                    misses = tuple(Miss(**miss) for miss in told["misses"])
                    answer = _answer(told["answer"])
                    score.judgements.append(
                        Judgement(cases[told["id"]], key[1], answer, told["right"], misses)
                    )
                score.innocents += [_innocent(told, key[1]) for told in part["innocent"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CannotReadError(f"{file}: {type(error).__name__}: {error}") from None
    for score in found.values():
        score.judgements.sort(key=lambda judgement: judgement.case.id)
        score.innocents.sort(key=lambda innocent: (innocent.kind, innocent.id))
    return list(found.values())


def _innocent(told: dict[str, Any], backend: str) -> Innocent:
    answer = _answer(told["answer"])
    return Innocent(told["id"], told["kind"], backend, answer, told["plain_seconds"])


def _answer(told: dict[str, Any]) -> Answer:
    fix = None if told["fix"] is None else ProposedFix(**told["fix"])
    rows = None if told["rows"] is None else tuple(told["rows"])
    return Answer(**(told | {"fix": fix, "rows": rows, "lines": tuple(told["lines"])}))
