"""The incident on disk: what is written comes back, and a damaged one is told in one line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import stayfinite
from stayfinite.incident import Kept, Where
from stayfinite.report import folder
from stayfinite.report.step_record import StepRecord
from tests.report.incidents import CASES


class Model:
    """As much of a subject as a folder needs."""

    weights_file = "last_good.weights.h5"

    def save_weights(self, path):
        path.write_bytes(b"weights")


STATE = {"dense/kernel": np.arange(6, dtype="float32").reshape(2, 3), "seed": np.uint32(7)}
BATCH = {"x": np.array([[1.0, np.nan]], "float32"), "y": np.array([3]), "flag": np.array([True])}


INCIDENT = dataclasses.replace(
    next(iter(CASES.values())),
    where=Where(0, 812, 812, "forward"),
    kept=Kept(None, 811, ""),
)


def created(keep, model=None, state=STATE, batch=BATCH):
    contents = folder.Contents(model or Model(), state, batch, StepRecord((), None, None))
    return folder.create(keep, INCIDENT, contents)


def test_arrays_come_back_with_their_bits(tmp_path):
    path, _ = created(tmp_path / "new" / "keep")
    assert path.name == "incident-000812"
    for name, arrays in (("state", STATE), ("batch", BATCH)):
        loaded = load_file(path / f"{name}.safetensors")
        assert loaded.keys() == arrays.keys()
        for key, array in arrays.items():
            assert loaded[key].dtype == np.asarray(array).dtype
            assert loaded[key].shape == np.shape(array)
            assert loaded[key].tobytes() == np.asarray(array).tobytes()


def test_an_earlier_incident_is_never_written_over(tmp_path):
    names = [created(tmp_path)[0].name for _ in range(3)]
    assert names == ["incident-000812", "incident-000812-2", "incident-000812-3"]


def test_views_are_written_as_they_look(tmp_path):
    array = np.arange(12.0).reshape(3, 4).T[::-1]
    path, _ = created(tmp_path, state={"a": array}, batch={})
    assert np.array_equal(load_file(path / "state.safetensors")["a"], array)


def test_model_that_cannot_be_saved_costs_only_its_weights(tmp_path):
    class Unsavable(Model):
        def save_weights(self, path):
            path.write_bytes(b"the first half")
            raise NotImplementedError("a layer of the user's")

    path, incident = created(tmp_path, Unsavable())
    assert incident.kept == Kept(None, 811, str(path))
    names = {each.name for each in path.iterdir()}
    assert names == {"batch.safetensors", "state.safetensors", "replay.json", "incident.json"}


@pytest.mark.parametrize("error", [NotImplementedError("a layer"), OSError(28, "no room")])
def test_weights_of_several_modules_are_there_together_or_not_at_all(error, tmp_path):
    class TwoModules(Model):
        def save_weights(self, path):
            path.write_bytes(b"the first")
            path.with_name("last_good.encoder.safetensors").write_bytes(b"a half of the second")
            if error is not None:
                raise error

    path, incident = created(tmp_path / "bad", TwoModules())
    assert incident.kept.weights is None
    assert not list(path.glob("last_good*"))
    error = None
    path, incident = created(tmp_path / "good", TwoModules())
    assert incident.kept.weights == str(path / "last_good.weights.h5")
    assert len(list(path.glob("last_good*"))) == 2


def test_no_file_of_good_weights_where_there_are_none(tmp_path):
    bad = {**STATE, "adam/momentum": np.array([1.0, np.nan], "float32")}
    contents = folder.Contents(Model(), bad, BATCH, StepRecord((), None, None), is_good=False)
    path, incident = folder.create(tmp_path, INCIDENT, contents)
    assert incident.kept == Kept(None, 811, str(path))
    assert "last_good.weights.h5" not in {each.name for each in path.iterdir()}
    assert np.isnan(load_file(path / "state.safetensors")["adam/momentum"][1])


def test_incident_is_whole_before_its_explanation(tmp_path):
    path, incident = created(tmp_path)
    kept = folder.read(path)
    assert kept.notes[-1] == "its explanation was not finished"
    assert dataclasses.replace(kept, notes=incident.notes) == incident
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_full_disk_leaves_the_incident_that_was_there(tmp_path, monkeypatch):
    path, incident = created(tmp_path)
    before = folder.read(path)

    def full(*_args, **_settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert "No space left" in folder.finish(path, incident).notes[-1]
    assert folder.read(path) == before


@pytest.mark.parametrize("name", CASES)
def test_incident_comes_back_as_it_was(name, tmp_path):
    incident = CASES[name]
    path, _ = created(tmp_path)
    folder.write(path, incident)
    assert folder.read(path) == incident
    assert folder.read(path / "incident.json") == incident
    assert stayfinite.explain(path) == stayfinite.explain(incident)


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
    path, _ = created(tmp_path)
    folder.write(path, next(iter(CASES.values())))
    manifest = path / "incident.json"
    manifest.write_text(damaged(manifest.read_text(encoding="utf-8"))[how], encoding="utf-8")
    with pytest.raises(stayfinite.UsageError, match=r"incident\.json") as caught:
        folder.read(path)
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
    path, _ = created(tmp_path)
    folder.write(path, incident)
    text = (path / "incident.json").read_text(encoding="utf-8")
    assert '"-inf"' in text
    json.loads(text, parse_constant=lambda name: pytest.fail(f"literal {name}"))
    assert folder.read(path) == incident
