"""Scripts as practitioners write them, each with one mistake: is it found, named and mended?"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pytest

from tests import warm

HERE = Path(__file__).parent
MARK = "# <- here"
ALL = ("jax", "tensorflow", "torch")
BACKEND = keras.backend.backend()
# Runs a script to its end and looks at the weights of its `model`.
RUN_AND_LOOK = """
import runpy
import numpy as np
model = runpy.run_path("{}", run_name="__main__")["model"]
assert all(np.isfinite(weight).all() for weight in model.get_weights())
"""


@dataclass(frozen=True)
class Case:
    """What must be said of a script on every backend; the line is where its mark is.

    `only` are the backends whose language the script speaks. On the `quiet` ones its mistake is
    none: their derivative is finite there, or they raise an error of their own.
    """

    script: str
    cause: str
    phase: str
    step: int
    samples: list[int] | None
    epoch: int | None = 0
    tensor: str | None = None
    kind: str = "source"
    value: str | None = "exact"
    only: tuple[str, ...] = ALL
    quiet: tuple[str, ...] = ()


# The exact loss has no room in float32.
BEYOND_FLOAT32 = ("overflow", "forward", 3, [6])

# The probability is 1 by rounding in the layer before the loss.
LOG_OF_ROUNDED = ("log-of-zero", "forward", 3, [5])

CASES = [
    Case(
        "contrastive_loss.py",
        "singular-gradient",
        "backward",
        5,
        [3],
        quiet=("tensorflow", "torch"),
    ),
    Case("unit_sphere.py", "singular-gradient", "backward", 1, [10], quiet=("tensorflow",)),
    Case("standardise_layer.py", "division-by-zero", "forward", 5, [7], value="undefined"),
    Case("last_batch_of_one.py", "division-by-zero", "forward", 4, [0], value="undefined"),
    Case("entropy_bonus.py", "log-of-zero", "forward", 5, [5]),
    Case("poisson_train_step_jax.py", *BEYOND_FLOAT32, value="bounded", only=("jax",)),
    Case(
        "poisson_train_step_tensorflow.py", *BEYOND_FLOAT32, value="bounded", only=("tensorflow",)
    ),
    Case("poisson_train_step_torch.py", *BEYOND_FLOAT32, value="bounded", only=("torch",)),
    Case("gan_tensorflow.py", *LOG_OF_ROUNDED, value="changed", only=("tensorflow",)),
    Case("gan_torch.py", *LOG_OF_ROUNDED, value="changed", only=("torch",)),
    Case("distance_on_batch.py", "singular-gradient", "backward", 5, [1, 4], epoch=None),
    Case("silent_recording.py", "singular-gradient", "backward", 2, [5]),
    Case("root_of_power.py", "singular-gradient", "backward", 3, [3]),
    # The probability is 1 by rounding in the layer: the fix edits the layer and the loss.
    Case("cross_entropy_by_hand.py", "log-of-zero", "forward", 2, [13]),
    Case("log_of_positive.py", "masked-branch", "backward", 1, [6]),
    Case("missing_target.py", "bad-target", "data", 0, [3], tensor="y", kind="data"),
    Case("unfilled_frames.py", "bad-input", "data", 3, [5, 7], tensor="frames", kind="data"),
    Case(
        "token_out_of_range.py",
        "bad-input",
        "data",
        2,
        [6],
        tensor="words",
        kind="data",
        quiet=("tensorflow", "torch"),
    ),
    Case(
        "broken_checkpoint.py",
        "bad-weights",
        "load",
        0,
        None,
        tensor="sequential_1/head/kernel",
        kind="data",
    ),
]


# Their causes are found by rules that know no framework, in graphs like those of other scripts.
ALIKE = {
    "unit_sphere.py",
    "last_batch_of_one.py",
    "entropy_bonus.py",
    "unfilled_frames.py",
    "missing_target.py",
    "broken_checkpoint.py",
}
# A mistake only XLA computes otherwise, and an edit that TensorFlow proves in a compiled step, too.
ELSEWHERE = {"silent_recording.py": "tensorflow", "cross_entropy_by_hand.py": "jax"}
# The same causes and fixes as those of `ALIKE`.
TWICE = {"standardise_layer.py", "distance_on_batch.py", "root_of_power.py"}


def marks_of(case: Case) -> tuple[pytest.MarkDecorator, ...]:
    if case.script in TWICE:
        return (pytest.mark.slow,)
    if case.script in ELSEWHERE:
        return (pytest.mark.slow_on(ELSEWHERE[case.script]),)
    return (pytest.mark.slow_on("jax", "tensorflow"),) if case.script in ALIKE else ()


HERE_AND_NOW = [case for case in CASES if BACKEND in case.only]
LOUD = [
    pytest.param(case, marks=marks_of(case)) for case in HERE_AND_NOW if BACKEND not in case.quiet
]
QUIET = [pytest.param(case, marks=marks_of(case)) for case in HERE_AND_NOW if BACKEND in case.quiet]


@pytest.mark.parametrize("case", LOUD, ids=lambda case: Path(case.script).stem)
def test_mistake_is_found_named_and_mended(case: Case, tmp_path: Path) -> None:
    script = Path(shutil.copy(HERE / "scripts" / case.script, tmp_path))
    done, run = guarded(tmp_path, case.script)
    assert done.returncode == 3, done.stderr
    assert run["exit_code"] == 3
    (incident,) = run["incidents"]

    where, origin = incident["where"], incident["origin"]
    assert (incident["cause"]["name"], where["phase"]) == (case.cause, case.phase), done.stderr
    assert incident["cause"]["certainty"] == "confirmed"
    assert (where["step"], where["epoch"]) == (case.step, case.epoch)
    assert run["num_steps"] == case.step + 1
    assert origin["samples"] == case.samples
    assert_place(origin, case)
    assert_trials(incident["trials"], incident["notes"])

    fix = incident["fix"]
    assert fix["kind"] == case.kind
    if case.kind == "source":
        assert fix["value"] == case.value, fix
        assert fix["verified"] == (case.value in ("exact", "bounded")), fix
        apply(fix["diff"], script)
        run_to_the_end(script)


@pytest.mark.parametrize("case", QUIET, ids=lambda case: Path(case.script).stem)
def test_what_is_no_mistake_here_is_no_incident(case: Case, tmp_path: Path) -> None:
    shutil.copy(HERE / "scripts" / case.script, tmp_path)
    plain = warm.python(tmp_path, (tmp_path / case.script).read_text(encoding="utf-8"))
    done, run = guarded(tmp_path, case.script)
    assert done.returncode == plain.returncode
    assert run["incidents"] == []


def test_every_script_has_a_case() -> None:
    assert {case.script for case in CASES} == {p.name for p in (HERE / "scripts").glob("*.py")}


# Infinities in masks and in metrics are seen, or not, by the step of each framework. The others
# are finite at each place that is looked at.
ON_EACH = {"attention_mask.py", "nan_metric.py"}
HEALTHY = [
    pytest.param(name, marks=() if name in ON_EACH else pytest.mark.slow_on("jax", "tensorflow"))
    for name in sorted(path.name for path in (HERE / "healthy").glob("*.py"))
]


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_training_is_left_alone(name: str, tmp_path: Path) -> None:
    shutil.copy(HERE / "healthy" / name, tmp_path)
    done, run = guarded(tmp_path, name)
    assert done.returncode == 0, done.stderr
    assert (run["exit_code"], run["incidents"]) == (0, [])
    assert run["num_steps"] >= 8
    assert "stayfinite" not in done.stderr
    assert not (tmp_path / "kept").exists()


def guarded(folder: Path, script: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """`stayfinite run` on a script, and its run file."""
    command = ["run", "--json", "run.json", "--keep", "kept", script]
    done = warm.stayfinite(folder, *command)
    return done, json.loads((folder / "run.json").read_text(encoding="utf-8"))


def assert_place(origin: dict[str, Any], case: Case) -> None:
    if case.kind == "data":
        assert origin["tensor"] == case.tensor
        return
    lines = (HERE / "scripts" / case.script).read_text(encoding="utf-8").splitlines()
    (marked,) = (number for number, line in enumerate(lines, 1) if line.endswith(MARK))
    assert (origin["file"], origin["line"]) == (case.script, marked)
    line = lines[marked - 1].encode()
    assert origin["column"] >= len(line) - len(line.lstrip())
    assert origin["end_column"] <= len(line.removesuffix(MARK.encode()).rstrip())


def assert_trials(trials: list[dict[str, Any]], notes: list[str]) -> None:
    tried = [trial["change"] for trial in trials]
    assert tried[:3] == ["learning rate / 10", "clipnorm=1", "clipvalue=0.5"]
    # It is left out where a step takes seconds, as on a machine that is busy with other things.
    slow = any(note.startswith("float64 was not tried") for note in notes)
    assert ("float64" in tried) is not slow
    assert not [trial for trial in trials if trial["outcome"] == "not-tried"]
    kinds = [trial["kind"] for trial in trials]
    assert kinds[:3] == ["learning-rate", "clipnorm", "clipvalue"]
    assert "other" not in kinds


def apply(diff: str, file: Path) -> None:
    """Apply a unified diff, strictly: every line that it leaves or takes away must be there."""
    lines = file.read_text(encoding="utf-8").splitlines()
    rest, patched = list(lines), []
    for line in diff.splitlines()[2:]:
        if line.startswith("@@"):
            start = int(line.split()[1].split(",")[0].lstrip("-")) - 1
            position = len(lines) - len(rest)
            patched += rest[: start - position]
            rest = lines[start:]
        elif line.startswith("+"):
            patched.append(line[1:])
        else:
            assert rest.pop(0) == line[1:]
            patched += [line[1:]] if line.startswith(" ") else []
    file.write_text("\n".join([*patched, *rest]) + "\n", encoding="utf-8")


def run_to_the_end(script: Path) -> None:
    (script.parent / "look.py").write_text(RUN_AND_LOOK.format(script.name), encoding="utf-8")
    done, _ = guarded(script.parent, "look.py")
    assert done.returncode == 0, done.stderr
