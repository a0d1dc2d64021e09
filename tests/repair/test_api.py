"""How the user's file can spell `maximum`, seen through the guard of one square root."""

import sys
import types

import jax.numpy as jnp
import pytest

from stayfinite.repair.dialects import SUBMODULES
from stayfinite.repair.libraries import LIBRARIES
from tests.repair.helpers import fake_module, marked, texts

IMPORTS = [
    ("from keras import ops", "ops.sqrt", "ops.maximum"),
    ("from keras import ops as K", "K.sqrt", "K.maximum"),
    ("import keras.ops as K", "K.sqrt", "K.maximum"),
    ("import keras", "keras.ops.sqrt", "keras.ops.maximum"),
    ("import keras as k", "k.ops.sqrt", "k.ops.maximum"),
    ("import keras\nK = keras.ops", "K.sqrt", "K.maximum"),
    ("from keras.ops import sqrt, maximum", "sqrt", "maximum"),
    ("from keras.ops import sqrt, maximum as m", "sqrt", "m"),
    ("from keras.ops import sqrt\nimport keras", "sqrt", "keras.ops.maximum"),
    ("import jax.numpy as jnp", "jnp.sqrt", "jnp.maximum"),
    ("import jax", "jax.numpy.sqrt", "jax.numpy.maximum"),
    ("from jax import numpy as jnp\nfrom keras import ops", "jnp.sqrt", "jnp.maximum"),
    ("from jax import lax, numpy as np", "lax.rsqrt", "np.maximum"),
    ("import jax.numpy as jnp\nfrom keras import ops", "ops.sqrt", "ops.maximum"),
    (
        "try:\n    from keras import ops as K\nexcept ImportError:\n    K = None",
        "K.sqrt",
        "K.maximum",
    ),
    ("import keras\nimport numpy as np", "keras.src.ops.sqrt", "keras.ops.maximum"),
]

BOTH = "import keras\nimport jax.numpy as jnp\n"


@pytest.mark.parametrize(("header", "sqrt", "maximum"), IMPORTS)
def test_the_words_of_the_file(header, sqrt, maximum):
    text = f"{header}\ndef f(x):\n    return «{sqrt}(x)»\n"
    found = texts(text, "singular-gradient")
    assert found == [f"{header}\ndef f(x):\n    return {sqrt}({maximum}(x, 1e-12))\n"]


@pytest.mark.parametrize(
    ("header", "body", "result"),
    [
        ("", "import keras.ops as K; return «K.sqrt(x)»", "K.sqrt(K.maximum(x, 1e-12))"),
        ("", "import keras; K = keras.ops; return «K.sqrt(x)»", "K.sqrt(K.maximum(x, 1e-12))"),
        (BOTH, "x = keras.ops.abs(x); return «x ** y»", "keras.ops.maximum(x, 1e-12) ** y"),
        (BOTH, "return «jnp.abs(x) ** .5»", "jnp.maximum(jnp.abs(x), 1e-12) ** .5"),
        (BOTH, "return «x ** .5»", "keras.ops.maximum(x, 1e-12) ** .5"),
        (BOTH, "return «self.K.sqrt(x)»", "self.K.sqrt(keras.ops.maximum(x, 1e-12))"),
    ],
)  # fmt: skip
def test_the_words_of_the_function(header, body, result):
    (found,) = texts(f"{header}def f(self, x):\n    {body}\n", "singular-gradient")
    assert found.endswith(f"return {result}\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import os\nfrom keras.ops import sqrt\ndef f(x): return «sqrt(x)»\n", 3),
        ("import os; import sys\ndef f(x): return «x ** .5»\n", 2),
        ("from os import (\n    path,\n)\n\ndef f(x): return «x ** .5»\n", 4),
        ('"""Text."""\ndef f(x): return «x ** .5»\n', 2),
        (
            '#!/bin/python\n"T"\nfrom __future__ import annotations\nf = lambda x: «x ** .5»\n',
            4,
        ),
        ("# a comment\n@print\n\ndef f(x): return «x ** .5»\n", 2),
        ("def f(x): return «x ** .5»\nimport os\n", 1),
        ("try:\n    import os\nexcept ImportError: pass\ndef f(x): return «x ** .5»\n", 1),
    ],
)
def test_an_import_is_added_where_there_is_none(text, line):
    (found,) = texts(text, "singular-gradient")
    lines = found.splitlines()
    assert lines[line - 1] == "from keras import ops"
    before = text.replace("«", "").replace("»", "").splitlines()
    assert [a for a in lines if a not in before][1:] == [a for a in lines if "ops.maximum(" in a]


