"""The JSON has the keys and the types of the public contract."""

from __future__ import annotations

import dataclasses
import json

import pytest

from stayfinite.incident import Incident, TrialKind
from stayfinite.report import json as json_report
from stayfinite.report import text

from .incidents import BAD_INPUT, CASES, SQRT

NUMBER = (int, float, str)  # a non-finite number is a string

# The tables of the contract; a key may be absent from neither side unless it is a later addition.
INCIDENT = {
    "schema": str, "backend": str, "versions": dict, "device": str, "script": (str, type(None)),
    "where": dict, "cause": dict, "origin": dict, "spread": dict, "trials": list,
    "fix": (dict, type(None)), "kept": dict,
}  # fmt: skip
PARTS = {
    "where": {
        "epoch": (int, type(None)), "batch": (int, type(None)), "step": int, "phase": str,
    },
    "cause": {"name": str, "certainty": str, "message": str},
    "origin": {
        "op": str, "file": (str, type(None)), "line": (int, type(None)),
        "column": (int, type(None)), "end_line": (int, type(None)),
        "end_column": (int, type(None)), "function": (str, type(None)),
        "layer": (str, type(None)), "samples": (list, type(None)), "operands": list,
        "tensor": (str, type(None)),
        "library": (str, type(None)),
    },
    "spread": {
        "loss": str, "num_gradients": int, "num_gradients_nonfinite": int, "first": list,
    },
    "fix": {
        "verified": bool, "kind": str, "text": str, "diff": (str, type(None)),
        "value": (str, type(None)), "loss": (*NUMBER, type(None)),
        "reference_loss": (*NUMBER, type(None)), "objection": str, "is_whole_iteration": bool,
        "num_losses": int, "is_healthy_equal": bool, "objection_kind": (str, type(None)),
    },
    "kept": {"weights": (str, type(None)), "step": int, "incident": str, "applied": bool},
}  # fmt: skip
OPERAND = {
    "shape": list, "dtype": str, "min": (*NUMBER, type(None)), "max": (*NUMBER, type(None)),
    "num_nonfinite": int,
}  # fmt: skip
TRIAL = {
    "kind": str,
    "change": str,
    "outcome": str,
    "detail": str,
    "is_fix": bool,
    "parameter": str,
    "non_finite": list,
}


def check(value, table, *, exact=True):
    assert set(table) <= set(value)
    assert not exact or set(table) == set(value)
    for key, kind in table.items():
        assert isinstance(value[key], kind), key


@pytest.mark.parametrize("name", CASES)
def test_incident_has_every_key_of_the_contract(name):
    value = json.loads(json_report.render(CASES[name]))
    check(value, INCIDENT, exact=False)
    assert value["schema"] == "stayfinite.incident/1"
    for part, table in PARTS.items():
        if value[part] is not None:
            check(value[part], table)
    for operand in value["origin"]["operands"]:
        check(operand, OPERAND)
    for trial in value["trials"]:
        check(trial, TRIAL)


def test_run_file_without_incidents():
    assert json.loads(json_report.run_file(0, 40, [])) == {
        "schema": "stayfinite.run/1",
        "exit_code": 0,
        "num_steps": 40,
        "incidents": [],
        "interventions": [],
        "notes": [],
    }


def test_run_file_keeps_the_order_of_incidents():
    value = json.loads(json_report.run_file(3, 812, [SQRT, BAD_INPUT]))
    assert [incident["where"]["step"] for incident in value["incidents"]] == [812, 102]
    assert [Incident.from_json(i) for i in value["incidents"]] == [SQRT, BAD_INPUT]


def test_unicode_stays_readable():
    assert "größe" in json_report.render(CASES["unicode-tabs-unverified"])


def test_unknown_keys_of_a_later_version_are_left_out():
    value = SQRT.to_json()
    value["later"] = value["where"]["later"] = 1
    assert Incident.from_json(value) == SQRT


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("origin", "line", "14"),
        ("origin", "line", True),
        ("origin", "samples", 3),
        ("where", "phase", "lunch"),
        ("where", "step", None),
        ("spread", "first", [1]),
        ("fix", "verified", "yes"),
        ("fix", "loss", "soon"),
        ("fix", "value", "right\nor wrong"),
    ],
)
def test_damaged_incident_is_refused_with_the_key(part, key, value):
    damaged = SQRT.to_json()
    damaged[part][key] = value
    with pytest.raises(ValueError, match=rf"damaged: .* at `\$\.{part}\.{key}") as caught:
        Incident.from_json(damaged)
    assert "\n" not in str(caught.value)


def test_incident_of_an_earlier_version_has_trials_of_no_kind():
    value = SQRT.to_json()
    for trial in value["trials"]:
        del trial["kind"], trial["is_fix"], trial["parameter"], trial["non_finite"]
    for key in ("value", "loss", "reference_loss"):
        del value["fix"][key]
    read = Incident.from_json(value)
    assert {trial.kind for trial in read.trials} == {TrialKind.OTHER}
    assert [trial.change for trial in read.trials] == [trial.change for trial in SQRT.trials]
    unknown = {"value": None, "loss": None, "reference_loss": None}
    assert read.fix == dataclasses.replace(SQRT.fix, **unknown)
    # The text of `change` is printed; nothing is concluded from it.
    report = text.render(read)
    assert "not the cause: learning rate / 10, clipnorm=1, clipvalue=0.5, float64:" in report
    assert "gradient size" not in report


def test_kind_of_a_later_version_is_other():
    value = SQRT.to_json()
    value["trials"][0]["kind"] = "phase-of-the-moon"
    assert Incident.from_json(value).trials[0].kind is TrialKind.OTHER


def test_missing_key_and_strange_schema_are_refused():
    damaged = SQRT.to_json()
    del damaged["where"]["step"]
    with pytest.raises(ValueError, match=r"damaged: .*`step`"):
        Incident.from_json(damaged)
    for strange in ({}, {"schema": "stayfinite.incident/2"}, []):
        with pytest.raises(ValueError, match="expected an incident"):
            Incident.from_json(strange)
