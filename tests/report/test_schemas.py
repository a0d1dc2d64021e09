"""The published JSON Schemas are those of the types, and fit what is written."""

from __future__ import annotations

import json

import jsonschema
import pytest

from docs.site import schemas
from stayfinite.report.json import run_file
from tests import warm
from tests.report.incidents import CASES

SCHEMAS = {path.name: json.loads(path.read_text("utf-8")) for path in schemas.FOLDER.iterdir()}

# One bad step is skipped and one ends the run, so both forms of an incident are in the file.
SCRIPT = """
import keras, numpy as np
x = np.ones((64, 4), "float32")
x[9, 2] = np.inf
x[37, 2] = np.nan
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
"""


def validator(name: str) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    return jsonschema.Draft202012Validator(SCHEMAS[name])


def test_files_are_those_of_the_types():
    assert schemas.files() == {f"schemas/{name}": text for name, text in schemas.made().items()}


@pytest.mark.parametrize("name", CASES)
def test_incident_fits(name):
    validator("incident-1.json").validate(CASES[name].to_json())


def test_real_run_fits(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    warm.stayfinite(tmp_path, "run", "--policy", "skip", "--json", "run.json", "train.py")
    run = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert [incident["where"]["step"] for incident in run["incidents"]] == [1, 4]
    validator("run-1.json").validate(run)
    (written,) = tmp_path.glob("stayfinite-out/incident-000004/incident.json")
    validator("incident-1.json").validate(json.loads(written.read_text(encoding="utf-8")))


def test_run_without_an_incident_fits():
    validator("run-1.json").validate(json.loads(run_file(0, 160, ())))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "stayfinite.incident/2"),
        ("where", {"epoch": 0, "batch": 0, "step": 0, "phase": "sideways"}),
        ("num_rows", "many"),
        ("seconds", "NaN"),
        ("trials", [{"change": "clipnorm=1", "outcome": "good", "detail": ""}]),
    ],
)
def test_wrong_incident_does_not_fit(key, value):
    incident = next(iter(CASES.values())).to_json()
    with pytest.raises(jsonschema.ValidationError):
        validator("incident-1.json").validate(incident | {key: value})


def test_missing_key_does_not_fit():
    incident = next(iter(CASES.values())).to_json()
    del incident["origin"]
    with pytest.raises(jsonschema.ValidationError):
        validator("incident-1.json").validate(incident)
