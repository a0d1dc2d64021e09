"""`stayfinite replay` runs the step of an incident folder again, in another process."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests import warm
from tests.checkpoints import hostile

# The loss is finite, and its gradient is not for one sample; the dropout draws from a generator
# that is in no variable on PyTorch.
OWN_LOSS = """
import pathlib
import sys

import keras
import numpy as np
from keras import ops


def loss(y_true, y_pred):
    difference = ops.where(y_true > 1.5, y_pred * 0, y_pred - y_true)
    return ops.mean(ops.sqrt(ops.sum(ops.square(difference), axis=-1)))


class Note(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        pathlib.Path("began").touch()


keras.utils.set_random_seed(0)
other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="other")])
other.compile("sgd", loss="mse")
model = keras.Sequential(
    [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(int((sys.argv + ["3"])[1]))]
)
model.compile("adam", loss=loss)
x, y = np.random.default_rng(0).normal(size=(32, 4)), np.ones((32, model.outputs[0].shape[1]))
y[20] = 2.0
other.fit(x, y[:, :3], verbose=0)
try:
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[Note()])
finally:
    pathlib.Path("ended").touch()
"""

OF_KERAS = """
import keras
import numpy as np

keras.utils.set_random_seed(0)
inputs = {name: keras.Input((4,), name=name) for name in ("b", "a")}
hidden = keras.layers.BatchNormalization()(keras.layers.Dense(3)(inputs["b"] + inputs["a"]))
model = keras.Model(inputs, keras.ops.square(keras.layers.Dropout(0.5)(hidden)))
model.compile(keras.optimizers.Adam(0.1), loss="mse", metrics=["mae"])
x, y = np.random.default_rng(0).normal(size=(16, 4)), np.ones((16, 3))
x[13, 2] = np.nan
model.fit({"a": x, "b": -2 * x}, y, batch_size=8, shuffle=False, verbose=0)
"""


LOOP = """
import keras
import torch
from distances import distance

import stayfinite

keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
optimizer = keras.optimizers.SGD(0.1, momentum=0.9)


def train_step(x, y):
    loss = distance(y, model(x))
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        optimizer.apply([v.value.grad for v in model.trainable_weights], model.trainable_weights)
    return loss


step = stayfinite.guarded(train_step, model, optimizer)
for number in range(3):
    x = torch.ones((8, 4))
    step(x, model(x).detach() if number == 2 else torch.zeros((8, 1)))
step.check()
"""

DISTANCES = """
from keras import ops


def distance(a, b):
    return ops.mean(ops.sqrt(ops.sum(ops.square(a - b), axis=-1)))
