"""A training that stays finite is the same training, bit for bit, with and without the guard."""

from __future__ import annotations

import keras
import pytest

import stayfinite
from tests.guard import nets

optimizers = keras.optimizers

CASES = {
    "conv, SGD with momentum": (
        nets.conv_net,
        nets.images,
        lambda: optimizers.SGD(0.05, momentum=0.9),
    ),
    "conv, AdamW": (nets.conv_net, nets.images, lambda: optimizers.AdamW(1e-2)),
    "mlp, Adam with clipnorm": (nets.mlp, nets.table, lambda: optimizers.Adam(1e-2, clipnorm=1.0)),
    "mlp, Adam with global_clipnorm and an average of the weights": (
        nets.mlp,
        nets.table,
        lambda: optimizers.Adam(1e-2, global_clipnorm=1.0, use_ema=True),
    ),
    "lstm, RMSprop": (nets.recurrent, nets.series, lambda: optimizers.RMSprop(1e-2)),
}


MARKS = {
    # The other cases have the same layers, the same momentum and a clipping of all gradients.
    "conv, SGD with momentum": pytest.mark.slow_on("jax", "tensorflow"),
    "mlp, Adam with clipnorm": pytest.mark.slow_on("jax", "tensorflow"),
    # A layer of more operations; the sentinel is the same.
    "lstm, RMSprop": pytest.mark.slow_on("jax"),
}
MARKED = [pytest.param(name, marks=MARKS.get(name, ())) for name in CASES]


@pytest.mark.parametrize("name", MARKED)
def test_same_bits_with_and_without_guard(name, tmp_path):
    build, data, optimizer = CASES[name]
    plain, guarded = build(optimizer()), build(optimizer())
    options = {"batch_size": nets.BATCH, "epochs": 4, "verbose": 0}
    keras.utils.set_random_seed(1)
    history = plain.fit(*data(), **options)
    keras.utils.set_random_seed(1)
    guard = stayfinite.Guard(keep=tmp_path)
    guarded_history = guarded.fit(*data(), callbacks=[guard], **options)
    nets.assert_bit_equal(nets.state_of(guarded), nets.state_of(plain))
    assert guarded_history.history == history.history


def test_same_bits_with_gradient_accumulation_and_mixed_precision(tmp_path):
    def build():
        policy = keras.mixed_precision.dtype_policy()
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
        try:
            return nets.mlp(optimizers.Adam(1e-2, gradient_accumulation_steps=2))
        finally:
            keras.mixed_precision.set_global_policy(policy)

    plain, guarded = build(), build()
    options = {"batch_size": nets.BATCH, "epochs": 2, "verbose": 0, "shuffle": False}
    plain.fit(*nets.table(), **options)
    guarded.fit(*nets.table(), callbacks=[stayfinite.Guard(keep=tmp_path)], **options)
    nets.assert_bit_equal(nets.state_of(guarded), nets.state_of(plain))


def test_nothing_is_kept_and_the_model_is_saved_as_it_is(tmp_path):
    model = nets.mlp()
    guard = stayfinite.Guard(keep=tmp_path / "kept")
    model.fit(*nets.table(), callbacks=[guard], verbose=0)
    assert not (tmp_path / "kept").exists()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    nets.assert_bit_equal(loaded.get_weights(), model.get_weights())
