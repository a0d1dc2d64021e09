"""Cells of a notebook: the extension, timed cells, functions defined again, scripts."""

from __future__ import annotations

import pytest

from tests.kernel import running_kernel

SETUP = """\
import numpy as np, keras
from keras import ops as K
import stayfinite

def model_with(loss):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", loss)
    return model

x, y = np.ones((16, 2), "float32"), np.ones((16, 1), "float32")
x[9] = 0
with_nan = x.copy()
with_nan[9, 1] = np.nan
"""
LOSS = "def loss(y, p):\n    return K.mean(K.log(K.square(p)))\n"
FIT = "model_with(loss).fit(x, y, batch_size=4, shuffle=False, verbose=0)\n"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    with running_kernel(tmp_path_factory.mktemp("notebook")) as running:
        loaded = running.run("import sys\n%load_ext stayfinite\nprint('keras' in sys.modules)")
        assert loaded.printed == "False\n"
        assert running.run(SETUP).outputs == []
        yield running


def place(cell):
    """The line of the report with the place, and the line of source below it."""
    lines = cell.shown[-1]["text/plain"].split("\n")
    at = next(i for i, line in enumerate(lines) if "-->" in line)
    return lines[at].split("--> ")[1], lines[at + 2].partition("| ")[2].strip()


def test_the_extension_guards_fit_and_train_on_batch(kernel):
    kernel.run("model = model_with('mse')")
    stopped = kernel.run("model.fit(with_nan, y, batch_size=4, shuffle=False, verbose=0)")
    assert stopped.traceback == (
        "NonFiniteError: input `x` of the batch holds nan (input `x`, sample 1)"
    )
    loop = "for i in range(0, 16, 4):\n    model.train_on_batch(with_nan[i:i+4], y[i:i+4])"
    assert kernel.run(loop).traceback == stopped.traceback
    going_on = "print(np.isfinite(model.fit(x, y, verbose=0).history['loss'][0]))"
    assert kernel.run(going_on).printed == "True\n"


TORCH = """\
import torch
net = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(net.parameters(), 0.1)
points = torch.tensor([[1.0, 2.0]]).repeat(4, 1)
"""
LOOP = """\
for scale in (2.0, 3.0, 1.0, 2.0):
    loss = ((net(points) - net(points * scale)) ** 2).sum().sqrt()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_the_extension_guards_loops_over_torch_optim(kernel):
    cell = kernel.run(TORCH + LOOP)
    assert place(cell)[0] == f"Cell In [{cell.number}], line 6"
    assert f"the loop at Cell In [{cell.number}], line 5" in cell.shown[-1]["text/plain"]
    assert kernel.run("print(net.weight.isfinite().all().item())").printed == "True\n"


def test_a_watching_block_has_its_own_settings(kernel):
    block = "with stayfinite.watching(policy='skip'):\n    " + LOOP.replace("\n", "\n    ")
    cell = kernel.run(f"{TORCH}{block}\nprint(net.weight.isfinite().all().item())")
    assert cell.traceback is None
    assert "True\n" in cell.printed
    assert kernel.run(LOOP).traceback is not None


def test_a_function_of_a_timed_cell(kernel):
    cell = kernel.run(f"%%time\n{LOSS}{FIT}")
    assert place(cell) == (
        f"Cell In [{cell.number}], line 3 in loss",
        "return K.mean(K.log(K.square(p)))",
    )
    assert kernel.run("print(sys.last_value.incident.fix.diff is not None)").printed == "True\n"


def test_a_function_that_is_defined_again_is_that_of_the_last_cell(kernel):
    kernel.run(LOSS)
    cell = kernel.run("def loss(y, p):\n    unused = 1\n    return K.mean(K.log(K.abs(p)))")
    assert place(kernel.run(FIT)) == (
        f"Cell In [{cell.number}], line 3 in loss",
        "return K.mean(K.log(K.abs(p)))",
    )


def test_a_cell_is_found_by_its_text_where_ipython_does_not_name_it(kernel):
    """As in IPython 7, which Colab has."""
    compiler = "from IPython.core.compilerop import CachingCompiler as Compiler\n"
    kernel.run(f"{compiler}name = Compiler.format_code_name\ndel Compiler.format_code_name")
    cell = kernel.run(LOSS + FIT)
    kernel.run("Compiler.format_code_name = name")
    assert place(cell)[0] == f"Cell In [{cell.number}], line 2 in loss"


def test_a_script_that_is_run_has_its_file(kernel):
    (kernel.folder / "script.py").write_text(f"{SETUP}\n{LOSS}\n{FIT}", encoding="utf-8")
    line = SETUP.count("\n") + 3
    assert place(kernel.run("%run script.py")) == (
        f"script.py:{line}:19 in loss",
        "return K.mean(K.log(K.square(p)))",
    )


def test_the_report_is_displayed_once_in_each_cell_that_asks(kernel):
    stopped = kernel.run(LOSS + FIT)
    assert len(stopped.shown) == 1
    again = kernel.run("%tb")
    assert again.shown == stopped.shown
    assert again.traceback == stopped.traceback
    assert kernel.run("sys.last_value.incident").shown == stopped.shown
    shown = kernel.run("sys.last_value").shown[0]
    assert shown["text/html"] == stopped.shown[0]["text/html"]


def test_a_wrong_argument_is_one_line(kernel):
    assert kernel.run("stayfinite.Guard('nonsense')").traceback.startswith("UsageError: policy=")


def test_without_the_extension_nothing_is_guarded(kernel):
    kernel.run("model = model_with('mse')\nmodel.train_on_batch(x, y)")
    kernel.run("%unload_ext stayfinite")
    fit = "print(model.fit(with_nan, y, verbose=0).history)"
    assert kernel.run(fit).printed == "{'loss': [nan]}\n"
    kernel.run("%load_ext stayfinite")
    kernel.run("model = model_with('mse')")
    assert kernel.run(fit).traceback.startswith("NonFiniteError: ")
