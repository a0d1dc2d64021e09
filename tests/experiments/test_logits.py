"""The last activation moved into the loss: the edit, and the fix that it makes possible."""

from __future__ import annotations

import ast

import keras
import numpy as np
import pytest
from keras import layers, ops

import stayfinite
from stayfinite.frameworks.keras import creation
from stayfinite.repair import SourceFile, activation_of, find_expression, moved
from stayfinite.repair.metrics_of_logits import metric_edits

HEAD = "import keras\nfrom keras import layers, ops\n\n"
LOSS = "def loss(y, p):\n    return -ops.mean(y * ops.log(p) + (1 - y) * ops.log(1 - p))\n\n\n"


def edited(text, layer, call, reader="p", num_outputs=1):
    """`text` with the activation of the layer made by `call` moved to where `reader` is read."""
    source = SourceFile("train.py", text)
    nodes = list(ast.walk(source.tree))
    made = next(n for n in nodes if isinstance(n, ast.Call) and source.text_of(n) == call)
    span = source.span(*source.range_of(made))
    removal = activation_of(layer, find_expression(source, span))
    reads = [n for n in nodes if isinstance(n, ast.expr) and source.text_of(n) == reader]
    first = min(reads, key=lambda n: (n.lineno, n.col_offset))
    edit = moved(removal, [first], num_outputs)
    return None if edit is None else edit.apply()


@pytest.mark.parametrize(
    ("layer", "call", "model", "after"),
    [
        (
            layers.Dense(1, activation="sigmoid"),
            'layers.Dense(1, activation="sigmoid", use_bias=False)',
            'm = keras.Sequential([layers.Dense(1, activation="sigmoid", use_bias=False)])\n',
            "m = keras.Sequential([layers.Dense(1, use_bias=False)])\n",
        ),
        (
            layers.Dense(1, "sigmoid"),
            'layers.Dense(1, "sigmoid")',
            'out = layers.Dense(1, "sigmoid")(x)\n',
            "out = layers.Dense(1)(x)\n",
        ),
        (
            layers.Activation("sigmoid"),
            'layers.Activation("sigmoid", name="p")',
            'out = layers.Activation("sigmoid", name="p")(layers.Dense(1)(x))\n',
            "out = layers.Dense(1)(x)\n",
        ),
        (
            layers.Activation("sigmoid"),
            'layers.Activation("sigmoid")',
            'm = keras.Sequential()\nm.add(layers.Dense(1))\nm.add(layers.Activation("sigmoid"))\n',
            "m = keras.Sequential()\nm.add(layers.Dense(1))\n",
        ),
    ],
    ids=["keyword", "position", "functional", "add"],
)
def test_the_activation_is_taken_from_the_layer(layer, call, model, after):
    found = edited(HEAD + LOSS + model, layer, call)
    assert found.endswith(after)
    assert "def loss(y, logits):\n    p = ops.sigmoid(logits)\n" in found


SOFTMAX = layers.Dense(3, activation="softmax")
CALL = 'layers.Dense(3, activation="softmax")'


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (
            "def loss(y, p):\n    return -ops.sum(y * ops.log(p))\n",
            "def loss(y, p):\n    return -ops.sum(y * ops.log(ops.softmax(p)))\n",
        ),
        (
            "class M(keras.Model):\n"
            "    def compute_loss(self, x=None, y=None, p=None, **rest):\n"
            "        return -ops.sum(y * ops.log(p)) + ops.sum(p)\n",
            "class M(keras.Model):\n"
            "    def compute_loss(self, x=None, y=None, p=None, **rest):\n"
            "        probabilities = ops.softmax(p)\n"
            "        return -ops.sum(y * ops.log(probabilities)) + ops.sum(probabilities)\n",
        ),
        (
            "class M(keras.Model):\n"
            "    def compute_loss(self, x=None, y=None, p=None, **rest):\n"
            "        p = ops.clip(p, 1e-9, 1.0)\n"
            "        return -ops.sum(y * ops.log(p))\n",
            "class M(keras.Model):\n"
            "    def compute_loss(self, x=None, y=None, p=None, **rest):\n"
            "        logits = p\n"
            "        p = ops.softmax(logits)\n"
            "        p = ops.clip(p, 1e-9, 1.0)\n"
            "        return -ops.sum(y * ops.log(p))\n",
        ),
    ],
    ids=["read once", "passed by keyword", "bound again"],
)
def test_the_activation_is_applied_where_the_output_is_read(loss, expected):
    model = f"\n\nm = keras.Sequential([{CALL}])\n"
    found = edited(HEAD + loss + model, SOFTMAX, CALL, num_outputs=3)
    assert found == HEAD + expected + "\n\nm = keras.Sequential([layers.Dense(3)])\n"


METRICS = {
    "['accuracy']": '[keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")]',
    "[keras.metrics.Precision()]": "[keras.metrics.Precision(thresholds=0.0)]",
    "[keras.metrics.BinaryAccuracy(threshold=0.9)]": (
        "[keras.metrics.BinaryAccuracy(threshold=2.19722)]"
    ),
    "[keras.metrics.AUC(name='a')]": "[keras.metrics.AUC(name='a', from_logits=True)]",
    "[]": "[]",
    "['mse']": None,
    "METRICS": None,
}


@pytest.mark.parametrize("before", METRICS)
def test_metrics_of_logits(before):
    source = SourceFile("train.py", f"import keras\nm.compile('sgd', loss, metrics={before})\n")
    found = metric_edits(source, "sigmoid", 1)
    if METRICS[before] is None:
        assert found is None
        return
    text = source.text
    for piece in sorted(found, reverse=True):
        text = text[: piece.start] + piece.text + text[piece.end :]
    assert text == f"import keras\nm.compile('sgd', loss, metrics={METRICS[before]})\n"


def log_loss(y, p):
    return -ops.mean(y * ops.log(p) + (1 - y) * ops.log(1 - p))


X = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")
X[13] = (300.0, 0.0)
Y = (X[:, :1] < 0).astype("float32")


def stopped(keep, **settings):
    creation.record()
    model = keras.Sequential(
        [layers.Dense(1, activation="sigmoid", kernel_initializer="ones", use_bias=False)]
    )
    model.compile(keras.optimizers.SGD(1e-6), loss=log_loss)
    guard = stayfinite.Guard(keep=keep, **settings)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
    return caught.value.incident


def test_a_saturated_sigmoid_is_removed_with_the_loss_written_from_logits(tmp_path):
    incident = stopped(tmp_path)
    logits = X[8:16].sum(axis=1, keepdims=True).astype("float64")
    exact = np.mean(np.logaddexp(0, logits) - Y[8:16] * logits)
    fix = incident.fix
    assert (fix.verified, fix.value) == (True, "exact")
    assert fix.loss == pytest.approx(exact, rel=1e-4)
    assert "log_sigmoid" in fix.diff
    assert "apply the sigmoid to what it returns" in fix.text


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # what the policy says
def test_it_is_not_made_in_the_running_program(tmp_path):
    """What reads the predictions later would get logits."""
    plain = log_loss.__code__
    incident = stopped(tmp_path, policy="repair")
    assert incident.fix.verified
    assert log_loss.__code__ is plain
