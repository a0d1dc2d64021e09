"""The policy "skip": a bad step leaves no trace, and too many in a row end the training."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.guard.policies import MAX_EXPLAINED_SKIPS
from tests.guard import nets
from tests.guard.loops import WrittenByHand

pytestmark = pytest.mark.filterwarnings("ignore:.*non-finite:RuntimeWarning")
# Each explanation compiles the step many times.
SLOW_IF_COMPILED = pytest.mark.slow_on("jax", "tensorflow")
NUM_BATCHES = nets.ROWS // nets.BATCH
NOT_ON_TORCH = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras runs single steps only on PyTorch"
)


def spoiled(data, bad):
    """The data with one NaN in each of the batches `bad`."""
    x, y = data
    x = x.copy()
    for batch in bad:
        x[batch * nets.BATCH + 2] = np.nan
    return x, y


def without(data, bad):
    """The data without the batches `bad`."""
    kept = [row for row in range(nets.ROWS) if row // nets.BATCH not in bad]
    return tuple(array[kept] for array in data)


def fitted(model, data, callbacks, **options):
    keras.utils.set_random_seed(1)
    options = {"epochs": 2, "batch_size": nets.BATCH, "shuffle": False, "verbose": 0, **options}
    return model.fit(*data, callbacks=callbacks, **options)


@pytest.mark.parametrize(
    ("build", "data", "bad", "options"),
    [
        pytest.param(nets.conv_net, nets.images, [1, 2], {}, marks=SLOW_IF_COMPILED),
        (nets.mlp, nets.table, [0], {}),
        pytest.param(nets.mlp, nets.table, [5], {"run_eagerly": True}, marks=SLOW_IF_COMPILED),
        pytest.param(
            nets.mlp,
            nets.table,
            [2],
            {"steps_per_execution": 4},
            marks=[NOT_ON_TORCH, SLOW_IF_COMPILED],
        ),
    ],
    ids=["two in a row", "the first", "the last, eager", "several steps a call"],
)
@pytest.mark.usefixtures("without_trials")
def test_training_is_that_of_the_data_without_the_batch(build, data, bad, options, tmp_path):
    plain = build(**options)
    expected = fitted(plain, without(data(), bad), [], validation_data=data())
    model = build(**options)
    guard = stayfinite.Guard("skip", keep=tmp_path)
    history = fitted(model, spoiled(data(), bad), [guard], validation_data=data())
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
    assert history.history == expected.history
    made = [(one.policy, one.epoch, one.batch, one.resumed_from) for one in guard.interventions]
    steps = [(epoch, batch) for epoch in range(2) for batch in bad]
    assert made == [("skip", e, b, e * NUM_BATCHES + b) for e, b in steps]
    assert history.interventions == guard.interventions


@SLOW_IF_COMPILED
def test_callbacks_of_a_batch_see_finite_logs_and_each_batch(tmp_path):
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append((batch, logs["loss"]))
    )
    fitted(
        nets.mlp(),
        spoiled(nets.table(), [0, 3]),
        [callback, stayfinite.Guard("skip", keep=tmp_path)],
    )
    assert [batch for batch, _ in seen] == [*range(NUM_BATCHES)] * 2
    assert np.isfinite([loss for _, loss in seen]).all()


class OwnLogs(keras.Sequential):
    """Its train step returns what no metric holds."""

    def train_step(self, *args):
        result = super().train_step(*args)
        if keras.backend.backend() != "jax":
            return {"mine": result["loss"]}
        logs, state = result
        return {"mine": logs["loss"]}, state


@SLOW_IF_COMPILED
def test_logs_of_an_own_train_step_are_those_of_the_step_before(tmp_path):
    def trained(data, *guards):
        keras.utils.set_random_seed(0)
        model = OwnLogs([keras.Input((5,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return fitted(model, data, guards).history

    bad = [NUM_BATCHES - 1]
    guard = stayfinite.Guard("skip", keep=tmp_path)
    expected = trained(without(nets.table(), bad))
    assert list(expected) == ["mine"]
    assert trained(spoiled(nets.table(), bad), guard) == expected


@SLOW_IF_COMPILED
def test_too_many_in_a_row_end_the_training(tmp_path):
    model = nets.mlp()
    expected = nets.state_of(model)
    guard = stayfinite.Guard("skip", keep=tmp_path, max_bad_steps=5)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fitted(model, spoiled(nets.table(), range(NUM_BATCHES)), [guard])
    assert caught.value.incident.where.step == 4
    assert caught.value.incident.cause.name == "bad-input"
    assert [one.step for one in guard.interventions] == [0, 1, 2, 3]
    named = [one.cause != "unknown" for one in guard.interventions]
    assert named == [True] * MAX_EXPLAINED_SKIPS + [False]
    nets.assert_bit_equal(nets.state_of(model)[: len(expected)], expected)


@SLOW_IF_COMPILED
def test_loop_written_by_hand(tmp_path):
    x, y = nets.table()
    y = y.astype("float32")[:, None]

    def trained(loop, spoil):
        losses = []
        for first in range(0, nets.ROWS, nets.BATCH):
            part = x[first : first + nets.BATCH].copy()
            if first == 3 * nets.BATCH:
                if not spoil:
                    continue
                part[2, 1] = np.nan
            loss = loop.step(part, y[first : first + nets.BATCH])
            losses.append(float(keras.ops.convert_to_numpy(loss)))
        return losses

    plain = WrittenByHand()
    expected = trained(plain, spoil=False)
    loop = WrittenByHand(functools.partial(stayfinite.guarded, policy="skip", keep=tmp_path))
    losses = trained(loop, spoil=True)
    # The fourth is that of the step that was left out.
    assert losses[:3] + losses[4:] == expected
    nets.assert_bit_equal(loop.arrays(), plain.arrays())
    assert [one.step for one in loop.guarded.interventions] == [3]


@SLOW_IF_COMPILED
def test_train_on_batch_returns_what_the_step_computed(tmp_path):
    model, plain = nets.mlp(), nets.mlp()
    x, y = nets.table()
    fitted(model, (x, y), [stayfinite.Guard("skip", keep=tmp_path)], epochs=1)
    fitted(plain, (x, y), [], epochs=1)
    bad = y[:8].copy()
    bad[0] = np.nan
    assert not np.isfinite(model.train_on_batch(x[:8], bad))
    assert model.train_on_batch(x[8:16], y[8:16]) == plain.train_on_batch(x[8:16], y[8:16])
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))


@pytest.mark.parametrize("number", [0, -1, 2.5, True])
def test_a_limit_that_is_no_number_of_steps_is_one_line(number):
    with pytest.raises(stayfinite.UsageError, match="max_bad_steps=") as caught:
        stayfinite.Guard("skip", max_bad_steps=number)
    assert "\n" not in str(caught.value)
