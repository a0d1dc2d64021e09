"""Scripts over `torch.optim` under `run`: stopped and explained, or left as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import stayfinite
from tests import warm

HERE = Path(__file__).parent / "scripts"
MARK = "# <- here"
# Raises when a script imports Keras.
WITHOUT_KERAS = """
import importlib.abc, importlib.machinery, sys

class Blocked(importlib.abc.Loader):
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        raise ModuleNotFoundError(module.__name__, name=module.__name__)

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "keras":
            return importlib.machinery.ModuleSpec(name, Blocked())

sys.meta_path.insert(0, Blocker())
from stayfinite.cli import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Case:
    """What must be said of a script; the line is where its mark is.

    `value` is what a verified source fix does to the value. `holds_nan` is a buffer that has NaN
    on purpose. `kind` is what is to be changed.
    """

    script: str
    cause: str
    step: int
    fix: bool | None = None
    value: str | None = None
    holds_nan: str | None = None
    kind: str | None = None


CASES = [
    Case("taken_in_comprehension", "overflow", 2, fix=True, value="exact"),
    Case("full_batch", "log-of-zero", 0),
    Case("loader_in_function", "division-by-zero", 7),
    Case("loader_in_module", "log-of-zero", 5, fix=True),
    Case("accumulation", "division-by-zero", 2),
    Case("counted_accumulation", "division-by-zero", 4),
    Case("written_batch", "division-by-zero", 3),
    Case("codebook", "bad-statistics", 0),
    Case("history_buffer", "division-by-zero", 2, fix=True, holds_nan="history"),
    Case("statistics_overflow", "bad-statistics", 3),
    Case("truncated", "division-by-zero", 3),
    Case("truncated_loader", "division-by-zero", 3),
    Case("accumulated_generator", "division-by-zero", 2),
    Case("next_of_generator", "division-by-zero", 3),
    Case("next_with_noise", "division-by-zero", 4),
    Case("drawn_by_header", "singular-gradient", 8),
    Case("later_evaluation", "overflow", 0),
    Case("line_search_too_fast", "bad-update", 0, fix=True, kind="setting"),
    Case("autocast", "half-overflow", 3),
    Case("product_under_autocast", "half-overflow", 5, fix=True, value="exact"),
    Case("branch_by_number", "division-by-zero", 6, fix=False, value="undefined"),
    Case("inverse_length", "division-by-zero", 2, fix=False, value="bounded"),
    Case("deviation_of_zero", "division-by-zero", 2, fix=False),
    Case("target_of_output", "out-of-domain", 2, fix=False),
    Case("digamma_of_tiny", "overflow", 2),
    Case("complex_phase", "division-by-zero", 2),
    Case("gan_two_optimizers", "log-of-zero", 1),
    Case("joint_optimizers", "singular-gradient", 6, fix=True, value="exact"),
    Case("optimizers_in_loop", "singular-gradient", 6, fix=True, value="exact"),
    Case("gan_of_probabilities", "log-of-zero", 4, fix=False, value="changed"),
    Case("gan_of_means", "log-of-zero", 4, fix=True, value="exact"),
    Case("frozen_critic", "log-of-zero", 7, value="exact"),
    Case("attention_beside", "empty-reduction", 1),
    Case("empty_group", "empty-reduction", 2, fix=False, value="undefined"),
    Case("near_points", "out-of-domain", 2, fix=False, value="changed"),
    Case("weights_of_epoch", "bad-input", 2),
    Case("ctc_lengths", "bad-target", 2, fix=True, kind="setting"),
    Case("masked_recursion", "fully-masked-row", 3),
    Case("hidden_state", "log-of-zero", 8),
    Case("prefetched_batch", "bad-input", 8),
    Case("divergence", "divergence", 3, fix=True),
    Case("epsilon_zero", "bad-update", 0, fix=True),
    Case("adam_in_half", "bad-update", 0, fix=True),
    Case("rate_from_loop", "bad-update", 4, fix=True),
    Case("carried_state", "log-of-zero", 6, fix=True),
    Case("step_in_function", "singular-gradient", 3, fix=True),
    Case("softmax_in_module", "log-of-zero", 4, value="exact"),
    Case("focal_in_function", "log-of-zero", 4, value="exact"),
    Case("hooked_policy", "log-of-zero", 4, fix=False, value="exact"),
    Case("episode_lists", "division-by-zero", 4),
    Case("replay_buffer", "log-of-zero", 8),
    Case("ring_buffer", "log-of-zero", 10),
    Case("continue_before", "singular-gradient", 6),
    Case("batch_in_while", "log-of-zero", 5),
    Case("zero_weight_norm", "division-by-zero", 0),
    Case("group_norm_of_zeros", "division-by-zero", 3),
    Case("returned_gradients", "fully-masked-row", 3),
    Case("second_derivative", "singular-gradient", 2),
    Case("counter_in_class", "singular-gradient", 4, fix=True),
    Case("two_updates_in_a_call", "singular-gradient", 9, fix=True),
    Case("own_backward", "division-by-zero", 3),
    Case("clip_by_hand", "division-by-zero", 4),
    Case("collapsed_scale", "singular-gradient", 4, fix=True),
    Case("collapsed_scale_fused", "singular-gradient", 4, fix=True),
    Case("compiled", "singular-gradient", 4, fix=True),
    Case("keras_model", "singular-gradient", 4, fix=True),
    Case("keras_optimizer", "singular-gradient", 4, fix=True),
]


