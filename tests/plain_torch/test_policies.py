"""Loops over `torch.optim` that go on after a bad step, by each policy."""

from __future__ import annotations

import json
import shutil
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import stayfinite
from stayfinite.replay.patched_program import patched_file
from tests import warm
from tests.plain_torch.test_scripts import HERE, run

RISING = """
import torch

torch.manual_seed(0)
x = 3 * torch.randn(64, 5)
net = torch.nn.Linear(5, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.001)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.06**step)
for step in range(260):
    batch = x[step % 8 * 8 : step % 8 * 8 + 8]
    loss = (net(batch) - batch.sum(dim=1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
print("end", optimizer.param_groups[0]["lr"], loss.item())
"""


def ends(done):
    return [line for line in done.stderr.splitlines() if line.startswith("end ")]


@pytest.mark.parametrize("name", ["repair_in_loop", "repair_scaled", "repair_gan"])
def test_a_repaired_run_ends_with_the_bits_of_the_repaired_script(name, tmp_path):
    done, file = run(tmp_path, name, "--policy", "repair")
    assert done.returncode == 0, done.stderr
    [incident] = file["incidents"]
    patched = patched_file(incident["intervention"]["diff"], str(tmp_path / f"{name}.py"))
    (tmp_path / "repaired.py").write_bytes(patched.content)
    repaired = ends(warm.script(tmp_path, "repaired.py"))
    assert repaired and ends(done) == repaired
    # Without the repair the weights are lost.
    assert ends(warm.script(tmp_path, f"{name}.py")) != repaired


def test_hooks_on_the_nodes_of_gradients_are_kept_behind_a_skipped_step(tmp_path):
    done, file = run(tmp_path, "accumulator_hooks", "--policy", "skip")
    assert [each["cause"]["name"] for each in file["incidents"]] == ["division-by-zero"]
    assert ends(done) == ["end 2"] * 5


def test_a_running_loop_is_told_of_once(tmp_path):
    done, file = run(tmp_path, "repair_in_loop", "--policy", "repair")
    assert file["num_steps"] == 16
    assert done.stderr.count("is made by the repaired body of the loop") == 1


def test_a_rollback_lowers_the_rate_for_good(tmp_path):
    done, file = run(tmp_path, "rollback_rate", "--policy", "rollback")
    assert done.returncode == 0, done.stderr
    [incident] = file["incidents"]
    made = incident["intervention"]
    assert incident["cause"]["name"] == "divergence" and made["resumed_from"] < made["step"]
    # The optimizer keeps the rate that the loop has set, and is applied with a lower one.
    assert "rate 0.3" in done.stderr and "loss True" in done.stderr
    # Weights and momentum are those of a script that never made the steps which were undone.
    text = (HERE / "rollback_rate.py").read_text(encoding="utf-8")
    left = f"[*range({made['resumed_from']}), *range({made['step']}, 160)]"
    text = text.replace("range(160)", left).replace("step == 120", f"step == {made['step']}")
    line = 1 + next(n for n, each in enumerate(text.splitlines()) if '["lr"] =' in each)
    said = (
        f"do not let rollback_rate.py:{line} raise the learning rate: it was 0.001 and became 0.3"
    )
    assert said in made["action"]
    (tmp_path / "by_hand.py").write_text(text.replace("0.3", "0.001"), "utf-8")
    assert ends(done) == ends(warm.script(tmp_path, "by_hand.py"))


def test_a_scheduler_that_raises_the_rate_is_named_and_held(tmp_path):
    (tmp_path / "rising.py").write_text(RISING)
    done = warm.stayfinite(tmp_path, "run", "--policy", "rollback", "rising.py")
    assert done.returncode == 0, done.stderr
    # The rate goes on to rise, and the optimizer is applied with that of before.
    assert done.stderr.count("was non-finite (") == 1
    assert "(do not let `LambdaLR` raise the learning rate: it was 0.00106 and" in done.stderr
    [end] = ends(done)
    rate, loss = map(float, end.split()[1:])
    assert rate > 1e3 and loss < 0.1


def test_a_line_that_raises_the_rate_is_named(tmp_path):
    schedule = "schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.06**step)"
    by_hand = (
        "def warm(step):\n    for group in optimizer.param_groups:\n"
        "        group['lr'] = 0.001 * 1.06**step\n"
    )
    text = RISING.replace(schedule, by_hand).replace("schedule.step()", "warm(step)")
    (tmp_path / "rising.py").write_text(text)
    done = warm.stayfinite(tmp_path, "run", "rising.py")
    assert done.returncode == 3
    said = " ".join(done.stderr.split())
    line = 1 + text.splitlines().index("        group['lr'] = 0.001 * 1.06**step")
    assert f"do not let `warm` (rising.py:{line}) raise the learning rate: it was" in said


