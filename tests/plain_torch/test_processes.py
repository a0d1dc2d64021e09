"""A training in two processes, whose gradients are their mean."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent / "scripts"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without processes"),
]


def free_port():
    """A port that no program uses, as text."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def ends_of(script, folder, *options, code):
    """What each of two processes that run `script` prints, and its incidents."""
    port = free_port()
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-m", "stayfinite", "run", "--json", "run.json", *options, script]
    running = []
    for rank in ("0", "1"):
        own = folder / rank
        own.mkdir()
        shutil.copy(HERE / script, own)
        environment = {**os.environ, **common, "RANK": rank}
        running.append(
            subprocess.Popen(command, cwd=own, env=environment, stderr=subprocess.PIPE, text=True)
        )
    told = [process.communicate(timeout=240)[1] for process in running]
    assert [process.returncode for process in running] == [code, code], "\n".join(told)
    files = [(folder / rank / "run.json").read_text(encoding="utf-8") for rank in ("0", "1")]
    return told, [json.loads(text)["incidents"][0] for text in files]


def incidents_of(script, folder):
    """The incident of each of two processes that run `script`."""
    return ends_of(script, folder, code=3)[1]


@pytest.mark.parametrize(
    "script",
    ["two_processes.py", "two_processes_by_slices.py", "two_processes_own_mean.py"],
)
def test_a_step_is_left_out_alike_and_one_process_tells_of_it(script, tmp_path):
    told, incidents = ends_of(script, tmp_path, "--policy", "skip", code=0)
    assert [text.count("the step is left out") for text in told] == [0, 1]
    assert [text.count("looking for its cause") for text in told] == [1, 0]
    assert "was left out in rank 0; it failed in rank 1" in incidents[0]["elsewhere"]
    weights = [(tmp_path / rank / "weights.txt").read_text(encoding="utf-8") for rank in ("0", "1")]
    assert weights[0] == weights[1]


def test_each_process_stops_and_one_names_the_cause(tmp_path):
    incidents = incidents_of("two_processes.py", tmp_path)
    # Sample 21 is in the third batch of the second process.
    assert [each["where"]["step"] for each in incidents] == [2, 2]
    assert [each["cause"]["name"] for each in incidents] == ["not-reproduced", "log-of-zero"]
    assert incidents[0]["recurrence"]["kind"] == "other-process"
    assert "failed in rank 1, which has the report" in incidents[0]["elsewhere"]
    assert incidents[1]["elsewhere"] == ""
    assert incidents[1]["origin"]["samples"] == [2]
    assert incidents[1]["made_again"].endswith("its loss bit-equal to training")


@pytest.mark.parametrize(
    ("script", "num_bad"), [("sharded_weights.py", 2), ("flattened_weights.py", 1)]
)
def test_a_bad_part_of_sharded_weights_stops_each_process(script, num_bad, tmp_path):
    incidents = incidents_of(script, tmp_path)
    assert [each["where"]["step"] for each in incidents] == [2, 2]
    assert [each["spread"]["num_gradients_nonfinite"] for each in incidents] == [0, num_bad]
    assert all("sharded over several processes" in each["made_again"] for each in incidents)
    assert "failed in rank 1, which has the report" in incidents[0]["elsewhere"]
    assert incidents[1]["elsewhere"] == ""


def test_a_function_in_processes_of_its_own_is_guarded(tmp_path):
    shutil.copy(HERE / "spawned.py", tmp_path)
    command = ["-m", "stayfinite", "run", "--json", "run.json", "spawned.py", free_port()]
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    # Of the process that has the row, whichever of both ended last.
    [incident] = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["incidents"]
    assert incident["where"]["step"] == 2
    assert incident["cause"]["name"] == "division-by-zero"
