"""The command, from a case to its tables."""

import json
import sys

import keras
import pytest
from click.testing import CliRunner

from zoo.__main__ import zoo
from zoo.judging import ASPECTS

# One of the cases that end soonest.
CASE = "singular_gradient/closed_store_rmse"
BACKEND = keras.backend.backend()
HERE = ("--backend", BACKEND, "--python", f"{BACKEND}={sys.executable}")


def run(*arguments):
    return CliRunner().invoke(zoo, [*map(str, arguments)], env={"KERAS_BACKEND": "jax"})


def test_scripts_are_listed():
    listed = run("list", "--only", "*/triplet_batch")
    assert listed.exit_code == 0, listed.output
    assert [line.split() for line in listed.output.splitlines()] == [
        ["singular_gradient/triplet_batch", "singular-gradient", "jax", "tensorflow", "torch"],
        ["controls/triplet_batch", "control", "jax", "tensorflow", "torch"],
    ]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--only", "nothing/*"], "no id is like 'nothing/*'"),
        (["--tool", "detect-anomaly"], "detect-anomaly is not for jax"),
        (["--python", "mxnet=python"], "--python is 'mxnet': expected BACKEND=PATH"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(arguments, said):
    done = run("score", *arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_case_is_scored(tmp_path):
    json_file, page = tmp_path / "score.json", tmp_path / "score.md"
    options = [*HERE, "--warm", "--json", json_file, "--markdown", page]
    done = run("score", "--only", CASE, *options)
    assert done.exit_code == 0, done.output
    (score,) = json.loads(json_file.read_text())
    (case,) = score["cases"]
    assert case["right"] == dict.fromkeys(ASPECTS, True)
    assert case["answer"]["fix"]["step_loss"] == pytest.approx(case["answer"]["fix"]["twin_loss"])
    assert case["answer"]["fix"]["holds"] is True
    assert [(twin["false_alarm"], twin["answer"]["trouble"]) for twin in score["innocent"]] == [
        (False, None)
    ]
    cells = " | ".join(["singular-gradient", "1", *["1/1"] * len(ASPECTS)])
    assert f"| {cells} |" in page.read_text()
    assert "## Misses" not in page.read_text()


@pytest.mark.slow
def test_a_peer_in_a_process_that_was_forked_is_asked_about_cases_alone(tmp_path):
    json_file = tmp_path / "score.json"
    options = [*HERE, "--json", json_file, "--warm", "--cases-only"]
    done = run("score", "--only", CASE, "--tool", "terminate-on-nan", *options)
    assert done.exit_code == 0, done.output
    (score,) = json.loads(json_file.read_text())
    (case,) = score["cases"]
    assert case["right"]["found"] is True
    assert case["answer"]["said"].endswith("Invalid loss, terminating training")
    assert score["innocent"] == []
