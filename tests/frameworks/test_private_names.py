"""Private names of frameworks stand in files `private.py` and `private_*.py` only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.private_names import private_names

PACKAGE = Path(__file__).parents[2] / "src" / "stayfinite"
FOLDERS = {
    PACKAGE / "frameworks" / name
    for name in ("keras", "jax", "tensorflow", "torch", "torch/plain", "torch/plain/trainers")
}
HOMES = {
    folder / path.name
    for folder in FOLDERS
    for path in [Path("private.py"), *folder.glob("private_*.py")]
}


@pytest.mark.slow_on("jax", "tensorflow")
def test_no_private_name_of_a_framework_outside_its_file():
    files = set(PACKAGE.rglob("*.py"))
    assert files >= HOMES
    found = {
        str(path.relative_to(PACKAGE)): names
        for path in sorted(files - HOMES)
        if (names := private_names(path, PACKAGE))
    }
    assert found == {}


@pytest.mark.parametrize("home", sorted(HOMES), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_checker_sees_what_stands_in_these_files(home):
    assert private_names(home, PACKAGE) != []


@pytest.mark.parametrize(
    "line",
    [
        "import keras.src.trainers",
        "import jax._src.core as core",
        "import torch._C",
        "from keras.src import backend",
        "from keras import src",
        "from jax._src import core",
        "from jax import _src",
        "from torch import _foreach_norm",
        "from torch.utils._python_dispatch import TorchDispatchMode",
        "from tensorflow.python.eager import context",
        "from tensorflow import python",
        "keras.src.backend",
        "torch._foreach_norm(tensors)",
        "variable._value",
        "variable._value = 1",
        "optimizer.inner._learning_rate.value",
        "model()._flatten_layers()",
        "getattr(optimizer, '_velocities', ())",
        "setattr(model, '_jax_state_synced', True)",
        "hasattr(tensor, '_id')",
        "vars(optimizer)['_learning_rate']",
        "vars(optimizer).get('_learning_rate')",
        "model.__dict__.pop('_tracker', None)",
        "class Own(keras.callbacks.Callback):\n    def a(self):\n        self._model.stop()",
        "class Own(keras.Layer):\n    def build(self):\n        super()._track_variable(1)",
    ],
)
def test_the_checker_finds_each_way_to_a_private_name(line, tmp_path):
    file = tmp_path / "added.py"
    file.write_text(f"import keras, torch, jax\n\n{line}\n")
    assert len(private_names(file, tmp_path)) >= 1


@pytest.mark.parametrize(
    "line",
    [
        "import keras.trainers\nfrom torch.utils import data\nfrom tensorflow import keras",
        "import sys\nsys._getframe(1)",
        "import runpy\nvars(runpy)['_run_module_as_main']",
        "variable.__dict__['value'], variable.__class__",
        "class Own:\n    def __init__(self):\n        self._a = 1\n    def b(self, other):\n"
        "        return self._a + other._a",
        "[_ for _ in range(3)]",
    ],
)
def test_the_checker_leaves_own_and_public_names_alone(line, tmp_path):
    file = tmp_path / "added.py"
    file.write_text(f"import keras, torch, jax\n\n{line}\n")
    assert private_names(file, tmp_path) == []