def run(folder: Path, name: str, *options: str) -> tuple[subprocess.CompletedProcess[str], dict]:
    shutil.copy(HERE / f"{name}.py", folder)
    done = warm.stayfinite(folder, "run", "--json", "run.json", *options, f"{name}.py")
    return done, json.loads((folder / "run.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.script)
def test_a_bad_step_is_stopped_and_explained(case, tmp_path):
    done, file = run(tmp_path, case.script)
    assert done.returncode == 3, done.stderr
    assert "ComplexWarning" not in done.stderr
    [incident] = file["incidents"]
    where = (incident["where"]["step"], incident["cause"]["name"])
    assert where == (case.step, case.cause), done.stderr
    assert incident["made_again"].endswith("bit-equal to training")
    lines = (HERE / f"{case.script}.py").read_text(encoding="utf-8").splitlines()
    marked = [number for number, line in enumerate(lines, 1) if line.endswith(MARK)]
    assert not marked or incident["origin"]["line"] == marked[0]
    for trial in incident["trials"]:
        assert trial["outcome"] != "finite" or "gradients" not in trial["non_finite"], done.stderr
    if case.fix is not None:
        assert incident["fix"]["verified"] == case.fix, done.stderr
    if case.kind is not None:
        assert incident["fix"]["kind"] == case.kind, done.stderr
    if case.value is not None:
        assert incident["fix"]["kind"] == "source", done.stderr
        assert incident["fix"]["value"] == case.value, done.stderr
    kept = load_file(tmp_path / incident["kept"]["weights"])
    kept.pop(case.holds_nan, None)
    assert kept and all(bool(torch.isfinite(value).all()) for value in kept.values())


@pytest.mark.parametrize("name", ["loader", "numpy", "lbfgs", "scaler", "gan", "keras"])
def test_a_healthy_training_is_left_bit_for_bit(name, tmp_path):
    done, file = run(tmp_path, f"healthy_{name}")
    plain = warm.script(tmp_path, f"healthy_{name}.py")
    assert (done.returncode, done.stderr) == (0, plain.stderr)
    assert file["num_steps"] > 0 and not file["incidents"]


def test_a_loss_that_is_nan_beside_finite_gradients_is_told_once_and_counted(tmp_path):
    done, file = run(tmp_path, "ignored_labels")
    assert done.returncode == 0
    assert done.stderr.count("the loss of step 3 is nan and all its gradients are finite") == 1
    assert done.stderr.count("the losses of 2 steps from 3 to 4 were not finite") == 1
    assert file["num_steps"] == 5


def test_a_step_of_gradients_alone_has_no_loss(tmp_path):
    done, file = run(tmp_path, "gradients_alone")
    assert done.returncode == 3
    [incident] = file["incidents"]
    fix = incident["fix"]
    assert (incident["cause"]["name"], fix["value"], fix["verified"]) == ("overflow", "exact", True)
    assert incident["spread"]["loss"] == "unknown"
    assert (fix["loss"], fix["reference_loss"]) == (None, None)
    assert not any(trial["detail"].startswith("loss") for trial in incident["trials"])
    assert "(loss" not in done.stderr


def test_the_divisor_of_a_number_is_what_to_check(tmp_path):
    done, file = run(tmp_path, "number_over_sum")
    [incident] = file["incidents"]
    assert (incident["cause"]["name"], incident["where"]["step"]) == ("division-by-zero", 2)
    assert incident["fix"]["value"] == "undefined"
    assert incident["fix"]["text"].startswith("check `x.sum(-1)`: "), done.stderr


def test_no_float32_is_advised_where_all_is_float32(tmp_path):
    _, file = run(tmp_path, "zero_weight_norm")
    [incident] = file["incidents"]
    assert "float32" not in incident["fix"]["text"] + (incident["fix"]["diff"] or "")


def test_strict_stops_at_such_a_loss(tmp_path):
    done, file = run(tmp_path, "ignored_labels", "--strict")
    assert done.returncode == 3
    [incident] = file["incidents"]
    assert (incident["where"]["step"], incident["cause"]["name"]) == (3, "empty-reduction")


def test_an_optimizer_inside_the_backward_pass_is_told_once(tmp_path):
    done, file = run(tmp_path, "in_backward")
    assert (done.returncode, file["num_steps"]) == (0, 0)
    assert done.stderr.count("an optimizer is applied inside the backward pass") == 1
    assert "nothing was guarded" not in done.stderr
    assert done.stdout == warm.script(tmp_path, "in_backward.py").stdout


def test_keras_is_not_imported(tmp_path):
    shutil.copy(HERE / "full_batch.py", tmp_path)
    (tmp_path / "without_keras.py").write_text(WITHOUT_KERAS, encoding="utf-8")
    command = [sys.executable, "without_keras.py", "run", "full_batch.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 3, done.stderr
    assert "error[log-of-zero]" in done.stderr


def test_what_the_body_writes_is_written_once(tmp_path):
    done, file = run(tmp_path, "effects")
    assert done.returncode == 3, done.stderr
    [incident] = file["incidents"]
    assert incident["cause"]["name"] == "singular-gradient"
    assert incident["made_again"].endswith("bit-equal to training")
    assert [done.stderr.count(f"step {n}\n") for n in range(6)] == [1] * 6
    assert len((tmp_path / "notes.txt").read_text().splitlines()) == 7
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 6
    assert json.loads((tmp_path / "last.json").read_text()) == {"step": 5}
    assert sorted(path.name for path in tmp_path.glob("weights-*")) == ["weights-5.pt"]


def test_runs_of_a_step_have_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("stayfinite.frameworks.torch.plain.remade.MAX_SECONDS", 0.0)
    x = torch.zeros(8, 4)
    weight = torch.ones(4, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        for _ in range(2):
            optimizer.zero_grad()
            torch.sqrt((x * weight).square().sum()).backward()
            optimizer.step()
    report = " ".join(str(caught.value).split())
    assert "the limit of 0 s for running the step again is reached" in report
