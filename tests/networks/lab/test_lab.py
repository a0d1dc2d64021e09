import contextlib
import csv
import io
import json
import re
import subprocess
from pathlib import Path

import pytest

from stayfinite import cli
from stayfinite.networks.lab import running
from tests import warm
from tests.trainings import stayfinite

SPEC = """
[lab]
out = "out"
[defaults]
data = "{data}"
epochs = 1
size = 16
resize = 16
clip_length = 4
batch_size = 12
flip = false
filters = 4
[configurations.sound]
[configurations.wild]
# Infinite in float32, so the first update is bad.
learning_rate = 1e39
[configurations.dies]
depth = 17
"""


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


# `python -m`, from a process that has loaded Keras.
MODULE = """
import runpy, sys
sys.argv = {words}
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def forked(command, *, stdout, stderr, check):
    """`subprocess.run` of `python -m MODULE ...`, from a process that has loaded Keras."""
    assert (command[1], stderr, check) == ("-m", subprocess.STDOUT, False)
    done = warm.python(Path.cwd(), MODULE.format(words=command[2:]))
    stdout.write(done.stderr)
    return done


@pytest.fixture(scope="module")
def lab(videos, tmp_path_factory):
    cwd, printed = tmp_path_factory.mktemp("lab"), io.StringIO()
    (cwd / "he.toml").write_text(SPEC.format(data=videos))
    with pytest.MonkeyPatch.context() as patches, contextlib.redirect_stdout(printed):
        patches.chdir(cwd)
        patches.setattr(running.subprocess, "run", forked)
        assert cli.main(["lab", "he.toml"]) is None
    return cwd, printed.getvalue()


def test_each_configuration_ends_in_its_own_way(lab):
    cwd, printed = lab
    status = {row["configuration"]: row for row in rows_of(cwd / "out" / "table.csv")}
    assert {name: row["status"] for name, row in status.items()} == {
        "sound": "done",
        "wild": "non-finite",
        "dies": "failed",
    }
    assert "expected a depth of" in printed
    report = cwd / "out" / status["wild"]["report"]
    assert "error[" in report.read_text()


def test_every_step_has_its_loss_and_norms(lab):
    steps = rows_of(lab[0] / "out" / "sound" / "steps.csv")
    history = rows_of(lab[0] / "out" / "sound" / "history.csv")
    assert [int(row["step"]) for row in steps] == list(range(len(steps)))
    assert len(steps) == 24 // 12
    for row in steps:
        assert float(row["gradient_norm"]) > 0 and float(row["weight_norm"]) > 0
    first = [float(row["loss"]) for row in steps if row["epoch"] == "0"]
    assert sum(first) / len(first) == pytest.approx(float(history[0]["loss"]), rel=1e-4)


def test_the_figure_links_the_incident_to_its_report(lab):
    assert 'href="wild/report.txt"' in (lab[0] / "out" / "curves.svg").read_text()
    assert (lab[0] / "out" / "curves.png").stat().st_size > 10_000
    assert "[report](wild/report.txt)" in (lab[0] / "out" / "table.md").read_text()


def test_page_has_the_curves_and_leads_to_the_report(lab):
    out = lab[0] / "out"
    text = (out / "index.html").read_text(encoding="utf-8")
    assert len(text) < 2**21 and "://" not in text
    [link] = re.findall(r'href="\./([^"]+)"', text)
    assert link.startswith("wild/incidents/") and link.endswith("/incident.html")
    assert (out / link).is_file()
    assert "gradient norm" in text and "validation loss" in text


def test_again_it_trains_only_what_failed(lab):
    cwd, _ = lab
    before = {
        name: (cwd / "out" / name / "result.json").stat().st_mtime_ns
        for name in ("sound", "wild", "dies")
    }
    printed = stayfinite("lab", "he.toml", cwd=cwd)
    assert "dies: training" in printed
    assert "sound: training" not in printed and "wild: training" not in printed
    for name, time in before.items():
        changed = (cwd / "out" / name / "result.json").stat().st_mtime_ns != time
        assert changed == (name == "dies")
    result = json.loads((cwd / "out" / "sound" / "result.json").read_text())
    assert result["figures"]["val_loss"] > 0
