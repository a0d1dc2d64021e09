"""Counts of a score, and what is named below them."""

import datetime
import json
from dataclasses import replace

from tests.zoo.answers import CASE, RIGHT
from zoo.answer import Answer
from zoo.guarded import STAYFINITE
from zoo.judging import judge
from zoo.scoring import Innocent, Score
from zoo.table import tables
from zoo.writing import as_json, markdown

WRONG = replace(RIGHT, cause="overflow", said="exp | of 90", report_seconds=4.0)
FALSE = replace(RIGHT, fix=replace(RIGHT.fix, holds=False, trouble="non-finite again"))


def score(*answers):
    judgements = [judge(CASE, "jax", answer, STAYFINITE.tells) for answer in answers]
    innocents = [
        Innocent("log_of_zero/entropy_fixed", "twin", "jax", Answer(False, 6.0), 4.0),
        Innocent("controls/floor", "control", "jax", Answer(True, 3.0, said="log of 0"), 4.0),
        Innocent("controls/mask", "control", "jax", Answer(False, 3.0, trouble="exit code 1: x")),
    ]
    return Score(STAYFINITE, "jax", judgements, innocents)


def by_title(scores):
    return {table.title: table for table in tables(scores)}


def test_overview_counts():
    table = by_title([score(RIGHT, WRONG, FALSE)])["Overview"]
    (row,) = (dict(zip(table.head, row, strict=True)) for row in table.rows)
    assert row == {
        "tool": "stayfinite",
        "backend": "jax",
        "cases": "3",
        "found": "3/3",
        "step": "3/3",
        "line": "3/3",
        "cause": "2/3",
        "rows": "3/3",
        "fix": "2/3",
        "same value": "3/3",
        "claims right": "3/3",
        "op named": "3/3",
        "seconds to report": "1.5 (max 4.0)",
        "verified but does not hold": "1/3",
        "false alarms: twins": "0/1",
        "controls": "1/2",
        "wall time": "1.50",
    }


def test_everything_wrong_is_named():
    found = by_title([score(RIGHT, WRONG, FALSE)])
    assert [row[3] for row in found["Misses"].rows] == ["cause", "fix"]
    assert [row[3] for row in found["Verified but does not hold"].rows] == ["non-finite again"]
    assert [row[1] for row in found["False alarms"].rows] == ["controls/floor"]
    ended = found["Twins and controls that did not train to their end"]
    assert [row[1] for row in ended.rows] == ["controls/mask"]


def test_values_are_counted_by_what_the_twin_computes():
    another = replace(RIGHT.fix, same_value=False, difference="loss 2, twin 3")
    unknown = replace(RIGHT.fix, same_value=None, difference="the twin has other weights")
    answers = (RIGHT, replace(RIGHT, fix=another), replace(RIGHT, fix=unknown))
    found = by_title([score(*answers)])
    assert found["Value of the failing step with the fix"].rows == [
        ("stayfinite", "jax", "exact", "3", "1", "1", "1", "1")
    ]
    assert found["Wrong claims about the value"].rows == [
        ("stayfinite", CASE.id, "jax", "verified, exact", "exact", "loss 2, twin 3")
    ]
    assert found["Not comparable with the twin"].rows == [
        ("stayfinite", CASE.id, "jax", "the twin has other weights")
    ]
    assert [row[3] for row in found["Misses"].rows] == ["same value"]


def test_backends_are_added_up():
    table = by_title([score(RIGHT), replace(score(WRONG), backend="torch")])["Overview"]
    assert [row[1:3] for row in table.rows] == [("jax", "1"), ("torch", "1"), ("all", "2")]


def test_page_is_dated_and_its_cells_hold_together():
    page = markdown(tables([score(WRONG)]), "make zoo", datetime.date(2026, 11, 5))
    assert "On 5 November 2026, by `make zoo`." in page
    assert "| overflow: exp \\| of 90 |" in page


def test_json_has_every_answer():
    (told,) = json.loads(as_json([score(WRONG)]))
    assert told["cases"][0]["answer"]["cause"] == "overflow"
    assert [innocent["false_alarm"] for innocent in told["innocent"]] == [False, True, False]