"""


def guarded(folder, text, *args):
    (folder / "train.py").write_text(text)
    done = warm.stayfinite(folder, "run", "train.py", *args)
    assert done.returncode == 3, done.stderr
    for name in ("began", "ended"):
        (folder / name).unlink(missing_ok=True)
    return folder


def replayed(folder, *options, incident="stayfinite-out/incident-000002"):
    done = warm.stayfinite(folder, "replay", incident, "--json", "result.json", *options)
    text = (folder / "result.json").read_text()
    (folder / "result.json").unlink()
    return done, json.loads(text) if text else None


def refused(folder, *options, **keys):
    done, result = replayed(folder, *options, **keys)
    assert done.returncode == 2
    assert result is None
    # TensorFlow writes a line of its own where there is no GPU.
    lines = [line for line in done.stderr.splitlines() if line.startswith("stayfinite: ")]
    lines = [line for line in lines if "is not that of the incident (" not in line]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.fixture(scope="module")
def own_loss(tmp_path_factory):
    return guarded(tmp_path_factory.mktemp("own"), OWN_LOSS)


@pytest.fixture(scope="module")
def of_keras(tmp_path_factory):
    return guarded(tmp_path_factory.mktemp("keras"), OF_KERAS)


def saved_spread(folder, number="000002"):
    path = folder / "stayfinite-out" / f"incident-{number}" / "incident.json"
    return json.loads(path.read_text())["spread"]


def test_with_the_script(own_loss):
    done, result = replayed(own_loss, "--script", "train.py", "--times", "2")
    assert done.returncode == 3, done.stderr
    assert "step 2 (epoch 0, batch 2): non-finite" in done.stderr
    assert "'sequential' is not that of the incident" in done.stderr
    assert result["phase"] == "backward"
    assert result["spread"] == saved_spread(own_loss)
    assert result["runs"] == ["non-finite", "non-finite"]
    assert result["verdict"] == "persistent"
    # Nothing of the script runs from the step on, and callbacks have not begun.
    assert not (own_loss / "began").exists()
    assert not (own_loss / "ended").exists()


@pytest.mark.parametrize(
    "change, code",
    [
        ("learning-rate=/10", 3),
        ("learning-rate=0.5", 3),
        ("clipnorm=1", 3),
        ("clipvalue=0.5", 3),
        ("dtype=float64", 3),
        ("float64", 3),  # as reports name it
        ("without-samples=4", 0),
        ("source", 0),
        ("fix", 0),
    ],
)
def test_one_change(own_loss, change, code):
    before = (own_loss / "train.py").read_bytes()
    done, result = replayed(own_loss, "--script", "train.py", "--change", change)
    assert done.returncode == code, done.stderr
    assert result["changes"] == [change]
    assert result["finite"] is (code == 0)
    assert (own_loss / "train.py").read_bytes() == before


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the same on each backend")
def test_a_copy_of_the_script_is_patched_where_the_diff_fits(own_loss):
    (own_loss / "moved").mkdir()
    copy = own_loss / "moved" / "renamed.py"
    copy.write_bytes((own_loss / "train.py").read_bytes())
    done, result = replayed(own_loss, "--script", "moved/renamed.py", "--change", "fix")
    assert done.returncode == 0, done.stderr
    assert result["finite"] is True
    # The diff fits the original only, which this script does not run.
    copy.write_text("\n\n" + OWN_LOSS)
    message = refused(own_loss, "--script", "moved/renamed.py", "--change", "fix")
    assert f"{(own_loss / 'train.py').resolve()}, which this script does not use" in message


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the same on each backend")
def test_the_command_on_the_page_has_the_arguments(tmp_path):
    guarded(tmp_path, OWN_LOSS, "4")
    page = tmp_path / "stayfinite-out" / "incident-000002" / "incident.html"
    shown = re.findall(r"<code>stayfinite (replay .*?)</code>", page.read_text(encoding="utf-8"))
    texts = [shlex.split(html.unescape(text)) for text in shown]
    assert [words[2:] for words in texts] == [
        ["--script", "train.py", "--", "4"],
        ["--script", "train.py", "--change", "fix", "--", "4"],
    ]
    assert warm.stayfinite(tmp_path, *texts[1]).returncode == 0


def test_without_a_script(of_keras):
    folder = "stayfinite-out/incident-000001"
    done, result = replayed(of_keras, incident=folder)
    assert done.returncode == 3, done.stderr
    assert result["phase"] == "data"
    assert result["spread"] == saved_spread(of_keras, "000001")
    done, result = replayed(of_keras, "--change", "fix", incident=folder)
    assert done.returncode == 0, done.stderr
    # With the script it is the same step, with the same random numbers.
    _, with_script = replayed(of_keras, "--change", "fix", "--script", "train.py", incident=folder)
    assert with_script["spread"] == result["spread"]
    done, _ = replayed(
        of_keras, "--change", "without-samples=5", "--change", "dtype=float64", incident=folder
    )
    assert done.returncode == 0, done.stderr


# Without the frames of Keras, an error of Keras seems to be one of the package.
IN_HALF_PRECISION = """
keras.config.disable_traceback_filtering()
keras.config.set_dtype_policy("mixed_float16")
keras.utils.set"""


def test_half_precision_without_a_script(tmp_path):
    text = OF_KERAS.replace("\nkeras.utils.set", IN_HALF_PRECISION).replace("np.nan", "1e6")
    folder = guarded(tmp_path, text)
    done, result = replayed(folder, incident="stayfinite-out/incident-000001")
    assert done.returncode == 3, done.stderr
    assert result["spread"] == saved_spread(folder, "000001")


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the loop is one of PyTorch")
def test_a_loop_with_a_mistake_in_a_module(tmp_path):
    (tmp_path / "distances.py").write_text(DISTANCES)
    guarded(tmp_path, LOOP)
    for change, code in (("clipnorm=1", 3), ("source", 0)):
        done, result = replayed(tmp_path, "--script", "train.py", "--change", change)
        assert done.returncode == code, done.stderr
        assert result["phase"] == ("backward" if code else None)
    # The diff is of another text than that of the file now.
    (tmp_path / "distances.py").write_text(DISTANCES.replace("a - b", "b - a"))
    message = refused(tmp_path, "--script", "train.py", "--change", "source")
    assert "is not the text that the diff was made of" in message


def test_state_and_data_from_elsewhere(of_keras, tmp_path):
    folder = of_keras / "stayfinite-out" / "incident-000001"
    batch = load_file(folder / "batch.safetensors")
    save_file(
        {name: np.nan_to_num(array) for name, array in batch.items()}, tmp_path / "b.safetensors"
    )
    done, result = replayed(
        of_keras, "--step-from", str(tmp_path / "b.safetensors"), incident=str(folder)
    )
    assert done.returncode == 0, done.stderr
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    state = load_file(other / "state.safetensors")
    state["dense/kernel"] = np.full_like(state["dense/kernel"], np.inf)
    save_file(state, other / "state.safetensors")
    done, result = replayed(
        of_keras,
        *("--step-from", str(tmp_path / "b.safetensors"), "--step-from", str(other)),
        incident=str(folder),
    )
    assert done.returncode == 3, done.stderr
    assert result["phase"] == "load"


def test_another_model(own_loss, of_keras):
    message = refused(own_loss, "--script", "train.py", "5")
    assert "has the shape (4, 5), and (4, 3) in the incident" in message
    other = str(of_keras / "stayfinite-out" / "incident-000001")
    message = refused(own_loss, "--script", "train.py", incident=other)
    assert "before a training that the incident is of" in message


@pytest.mark.parametrize(
    "options, says",
    [
        (["--change", "momentum=1"], "--change momentum=1: not a change"),
        (["--change", "clipnorm=nan"], "expected a number above 0"),
        (["--change", "without-samples=1,x"], "expected samples counted from 0"),
        (["--script", "train.py", "--change", "without-samples=8"], "has samples 0 to 7"),
        (["--change", "source"], "pass it with --script"),
        (["--step-from", "nowhere.safetensors"], "nowhere.safetensors: cannot be read"),
        ([], "the incident has no config of its model"),
        (["--script", "nothing.py"], "ended with code 2"),
    ],
)
def test_what_cannot_be_run_is_one_line(own_loss, options, says):
    done, _ = replayed(own_loss, *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["replay.json", "batch.safetensors", "state.safetensors"])
def test_missing_damaged_and_endless_files(of_keras, tmp_path, name):
    for write in (None, hostile.fifo, hostile.sparse, lambda path: path.write_bytes(b"[" * 9999)):
        folder = tmp_path / f"incident-{getattr(write, '__name__', None)}"
        shutil.copytree(of_keras / "stayfinite-out" / "incident-000001", folder)
        (folder / name).unlink()
        if write is not None:
            write(folder / name)
        assert name in refused(of_keras, incident=str(folder))


@pytest.mark.parametrize(
    "module, name, config",
    [
        ("os", "system", "true"),
        ("keras.utils", "get_file", {}),
        ("keras.layers", "Lambda", {}),
        ("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
        ("keras.layers", "TorchModuleWrapper", {}),
        ("keras.src.saving.serialization_lib", "enable_unsafe_deserialization", {}),
        ("builtins", "function", "eval"),
        ("keras.layers", "Dense", {"units": 10**12, "name": "dense"}),
    ],
)
def test_the_config_of_a_stranger_runs_no_code(of_keras, tmp_path, module, name, config):
    folder = tmp_path / "incident"
    shutil.copytree(of_keras / "stayfinite-out" / "incident-000001", folder)
    record = json.loads((folder / "replay.json").read_text())
    layers = record["model"]["model"]["config"]["layers"]
    dense = next(layer for layer in layers if layer["class_name"] == "Dense")
    dense.update(module=module, class_name=name, registered_name=None, config=config)
    (folder / "replay.json").write_text(json.dumps(record))
    message = refused(of_keras, incident=str(folder))
    assert "cannot be made of the config in the incident" in message
    assert (module in message) or "more weights than" in message