@pytest.mark.parametrize(
    ("taken", "line"),
    [
        ("ops = 1", "import keras"),
        ("def ops(): pass", "import keras"),
        ("ops = keras = 1", "from keras import ops as keras_ops"),
    ],
)
def test_an_import_takes_no_name_that_is_in_use(taken, line):
    (found,) = texts(f"{taken}\ndef f(x): return «x ** .5»\n", "singular-gradient")
    assert found.startswith(f"{line}\n{taken}\n")


def test_no_free_name_at_all():
    taken = "ops = keras = keras_ops = 1"
    assert texts(f"{taken}\ndef f(x): return «x ** .5»\n", "singular-gradient") == []


def test_the_newline_of_the_file_ends_the_import():
    (found,) = texts("import os\r\ndef f(x): return «x ** .5»\r\n", "singular-gradient")
    assert found.startswith("import os\r\nfrom keras import ops\r\ndef f")


@pytest.mark.parametrize("argument", ["ops", "*ops", "**ops", "/, ops", "x, *, ops"])
def test_a_shadowed_name_is_not_a_module(argument):
    text = f"from keras import ops\ndef f(y, {argument}): return «y ** .5»\n"
    (found,) = texts(text, "singular-gradient")
    assert found.startswith("from keras import ops\nimport keras\n")
    assert "keras.ops.maximum(y, 1e-12) ** .5" in found


def test_a_function_of_the_user_is_not_taken_for_one_of_a_library():
    text = "from keras import ops\ndef sqrt(x): return x\ndef f(x): return «sqrt(x)»\n"
    assert texts(text, "singular-gradient") == []


def test_a_function_of_jax_that_another_library_offers_as_its_own(monkeypatch):
    fake_module(monkeypatch, "layers_of_others", "")
    monkeypatch.setattr(sys.modules["layers_of_others"], "root", jnp.sqrt, raising=False)
    text = "import layers_of_others as nn\nimport jax.numpy as jnp\ndef f(x): return «nn.root(x)»\n"
    (found,) = texts(text, "singular-gradient")
    assert "nn.root(jnp.maximum(x, 1e-12))" in found


def test_a_library_that_is_not_loaded_is_not_offered():
    assert "torch" not in sys.modules
    text = "import torch\ndef f(x): return «torch.sqrt(x)»\n"
    (found,) = texts(text, "singular-gradient")
    assert "from keras import ops\n" in found
    assert "torch.sqrt(ops.maximum(x, 1e-12))" in found
    assert "torch" not in sys.modules


def test_a_module_that_has_no_such_function_is_passed_over(monkeypatch):
    fake_module(monkeypatch, "keras.backend", "sqrt sum")
    text = "import keras.backend as K\nimport keras.ops\ndef f(x): return «K.sqrt(x)»\n"
    (found,) = texts(text, "singular-gradient")
    assert "K.sqrt(keras.ops.maximum(x, 1e-12))" in found


def test_the_old_backend_module_is_used_where_it_still_has_the_function(monkeypatch):
    fake_module(monkeypatch, "tf_keras", "")
    fake_module(monkeypatch, "tf_keras.backend", "sqrt maximum")
    text = "from tf_keras import backend as K\ndef f(x): return «K.sqrt(x)»\n"
    (found,) = texts(text, "singular-gradient")
    assert "K.sqrt(K.maximum(x, 1e-12))" in found


def test_the_loaded_module_knows_which_branch_of_an_import_was_taken(tmp_path, monkeypatch):
    text = (
        "try:\n    import gone as K\nexcept ImportError:\n    from keras import ops as K\n"
        "from helpers import *\n"
        "def f(x): return «K.sqrt(x)» + L.sum(x)\n"
    )
    path = tmp_path / "user.py"
    expression = marked(text, path)
    path.write_text(expression.source.text)
    module = types.ModuleType("user")
    module.__file__ = str(path)
    module.K = sys.modules["keras"].ops
    monkeypatch.setitem(sys.modules, "user", module)
    assert texts(text, "singular-gradient") != []
    from stayfinite.repair import candidates

    (edit,) = candidates(expression, "singular-gradient")
    assert "K.sqrt(K.maximum(x, 1e-12))" in edit.apply()


def test_every_function_of_tensorflow_is_spelled_from_its_root_module():
    homes = {home for home in LIBRARIES.spellings if home.partition(".")[0] == "tensorflow"}
    assert homes == {"tensorflow", *(f"tensorflow.{part}" for part in SUBMODULES["tensorflow"])}
