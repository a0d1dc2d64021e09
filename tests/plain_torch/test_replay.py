"""`stayfinite replay` of an incident of a loop over `torch.optim`, by the script."""

from __future__ import annotations

import json
import shutil

import pytest

from tests import warm
from tests.plain_torch.test_scripts import HERE, run


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    _, file = run(folder, "repair_scaled")
    return folder, file["incidents"][0]


def replay(folder, *options):
    done = warm.stayfinite(
        folder, "replay", "stayfinite-out/incident-000005", "--json", "x.json", *options
    )
    written = folder / "x.json"
    text = written.read_text(encoding="utf-8") if written.exists() else ""
    written.unlink(missing_ok=True)
    return done, json.loads(text) if text else None


@pytest.mark.parametrize(
    ("change", "kind"), [(("without-samples=1,6",), "samples"), (("source",), "source")]
)
def test_a_change_gives_what_it_gave_in_the_training(stopped, change, kind):
    folder, incident = stopped
    done, result = replay(folder, "--script", "repair_scaled.py", "--change", *change)
    assert done.returncode == 0, done.stderr
    # Dropout, loss scale and both batches are those of the failing step: the loss has every digit.
    [shown] = [t["detail"] for t in incident["trials"] if t["kind"] == kind]
    assert shown.split(",")[0] in done.stderr
    assert result["verdict"] == "finite"
    assert "end " not in done.stderr, "the script has gone on"


def test_the_step_without_a_change(stopped):
    done, result = replay(stopped[0], "--script", "repair_scaled.py", "--times", "2")
    assert done.returncode == 3, done.stderr
    assert (result["verdict"], result["phase"]) == ("persistent", "forward")


def test_another_script_is_refused(stopped):
    folder, _ = stopped
    shutil.copy(HERE / "loader_in_module.py", folder)
    done, _ = replay(folder, "--script", "loader_in_module.py")
    assert done.returncode == 2
    assert "ended before a training that the incident is of" in done.stderr
    assert done.stderr.count("is not that of the incident (") == 1


def test_without_the_script_it_is_asked_for(stopped):
    done, _ = replay(stopped[0])
    assert done.returncode == 2
    assert "pass the training script with --script" in done.stderr


def test_a_step_with_fewer_batches_than_the_first_ones_is_found(tmp_path):
    _, file = run(tmp_path, "accumulated_rest")
    [incident] = file["incidents"]
    assert (incident["where"]["step"], incident["cause"]["name"]) == (4, "log-of-zero")
    command = ("replay", "stayfinite-out/incident-000004", "--script", "accumulated_rest.py")
    done = warm.stayfinite(tmp_path, *command)
    assert done.returncode == 3, done.stderr
    assert "end of the script" not in done.stderr
    assert "not that of the incident" not in done.stderr
    changed = warm.stayfinite(tmp_path, *command, "--change", "without-samples=2")
    assert changed.returncode == 0, changed.stderr