def test_without_a_proved_fix_the_loop_stops(tmp_path):
    done, file = run(tmp_path, "loader_in_function", "--policy", "repair")
    assert (done.returncode, len(file["incidents"])) == (3, 1)
    assert "the policy repair ends the training" in done.stderr


def test_a_rate_that_is_lowered_has_no_note_of_a_patch_that_was_tried(tmp_path):
    _, file = run(tmp_path, "line_search_too_fast")
    [incident] = file["incidents"]
    assert incident["fix"]["text"].startswith("lower the learning rate of `LBFGS` from 50 to")
    assert incident["notes"] == []
    assert {trial["detail"] for trial in incident["trials"] if trial["outcome"] == "not-tried"} <= {
        "could not be tried: the optimizer LBFGS makes several evaluations in one step"
    }


def test_line_searches_stop_with_the_reason(tmp_path):
    shutil.copy(HERE / "healthy_lbfgs.py", tmp_path / "bad.py")
    text = (tmp_path / "bad.py").read_text(encoding="utf-8")
    text = text.replace("def closure():", "def closure():\n        x[3] = float('nan')", 1)
    (tmp_path / "bad.py").write_text(text, encoding="utf-8")
    done = warm.stayfinite(tmp_path, "run", "--policy", "rollback", "bad.py")
    assert done.returncode == 3
    assert "LBFGS makes several evaluations in one step; it stops" in done.stderr


@pytest.mark.parametrize(
    ("policy", "by_hand"),
    [
        ("skip", ("range(0, 64, 8)", "(0, 8, 16, 24, 40, 48, 56)")),
        ("rollback", ('x[37, 2] = float("nan")', "x[37], y[37] = x[38], y[38]")),
    ],
)
def test_moving_statistics_of_keras_go_back(policy, by_hand, tmp_path):
    done, file = run(tmp_path, "keras_statistics", "--policy", policy)
    assert done.returncode == 0, done.stderr
    [incident] = file["incidents"]
    assert (incident["where"]["step"], incident["cause"]["name"]) == (4, "bad-input")
    text = (HERE / "keras_statistics.py").read_text(encoding="utf-8")
    assert by_hand[0] in text
    (tmp_path / "by_hand.py").write_text(text.replace(*by_hand), encoding="utf-8")
    assert ends(done) == ends(warm.script(tmp_path, "by_hand.py"))


@pytest.mark.parametrize("is_built", [False, True])
def test_moving_statistics_go_back_behind_the_first_step(is_built, tmp_path):
    text = (HERE / "keras_statistics.py").read_text(encoding="utf-8").replace("x[37, 2]", "x[5, 2]")
    if is_built:
        made = "optimizer = keras.optimizers.Adam(1e-2)\n"
        assert made in text
        text = text.replace(made, f"{made}optimizer.build(model.trainable_variables)\n")
    (tmp_path / "bad.py").write_text(text, encoding="utf-8")
    done = warm.stayfinite(tmp_path, "run", "--policy", "skip", "bad.py")
    assert done.returncode == 0, done.stderr
    by_hand = text.replace("range(0, 64, 8)", "range(8, 64, 8)")
    assert by_hand != text
    (tmp_path / "by_hand.py").write_text(by_hand, encoding="utf-8")
    assert ends(done) == ends(warm.script(tmp_path, "by_hand.py"))


def trained(spoil):
    """Losses, and all arrays of the state, of a training whose data `spoil` has written to."""
    torch.manual_seed(0)
    x, y = torch.randn(64, 4), torch.randn(64, 1)
    spoil(x, y)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for inputs, labels in DataLoader(TensorDataset(x, y), 8):
        loss = nn.functional.mse_loss(model(inputs), labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    moments = [value for state in optimizer.state.values() for value in state.values()]
    arrays = [*model.state_dict().values(), *moments, torch.get_rng_state()]
    return losses, [array.numpy().tobytes() for array in arrays]


def test_samples_at_fault_are_left_out(tmp_path):
    def with_nan(x, y):
        x[33, 1] = float("nan")

    def without_sample(x, y):
        x[33], y[33] = x[34], y[34]

    with (
        warnings.catch_warnings(record=True) as told,
        stayfinite.watching(keep=tmp_path, policy="rollback"),
    ):
        warnings.simplefilter("always")
        found = trained(with_nan)
    assert any("the step is made again without sample 1" in str(each.message) for each in told)
    # Weights, moving statistics, moments and the random state, also of the steps after it.
    assert found == trained(without_sample)
    written = json.loads((tmp_path / "incident-000004" / "incident.json").read_text())
    assert written["intervention"]["policy"] == "rollback"
