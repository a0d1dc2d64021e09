"""The incident on disk: what is written comes back, and a damaged one is told in one line."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

import stayfinite
from stayfinite.report import folder
from tests.report.incidents import CASES


class Model:
    """As much of a Keras model as a folder needs."""

    def save_weights(self, path):
        path.write_bytes(b"weights")


STATE = {"dense/kernel": np.arange(6, dtype="float32").reshape(2, 3), "seed": np.uint32(7)}
BATCH = {"x": np.array([[1.0, np.nan]], "float32"), "y": np.array([3]), "flag": np.array([True])}


def created(keep):
    return folder.create(keep, 812, Model(), STATE, BATCH)


def test_arrays_come_back_with_their_bits(tmp_path):
    made = created(tmp_path / "new" / "keep")
    assert made.path.name == "incident-000812"
    for name, arrays in (("state", STATE), ("batch", BATCH)):
        loaded = load_file(made.path / f"{name}.safetensors")
        assert loaded.keys() == arrays.keys()
        for key, array in arrays.items():
            assert loaded[key].dtype == np.asarray(array).dtype
            assert loaded[key].shape == np.shape(array)
            assert loaded[key].tobytes() == np.asarray(array).tobytes()


def test_an_earlier_incident_is_never_written_over(tmp_path):
    names = [created(tmp_path).path.name for _ in range(3)]
    assert names == ["incident-000812", "incident-000812-2", "incident-000812-3"]


def test_views_are_written_as_they_look(tmp_path):
    array = np.arange(12.0).reshape(3, 4).T[::-1]
    made = folder.create(tmp_path, 0, Model(), {"a": array}, {})
    assert np.array_equal(load_file(made.path / "state.safetensors")["a"], array)


def test_model_that_cannot_be_saved_costs_only_its_weights(tmp_path):
    class Unsavable:
        def save_weights(self, path):
            raise NotImplementedError("a layer of the user's")

    made = folder.create(tmp_path, 0, Unsavable(), STATE, BATCH)
    assert made.weights is None
    assert (made.path / "state.safetensors").exists()


@pytest.mark.parametrize("name", CASES)
def test_incident_comes_back_as_it_was(name, tmp_path):
    incident = CASES[name]
    made = created(tmp_path)
    folder.write(made.path, incident)
    assert folder.read(made.path) == incident
    assert folder.read(made.path / "incident.json") == incident
    assert stayfinite.explain(made.path) == stayfinite.explain(incident)


def damaged(text):
    return {
        "nothing": "",
        "no end": "[" * 100_000,
        "not JSON": text[: len(text) // 2],
        "a list": "[]",
        "another schema": text.replace("stayfinite.incident/1", "stayfinite.incident/9"),
        "a line that is a word": json.dumps(
            {**json.loads(text), "where": {**json.loads(text)["where"], "step": "one"}}
        ),
        "a cause left out": json.dumps({k: v for k, v in json.loads(text).items() if k != "cause"}),
    }


@pytest.mark.parametrize("how", damaged('{"where": {}}'))
def test_damaged_incident_is_a_usage_error_of_one_line(how, tmp_path):
    made = created(tmp_path)
    folder.write(made.path, next(iter(CASES.values())))
    manifest = made.path / "incident.json"
    manifest.write_text(damaged(manifest.read_text(encoding="utf-8"))[how], encoding="utf-8")
    with pytest.raises(stayfinite.UsageError, match=r"incident\.json") as caught:
        folder.read(made.path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["missing", "."])
def test_no_incident_is_a_usage_error(path, tmp_path):
    with pytest.raises(stayfinite.UsageError, match="pass the folder of an incident"):
        folder.read(tmp_path / path)


def test_bytes_that_are_no_text_are_a_usage_error(tmp_path):
    (tmp_path / "incident.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(stayfinite.UsageError):
        folder.read(tmp_path)


def test_numbers_that_are_not_finite_are_strings_on_disk(tmp_path):
    incident = next(iter(CASES.values()))
    operand = stayfinite.incident.Operand((2,), "float32", float("-inf"), float("inf"), 1)
    origin = dataclasses.replace(incident.origin, operands=(operand,))
    incident = dataclasses.replace(incident, origin=origin)
    made = created(tmp_path)
    folder.write(made.path, incident)
    text = (made.path / "incident.json").read_text(encoding="utf-8")
    assert '"-inf"' in text
    json.loads(text, parse_constant=lambda name: pytest.fail(f"literal {name}"))
    assert folder.read(made.path) == incident
