"""Trainings in a deleted folder, in a forked child, and in several threads at once."""

from __future__ import annotations

import json

import pytest

from tests import warm

TRAIN = """
import os, shutil, sys, threading
import keras
import numpy as np

def loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.log(keras.ops.abs(y_pred)))

def train(is_bad=False, callbacks=()):
    x, y = np.ones((32, 3), "float32"), np.ones((32, 1), "float32")
    if is_bad:
        x[20] = 0
    model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", loss)
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=list(callbacks))
"""

DELETED = """
class Delete(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1:
            shutil.rmtree(os.getcwd())

os.makedirs(sys.argv[1], exist_ok=True)
os.chdir(sys.argv[1])
train(is_bad=sys.argv[2] == "bad", callbacks=[Delete()])
"""

FORKED = """
child = os.fork()
if child == 0:
    train(is_bad=True)
    sys.exit(0)
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
train()
"""

PROCESS = """
import multiprocessing

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    child = context.Process(target=train, args=(True,))
    child.start()
    child.join()
    print("child", child.exitcode, flush=True)
    train()
"""

THREADS = """
def one(number):
    try:
        train(is_bad=number == 2)
        print(f"{number} finite\\n", end="", flush=True)
    except ArithmeticError as error:
        print(f"{number} {error.incident.cause.name}\\n", end="", flush=True)

threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.fixture
def run(script, tmp_path):
    """Runs a script from a forked process; its exit code, and the lines that it printed."""

    def run(text, *args, options=("--json", "run.json")):
        done = warm.stayfinite(tmp_path, "run", *options, script(TRAIN + text), *args)
        return done.returncode, done.stderr.splitlines()

    return run


def run_file(tmp_path):
    return json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))


def origin_of(incident):
    origin = incident["origin"]
    return incident["cause"]["name"], incident["where"]["step"], origin["line"], origin["function"]


LOG = ("log-of-zero", 2, 7, "loss")


def test_deleted_working_directory_is_reported_right(run, tmp_path):
    code, lines = run(DELETED, str(tmp_path / "gone"), "bad")
    assert code == 3
    assert any(line.startswith("error[log-of-zero]") for line in lines)
    written = run_file(tmp_path)
    assert [origin_of(incident) for incident in written["incidents"]] == [LOG]
    assert written["incidents"][0]["fix"]["verified"]
    assert list(tmp_path.glob("stayfinite-out/*/last_good.weights.h5"))


@pytest.mark.parametrize("kind", ["bad", "good"])
def test_results_in_a_deleted_working_directory_are_written_all_the_same(run, tmp_path, kind):
    folder = tmp_path / "run"
    folder.mkdir()
    options = ("--json", str(folder / "run.json"), "--keep", str(folder / "kept"))
    code, _ = run(DELETED, str(folder), kind, options=options)
    assert code == (3 if kind == "bad" else 0)
    written = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert len(written["incidents"]) == (1 if kind == "bad" else 0)
    assert written["num_steps"] == (3 if kind == "bad" else 4)


@pytest.mark.parametrize("text", [FORKED, PROCESS], ids=["os.fork", "multiprocessing"])
def test_forked_child_has_its_own_report_and_the_parent_its_own_run_file(run, tmp_path, text):
    code, lines = run(text)
    child = 3 if text is FORKED else 1  # multiprocessing prints the traceback and exits with 1
    assert (code, lines.count(f"child {child}")) == (0, 1)
    assert "\n".join(lines).count("error[log-of-zero]") == 1
    written = run_file(tmp_path)
    assert (written["exit_code"], written["num_steps"], written["incidents"]) == (0, 4, [])
    (manifest,) = tmp_path.glob("stayfinite-out/*/incident.json")
    assert origin_of(json.loads(manifest.read_text(encoding="utf-8"))) == LOG


def test_bad_training_in_one_of_four_threads(run, tmp_path):
    code, lines = run(THREADS)
    assert code == 0
    assert {"0 finite", "1 finite", "2 log-of-zero", "3 finite"} <= set(lines)
    written = run_file(tmp_path)
    assert [origin_of(incident) for incident in written["incidents"]] == [LOG]
    assert written["num_steps"] == 3 * 4 + 3
