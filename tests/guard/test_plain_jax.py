"""The guard around steps of JAX without Keras: the promises that `fit` is given."""

from __future__ import annotations

import functools
import gc
import json
import os
import subprocess
import sys
import warnings
from contextlib import nullcontext

import keras
import numpy as np
import pytest

import stayfinite

if os.environ.get("KERAS_BACKEND") != "jax":
    pytest.skip("without Keras, on JAX", allow_module_level=True)
pytest.importorskip("optax")
pytest.importorskip("flax")
pytest.importorskip("equinox")

import jax
import jax.numpy as jnp
import optax
from safetensors.numpy import load_file

from stayfinite.frameworks.jax.plain import train_function
from stayfinite.frameworks.jax.plain.batch_leaves import batch_leaves
from stayfinite.frameworks.jax.plain.uncompiled_updates import UncompiledUpdates
from stayfinite.guard.jax_updates import JaxUpdates
from tests import warm
from tests.guard import plain_jax
from tests.guard.plain_jax import BAD_STEP, NUM_STEPS, STYLES, Functions


@pytest.fixture
def guard(tmp_path):
    return functools.partial(stayfinite.guarded, keep=tmp_path)


def assert_bit_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


def failure(training, step, bad=BAD_STEP):
    """The error of a training, and the arrays after each step that returned."""
    states = []
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for state in training.run(step, bad):
            states.append(state)
        step.check()
    return caught.value, states


# Those of Linen are in `test_plain_jax_bits.py`, too.
@pytest.mark.parametrize(
    "style", [pytest.param(s, marks=[pytest.mark.slow] if s == "linen" else []) for s in STYLES]
)
def test_same_bits_with_and_without_guard(guard, style):
    training = STYLES[style]()
    plain = list(training.run(training.step))
    step = guard(training.step)
    guarded = list(training.run(step))
    step.check()
    assert len(plain) == len(guarded) == NUM_STEPS
    for found, expected in zip(guarded, plain, strict=True):
        assert_bit_equal(found, expected)


EXPECTED = {
    "functions": ("log-of-zero", "jnp.log", (2,), "params/in"),
    "linen": ("singular-gradient", "jnp.sqrt", (2,), "state/params/Dense_0/kernel"),
    "nnx": ("bad-input", None, (2,), "model/hidden/kernel"),
    "equinox": ("masked-branch", "jnp.log", (2,), "model/layers/0/weight"),
}


# Most other tests explain a step of functions.
@pytest.mark.parametrize(
    "style", [pytest.param(s, marks=[pytest.mark.slow] if s == "functions" else []) for s in STYLES]
)
def test_a_bad_step_is_explained_and_its_fix_proved(guard, tmp_path, style):
    from safetensors.numpy import load_file

    training = STYLES[style]()
    error, _ = failure(training, guard(training.step))
    incident = error.incident
    cause, line, samples, weight = EXPECTED[style]
    assert incident.cause.name == cause, str(error)
    assert incident.where.step == BAD_STEP
    assert line is None or line in incident.source_line
    assert incident.origin.samples == samples
    assert incident.fix.verified, str(error)
    assert incident.backend == "jax"
    rate = next(trial for trial in incident.trials if trial.kind == "learning-rate")
    assert rate.outcome == "non-finite"
    kept = load_file(incident.kept.weights)
    assert weight in kept
    assert all(np.isfinite(array).all() for array in kept.values())


@pytest.mark.usefixtures("without_trials")
def test_the_state_is_that_of_the_last_good_step_however_late_the_flag_is_read(guard):
    training = Functions()
    expected = list(training.run(training.step))
    _, states = failure(training, guard(training.step))
    assert len(states) <= BAD_STEP + 2
    for number, state in enumerate(states):
        # The last array is the loss of the step.
        assert_bit_equal(state[:-1], expected[min(number, BAD_STEP - 1)][:-1])


@pytest.mark.parametrize("reads", [False, True], ids=["", "with the loss read"])
@pytest.mark.usefixtures("without_trials")
def test_quick_steps_are_noted_and_the_bad_one_is_found(guard, monkeypatch, reads):
    monkeypatch.setattr(train_function, "_QUICK", 60.0)
    bad, states, x = 40, [], np.empty(4, "float32")

    @jax.jit
    def plain(w, x):
        loss, grads = jax.value_and_grad(lambda w: jnp.mean(jnp.log(x * w)))(w)
        return w - 0.01 * grads, loss

    step, rng, w = guard(plain), np.random.default_rng(0), jnp.float32(1.0)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(bad + 50):
            x[:] = rng.uniform(1, 2, size=4)  # a loader fills the same memory
            x[2] *= number != bad
            w, loss = step(w, x)
            states.append(w)
            if reads:
                float(loss)
    incident = caught.value.incident
    assert (incident.where.step, incident.origin.samples) == (bad, (2,))
    assert len(states) <= bad + (4 if reads else 32)
    assert len({float(w) for w in states[:bad]}) == bad
    assert {float(w) for w in states[bad:]} == {float(states[bad - 1])}


@pytest.mark.parametrize("bad", [17, 19])
def test_a_bad_step_among_the_last_quick_ones_is_found_by_check(guard, monkeypatch, bad):
    monkeypatch.setattr(train_function, "_QUICK", 60.0)

    @jax.jit
    def plain(w, x):
        loss, grads = jax.value_and_grad(lambda w: jnp.mean(jnp.log(x * w)))(w)
        return w - 0.01 * grads, loss

    step, w = guard(plain), jnp.float32(1.0)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(20):
            x = np.random.default_rng(number).uniform(1, 2, size=4).astype("float32")
            x[2] *= number != bad
            w, _ = step(w, x)
        step.check()
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (bad, "log-of-zero")
    assert incident.origin.samples == (2,)


@pytest.mark.usefixtures("without_trials")
def test_a_loop_may_change_the_results_of_quick_steps(guard, monkeypatch):
    from safetensors.numpy import load_file

    monkeypatch.setattr(train_function, "_QUICK", 60.0)
    bad, states = 40, []

    @jax.jit
    def plain(params, x):
        loss, grads = jax.value_and_grad(lambda w: jnp.mean(jnp.log(x * w)))(params["w"])
        return {"params": {"w": params["w"] - 0.01 * grads}, "loss": loss}

    step, params, x = guard(plain), {"w": jnp.float32(1.0)}, jnp.ones(4)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(bad + 50):
            out = step(params, x * (number != bad))
            out.pop("loss")
            params = {"w": out["params"].pop("w")}
            states.append(float(params["w"]))
    assert caught.value.incident.where.step == bad
    kept = load_file(caught.value.incident.kept.weights)
    assert kept["params/w"] == np.float32(states[bad - 1])


def large_step():
    """A step of Adam on weights whose gradient is `x` in each row, and its first state."""
    optimizer = optax.adam(1e-3)

    def step(params, state, x):
        value, gradients = jax.value_and_grad(lambda p: jnp.sum(p["w"] * x))(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, value

    params = {"w": jnp.zeros((256, 256))}
    return step, (params, optimizer.init(params))


@pytest.mark.usefixtures("without_trials")
def test_a_slot_without_room_stops_the_step_that_filled_it(guard):
    step, (params, state) = large_step()
    guarded = guard(step)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(24):
            # The square of the gradient has no room in float32, and the weights stay finite.
            x = jnp.full(256, 1e20 if number == 20 else 1.0)
            params, state, _ = guarded(params, state, x)
        guarded.check()
    assert caught.value.incident.where.step == 20


def test_reading_large_arrays_does_not_change_the_bits(guard):
    step, first = large_step()
    ends = []
    for function in (jax.jit(step), guard(step)):
        params, state = first
        for number in range(20):
            x = jax.random.normal(jax.random.key(number), (256,))
            params, state, _ = function(params, state, x)
        ends.append([np.asarray(leaf) for leaf in jax.tree.leaves((params, state))])
    assert_bit_equal(*ends)


def test_a_number_of_python_in_the_state_gets_the_type_that_it_has_without_the_guard(guard):
    # A scale that was a number of Python widens the half precision of the next step.
    def step(state, x):
        def loss_of(w):
            y = x.astype("bfloat16") * state["scale"] @ w
            return jnp.mean(y**2).astype("float32")

        loss, gradient = jax.value_and_grad(loss_of)(state["w"])
        scale, mean = state["scale"] * jnp.float32(1.001), 0.9 * state["mean"] + 0.1 * loss
        w = state["w"] - 0.1 * gradient
        found = {"scale": scale, "mean": mean, "number": state["number"] + 1}
        return {"w": w, **found, "kept": state["kept"], "given": True}, (loss, False)

    ends = []
    for function in (jax.jit(step), guarded := guard(jax.jit(step))):
        state = {"w": jnp.full((4, 1), 0.37), "scale": 1.0, "mean": 0.0, "number": 0}
        state |= {"kept": False, "given": True}
        for number in range(4):
            state, rest = function(state, jax.random.normal(jax.random.key(number), (8, 4)))
        ends.append((state, rest))
    guarded.check()
    assert_bit_equal(*([np.asarray(leaf) for leaf in jax.tree.leaves(end)] for end in ends))
    for one, other in zip(*map(jax.tree.leaves, ends), strict=True):
        assert (one.dtype, one.weak_type) == (other.dtype, other.weak_type)


def test_numbers_of_python_stay_so_in_a_step_of_equinox(guard):
    eqx = pytest.importorskip("equinox")

    class Model(eqx.Module):
        w: jax.Array
        rate: float = 0.5
        is_on: bool = True

        def loss(self, x):
            return jnp.mean((x @ self.w * self.rate) ** 2) if self.is_on else jnp.sum(self.w)

    def step(model, x, number):
        loss, gradient = eqx.filter_value_and_grad(Model.loss)(model, x)
        update = jax.tree.map(lambda array: -0.1 * array, gradient)
        return eqx.apply_updates(model, update), (loss, number + 1, True)

    ends = []
    for function in (eqx.filter_jit(step), guarded := guard(eqx.filter_jit(step))):
        model, number = Model(jnp.full((4, 1), 0.37)), 0
        for _ in range(3):
            x = jax.random.normal(jax.random.key(number), (8, 4))
            model, (loss, number, is_right) = function(model, x, number)
        ends.append((np.asarray(model.w), np.asarray(loss)))
        assert (model.rate, model.is_on, number, is_right) == (0.5, True, 3, True)
        assert [type(value) for value in (model.rate, number)] == [float, int]
    guarded.check()
    assert_bit_equal(*ends)


def test_donated_arguments_are_not_donated(guard):
    jit = functools.partial(jax.jit, donate_argnums=(0, 1))
    training = Functions(jit=jit)
    params = {"in": jnp.ones((4, 5)), "out": jnp.ones(5)}
    step = guard(training.step)
    opt_state = training.tx.init(params)
    x, y = next(plain_jax.batches())
    step(params, opt_state, x, y)
    step.check()
    assert float(params["out"].sum()) == 5.0


@pytest.mark.usefixtures("without_trials")
def test_a_skipped_step_leaves_the_state_and_the_training_goes_on(guard):
    training = Functions()
    step = guard(training.step, policy="skip")
    with pytest.warns(RuntimeWarning):
        states = list(training.run(step, BAD_STEP))
    assert [made.step for made in step.interventions] == [BAD_STEP]
    assert_bit_equal(states[BAD_STEP][:-1], states[BAD_STEP - 1][:-1])
    assert all(np.isfinite(array).all() for array in states[-1])


def test_a_learning_rate_in_the_state_is_tried(guard):
    training = Functions(optax.inject_hyperparams(optax.sgd)(learning_rate=0.1))
    error, _ = failure(training, guard(training.step))
    rate = next(trial for trial in error.incident.trials if trial.kind == "learning-rate")
    assert rate.outcome == "non-finite"


@pytest.mark.parametrize("is_in_state", [False, True])
def test_a_rate_that_is_too_high_is_proved_and_lowered(guard, is_in_state):
    made = optax.inject_hyperparams(optax.sgd) if is_in_state else optax.sgd
    tx, w = made(learning_rate=100.0), jnp.ones(3)
    opt_state, x = tx.init(w), np.ones((4, 3), "float32")

    def step(w, opt_state, x):
        grads = jax.grad(lambda w: jnp.mean((x @ w - 1.0) ** 2))(w)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(w, updates), opt_state

    plain, begin = jax.jit(step), (w, opt_state)
    step = guard(plain, policy="rollback", state=("w", "opt_state"))
    with pytest.warns(RuntimeWarning) as told:
        for _ in range(30):
            w, opt_state = step(w, opt_state, x)
        step.check()
    (made,) = step.interventions
    assert any("learning rate" in str(warning.message) for warning in told)
    assert (made.cause, made.resumed_from) == ("divergence", 0)
    assert float(jnp.abs(w.sum() - 1.0)) < 2.0
    if is_in_state:
        # The steps before are undone, and the others are made with the lower rate.
        expected = begin
        expected[1].hyperparams["learning_rate"] = opt_state.hyperparams["learning_rate"]
        for _ in range(made.step, 30):
            expected = plain(*expected, x)
        assert_bit_equal(plain_jax.arrays_of((w, opt_state)), plain_jax.arrays_of(expected))


@pytest.mark.filterwarnings("ignore:.*non-finite:RuntimeWarning")
def test_samples_that_are_left_out_leave_no_trace_in_moments(guard):
    def trained(wrap, spoil):
        training = Functions(optax.adam(1e-2))
        step = wrap(training.step)
        params = {"in": jnp.full((4, 5), 0.1), "out": jnp.full(5, 0.1)}
        state = params, training.tx.init(params)
        for number, (x, y) in enumerate(plain_jax.batches()):
            if number == BAD_STEP:
                spoil(x, y)
            *state, loss = step(*state, x, y)
        return plain_jax.arrays_of((state, loss))

    def with_nan(x, y):
        x[2, 1] = np.nan

    def without_sample(x, y):
        x[2], y[2] = x[3], y[3]

    found = trained(lambda step: guard(step, policy="rollback"), with_nan)
    assert_bit_equal(found, trained(lambda step: step, without_sample))


def test_a_loop_inside_the_step_is_guarded_as_a_whole(guard):
    tx = optax.adam(0.1)

    def epoch(w, opt_state, xs):
        def one(carry, x):
            w, opt_state = carry
            # Nothing reads the loss of a turn, which is NaN where its gradient is.
            grads = jax.grad(lambda w: jnp.sum(w * x) / jnp.sum(x))(w)
            updates, opt_state = tx.update(grads, opt_state)
            return (optax.apply_updates(w, updates), opt_state), None

        (w, opt_state), _ = jax.lax.scan(one, (w, opt_state), xs)
        return w, opt_state

    step = guard(jax.jit(epoch))
    w, opt_state = jnp.ones(3), tx.init(jnp.ones(3))
    xs = np.ones((2, 3), "float32")
    w, opt_state = step(w, opt_state, xs)
    good = np.array(w)
    xs[1] = 0
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        w, opt_state = step(w, opt_state, xs)
        step.check()
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (1, "empty-reduction")
    assert (incident.where.phase, "/ jnp.sum(x)" in incident.source_line) == ("forward", True)
    assert_bit_equal([np.array(w)], [good])


def test_a_function_is_differentiated_inside_the_loss(guard):
    def score(w, x):
        return jax.grad(lambda x: jnp.sum(w * jnp.log(x)))(x)

    def step(w, count, x):
        loss, grad = jax.value_and_grad(lambda w: jnp.sum(score(w, x) ** 2))(w)
        return w - 0.1 * grad, count + 1, loss

    guarded = guard(jax.jit(step), state=("w", "count"))
    x = np.ones((4, 2), "float32")
    x[3] = 0
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        guarded(jnp.ones(2), jnp.asarray(0), x)
        guarded.check()
    incident = caught.value.incident
    assert (incident.cause.name, incident.origin.samples) == ("log-of-zero", (3,))


def test_the_members_of_an_ensemble_are_no_samples(guard):
    def loss_fn(w, x, weights):
        return jnp.sum(weights / jnp.sum(weights) * (x @ w) ** 2)

    def step(w, opt_state, x, weights):
        grad = jax.vmap(jax.value_and_grad(loss_fn), (0, None, 0))
        losses, grads = grad(w, x, weights)
        return w - 0.1 * grads, opt_state + 1, losses

    guarded = guard(jax.jit(step), state=("w", "opt_state"))
    w, count = jnp.ones((3, 2)), jnp.asarray(0)
    weights = np.ones((3, 5), "float32")
    weights[2] = 0
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        guarded(w, count, np.ones((5, 2), "float32"), weights)
        guarded.check()
    incident = caught.value.incident
    assert (incident.cause.name, incident.origin.samples) == ("empty-reduction", None)
    assert incident.spread.loss == "nan"
    assert incident.spread.num_gradients == 1


def test_the_weights_of_a_second_network_are_no_samples():
    shapes = {"target/0": (4, 32), "target/1": (32,), "batch/s": (16, 4), "batch/a": (16,)}
    leaves = batch_leaves(list(shapes), list(shapes.values()))
    assert [leaf.has_samples for leaf in leaves] == [False, False, True, True]


def test_a_static_argument_stays_one(guard):
    tx = optax.sgd(0.1)

    @functools.partial(jax.jit, static_argnames="num_layers")
    def step(w, opt_state, x, num_layers):
        def loss_fn(w):
            h = x
            for _ in range(num_layers):
                h = jnp.tanh(h * w)
            return jnp.sum(h)

        grads = jax.grad(loss_fn)(w)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(w, updates), opt_state

    w, x = jnp.ones(3), jnp.ones(3)
    expected, _ = step(w, tx.init(w), x, num_layers=2)
    guarded = guard(step)
    found, _ = guarded(w, tx.init(w), x, num_layers=2)
    guarded.check()
    assert_bit_equal([np.array(found)], [np.array(expected)])


@pytest.mark.parametrize("named", [{"static_argnames": "epoch"}, {"static_argnums": 2}])
def test_a_static_number_is_one_of_python(guard, named):
    @functools.partial(jax.jit, **named)
    def step(w, x, epoch):
        # In float64, which a traced number is not.
        rate = 0.1 / (epoch + 3) ** 1.3
        return w - rate * jax.grad(lambda w: jnp.sum(x * w**2))(w)

    ends = []
    for function in (step, guard(step)):
        w = jnp.linspace(1.0, 2.0, 7)
        for number in range(20):
            w = function(w, jnp.ones(7), number // 5)
        ends.append([np.asarray(w)])
    assert_bit_equal(*ends)


@pytest.mark.usefixtures("without_trials")
def test_what_is_read_is_found_for_each_shape_of_the_batch(guard):
    tx, w = optax.sgd(0.1, momentum=0.9), jnp.ones(3)

    def step(w, opt_state, x):
        updates, opt_state = tx.update(jax.grad(lambda w: jnp.sum(x * w))(w), opt_state)
        if len(x) < 4:
            # The weights do not show an infinite momentum any more.
            updates = jnp.clip(updates, -0.1, 0.1)
        return optax.apply_updates(w, updates), opt_state

    guarded, opt_state = guard(jax.jit(step)), tx.init(w)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number, rows in enumerate((4, 4, 2, 2, 2)):
            x = np.ones((rows, 3), "float32")
            x[0, 0] = np.inf if number == 3 else 1.0
            w, opt_state = guarded(w, opt_state, x)
        guarded.check()
    assert caught.value.incident.where.step == 3
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(opt_state))


@pytest.mark.usefixtures("without_trials")
def test_the_state_is_found_in_any_order_of_the_results(guard):
    tx, params = optax.sgd(0.1, momentum=0.9), {"w": jnp.ones(3)}

    def step(params, opt_state, x):
        gradients = jax.grad(lambda p: jnp.sum(x * p["w"]))(params)
        updates, opt_state = tx.update(gradients, opt_state)
        # The momentum has the tree of the weights, and comes first.
        return opt_state, optax.apply_updates(params, updates)

    guarded, opt_state = guard(jax.jit(step)), tx.init(params)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(5):
            x = jnp.full(3, np.nan if number == 2 else 1.0)
            opt_state, params = guarded(params, opt_state, x)
        guarded.check()
    assert caught.value.incident.where.step == 2
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((params, opt_state)))


def test_an_update_alone_keeps_its_weights_and_says_what_to_guard(guard, tmp_path):
    optimizer = optax.adam(0.1)

    def update(grads, opt_state, params):
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    params = {"w": jnp.ones(3)}
    opt_state, step = optimizer.init(params), guard(update)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for factor in (1.0, jnp.nan):
            params, opt_state = step({"w": jnp.full(3, factor)}, opt_state, params)
        step.check()
    incident = caught.value.incident
    assert "guard the function that computes loss, gradients and update" in incident.made_again
    saved = load_file(tmp_path / "incident-000001" / "last_good.safetensors")
    np.testing.assert_allclose(saved["params/w"], 0.9, rtol=1e-3)


def test_a_bad_update_of_one_of_two_networks_outside_of_jit_is_explained(tmp_path):
    updates = UncompiledUpdates(JaxUpdates(tmp_path))
    nets = {"one": optax.sgd(0.1, momentum=0.9), "two": optax.adam(0.1)}
    params = {name: {"w": jnp.ones(3)} for name in nets}
    states = {name: tx.init(params[name]) for name, tx in nets.items()}

    def loss_fn(p, x):
        return jnp.sum(x * p["w"])

    updates.install()
    try:
        with pytest.raises(stayfinite.NonFiniteError) as caught:
            for number in range(4):
                for name, tx in nets.items():
                    x = jnp.full(3, np.nan if (number, name) == (2, "two") else 1.0)
                    gradients = jax.grad(loss_fn)(params[name], x)
                    change, states[name] = tx.update(gradients, states[name], params[name])
                    params[name] = optax.apply_updates(params[name], change)
    finally:
        updates.close()
    assert (caught.value.incident.where.step, caught.value.incident.cause.name) == (5, "bad-input")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((params, states)))


def loss_of(w, b, x):
    return jnp.sum(jnp.sqrt(jnp.sum((x * w) ** 2, axis=1))) + jnp.sum(b)


class OwnUpdates:
    """Loops outside of `jax.jit` whose updates are operations on arrays."""

    def __init__(self):
        self.params = [jnp.ones(3), jnp.zeros(2)]
        self.velocity = [jnp.zeros(3), jnp.zeros(2)]

    def comprehension(self, x):
        compute = jax.value_and_grad(lambda params, x: loss_of(*params, x))
        _, gradients = compute(self.params, x)
        self.params = [p - 0.1 * g for p, g in zip(self.params, gradients, strict=True)]

    def names(self, x):
        w, b = self.params
        gradient, of_bias = jax.grad(loss_of, (0, 1))(w, b, x)
        b -= 0.1 * of_bias
        w -= 0.1 * gradient
        self.params = [w, b]

    def momentum(self, x):
        parts = jax.grad(lambda params, x: loss_of(*params, x))
        for total, gradient in enumerate(parts(self.params, x)):
            self.velocity[total] = 0.9 * self.velocity[total] + gradient
        for number, velocity in enumerate(self.velocity):
            # The argument of the calls is changed in place.
            self.params[number] = self.params[number] - 0.1 * velocity - 0.1 * 1e-3

    def sums(self, x):
        compute = jax.grad(lambda params, x: loss_of(*params, x))
        pairs = zip(self.params, compute(self.params, x), strict=True)
        self.params = [-0.1 * g + p * (1 - 1e-3) for p, g in pairs]

    def functions(self, x):
        compute = jax.grad(lambda params, x: loss_of(*params, x))
        pairs = zip(self.params, compute(self.params, x), strict=True)
        self.params = [jnp.subtract(p, 0.1 * g) for p, g in pairs]


@pytest.fixture
def updates(tmp_path):
    updates = UncompiledUpdates(JaxUpdates(tmp_path))
    updates.install()
    yield
    updates.close()


@pytest.mark.parametrize("bad_step", [0, 4])
@pytest.mark.parametrize(
    "style",
    [OwnUpdates.comprehension, OwnUpdates.names, OwnUpdates.momentum, OwnUpdates.sums],
)
@pytest.mark.usefixtures("updates")
def test_an_update_by_operators_outside_of_jit_is_judged_before_it_is_bound(style, bad_step):
    loop = OwnUpdates()
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(bad_step + 1):
            style(loop, jnp.ones((4, 3)).at[2].set(float(number != bad_step)))
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (bad_step, "singular-gradient")
    assert incident.origin.samples == (2,)
    assert all(np.isfinite(leaf).all() for leaf in loop.params)
    # The operators are those of JAX again.
    assert bool(jnp.isnan(jnp.ones(3) - jnp.nan).all())


@pytest.mark.parametrize("bad_step", [0, 4])
@pytest.mark.usefixtures("updates")
def test_an_update_by_functions_is_told_when_its_weights_are_used(bad_step):
    from safetensors.numpy import load_file

    loop = OwnUpdates()
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(bad_step + 2):
            loop.functions(jnp.ones((4, 3)).at[2].set(float(number != bad_step)))
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (bad_step, "singular-gradient")
    assert incident.kept.applied and "applied before it was seen" in str(caught.value)
    assert all(np.isfinite(a).all() for a in load_file(incident.kept.weights).values())


@pytest.mark.usefixtures("updates")
def test_products_of_bad_gradients_and_functions_of_other_arguments_stop_nothing():
    w, point = jnp.ones(3), jnp.ones(3)
    for number in range(8):
        gradient = jax.grad(lambda w, x: jnp.sum(jnp.sqrt(w * x)))(w, float(number < 3))
        (gradient * w).sum()
        w = jnp.add(w, -0.1 * jnp.nan_to_num(gradient))
        # Not trained: each call is at another point, where the gradient may be anything.
        jax.grad(lambda point: jnp.sum(jnp.sqrt(point)))(point)
        point = jnp.zeros(3) if number % 2 else jnp.ones(3)
    assert np.isfinite(w).all()


@pytest.mark.usefixtures("updates")
def test_arrays_that_are_not_finite_in_no_update_stop_nothing():
    weights = jnp.ones(3)
    for _ in range(5):
        gradient = jax.grad(lambda w: jnp.sum(jnp.sqrt(w * 0.0)))(weights)
        # The loop leaves the update out by itself.
        if bool(jnp.isfinite(gradient).all()):
            weights = weights - gradient
    assert weights.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("is_clipped", [True, False])
@pytest.mark.usefixtures("updates")
def test_an_update_that_clips_what_is_not_finite_is_told_once(is_clipped):
    def loss_fn(w, x):
        # The second result is infinite, and no gradient.
        return jnp.sum(jnp.sqrt(w * x)), 1.0 / jnp.sum(x)

    w = jnp.ones(3)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for number in range(5):
            gradient, _ = jax.grad(loss_fn, has_aux=True)(w, float(number < 2 or not is_clipped))
            change = jax.tree.map(lambda g: jnp.nan_to_num(g, nan=0.0, posinf=1.0), gradient)
            w = jax.tree.map(lambda p, c: p - 0.1 * c, w, change)
    assert np.isfinite(w).all()
    assert ["gradients of step 2" in str(each.message) for each in told] == [True] * is_clipped


@pytest.mark.usefixtures("updates")
def test_an_update_of_keras_outside_of_jit_is_judged():
    optimizer = keras.optimizers.Adam(0.1)
    variable = keras.Variable(np.ones((1, 3), "float32"))
    optimizer.build([variable])
    state = [variable.value], [v.value for v in optimizer.variables]
    compute = jax.value_and_grad(lambda weights, x: loss_of(weights[0], jnp.zeros(1), x))
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(4):
            _, gradients = compute(state[0], jnp.ones((4, 3)).at[2].set(float(number != 2)))
            state = optimizer.stateless_apply(state[1], gradients, state[0])
    assert caught.value.incident.cause.name == "singular-gradient"
    assert caught.value.incident.where.step == 2
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


def test_a_momentum_that_is_one_array_is_state(guard):
    def step(w, momentum, x):
        momentum = 0.9 * momentum + jax.grad(lambda w: jnp.sum(x * w))(w)
        return w - 0.1 * jnp.tanh(momentum), momentum, x * w

    guarded, w, momentum = guard(jax.jit(step)), jnp.ones(3), jnp.zeros(3)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(5):
            x = jnp.full(3, np.inf if number == 2 else 1.0)
            w, momentum, _ = guarded(w, momentum, x)
        guarded.check()
    assert (caught.value.incident.where.step, caught.value.incident.cause.name) == (2, "bad-input")
    assert np.isfinite(w).all() and np.isfinite(momentum).all()


def test_a_state_that_holds_the_last_gradient_is_kept(guard):
    training = Functions(optax.adan(1e-2))
    expected = list(training.run(training.step))
    _, states = failure(training, guard(training.step))
    for number, state in enumerate(states):
        # The last array is the loss of the step.
        assert_bit_equal(state[:-1], expected[min(number, BAD_STEP - 1)][:-1])


def test_a_step_that_leaves_out_bad_updates_is_not_stopped(guard):
    training = Functions(optax.apply_if_finite(optax.sgd(0.1), max_consecutive_errors=3))
    step = guard(training.step)
    states = list(training.run(step, BAD_STEP))
    step.check()
    assert len(states) == NUM_STEPS


def kept_where(is_finite, new, old):
    return jax.tree.map(lambda a, b: jnp.where(is_finite, a, b), new, old)


def kept_by_cond(is_finite, new, old):
    return jax.lax.cond(is_finite, lambda: new, lambda: old)


@pytest.mark.parametrize(
    ("choose", "is_test", "is_stopped"),
    [
        (kept_where, lambda norm: jnp.isfinite(norm), False),
        (kept_by_cond, lambda norm: jnp.isfinite(norm), False),
        # A new weight that is finite without such a test hides the gradient.
        (kept_where, lambda norm: norm < 1e3, True),
        (
            lambda is_finite, new, old: kept_where(
                is_finite, new, jax.tree.map(jnp.zeros_like, old)
            ),
            lambda norm: jnp.isfinite(norm),
            True,
        ),
    ],
)
def test_a_step_that_tests_its_gradients_and_keeps_the_old_weights_is_not_stopped(
    guard, choose, is_test, is_stopped
):
    @jax.jit
    def train_step(params, x):
        gradients = jax.grad(lambda params: jnp.sum(params["w"] * x))(params)
        new = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients)
        return choose(is_test(jnp.linalg.norm(gradients["w"])), new, params)

    step, params = guard(train_step), {"w": jnp.ones(3)}
    expectation = pytest.raises(stayfinite.NonFiniteError) if is_stopped else nullcontext()
    with expectation:
        for number in range(4):
            params = step(params, jnp.full(3, jnp.nan if number == 2 else 1.0))
        step.check()
    assert np.isfinite(params["w"]).all()


def test_without_a_state_among_the_results_there_is_one_line(guard):
    step = guard(jax.jit(lambda w, x: jax.grad(lambda w: jnp.sum(w * x))(w).sum()))
    with pytest.raises(stayfinite.UsageError, match="the argument 'w' of <lambda>") as caught:
        step(jnp.ones(3), jnp.ones(3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "is_asked", "told_of"),
    [(0.0, True, "nan, .* without any sample"), (1.0, False, "inf, .* a quotient at 0")],
)
def test_a_bad_loss_alone_is_told_once(guard, part, is_asked, told_of):
    def step(w, x, mask):
        def loss_fn(w):
            return jnp.sum(mask * (x @ w) ** 2) + jax.lax.stop_gradient(part / mask.sum())

        loss, grad = jax.value_and_grad(loss_fn)(w)
        return w - 0.1 * grad, loss

    def loop():
        guarded, w = guard(step), jnp.ones(2)
        for weight in (1.0, 0.0, 0.0, 1.0):
            w, _ = guarded(w, np.ones((3, 2), "float32"), np.full(3, weight, "float32"))
        if is_asked:
            guarded.check()
        return w

    with pytest.warns(RuntimeWarning, match=f"the loss of step 1 is {told_of}") as told:
        w = loop()
    assert len(told) == 1
    assert np.isfinite(w).all()


def test_a_bad_step_that_nobody_has_asked_about_is_reported(guard, capsys):
    def loop(is_cycle):
        def step(w, x):
            return w - 0.1 * jax.grad(lambda w: jnp.mean(jnp.log(x @ w)))(w)

        guarded, w = guard(step), jnp.ones(2)
        step.leads_back = guarded if is_cycle else None
        for scale in (1.0, 0.0):
            w = guarded(w, np.full((3, 2), scale, "float32"))

    loop(is_cycle=False)
    assert "error[log-of-zero]" in capsys.readouterr().err
    loop(is_cycle=True)
    gc.collect()
    assert "error[log-of-zero]" in capsys.readouterr().err


@pytest.mark.parametrize(("named", "message"), [(["weights"], "no argument"), (["x"], "come back")])
def test_a_wrong_name_of_the_state_is_one_line(guard, named, message):
    step = guard(lambda w, x: w - jax.grad(lambda w: jnp.sum(w * x))(w), state=named)
    with pytest.raises(stayfinite.UsageError, match=message):
        step(jnp.ones(3), jnp.ones(4)[:3].reshape(3, 1))


def test_a_prediction_of_the_shape_of_the_batch_is_no_state(guard):
    def step(w, x):
        def loss_fn(w):
            prediction = x * w
            return jnp.mean((prediction - x) ** 2), prediction

        grads, prediction = jax.grad(loss_fn, has_aux=True)(w)
        return w - 0.1 * grads, prediction

    guarded = guard(step)
    x = jnp.ones((2, 3))
    _, prediction = guarded(jnp.full(3, 2.0), x)
    guarded.check()
    assert float(prediction[0, 0]) == 2.0


WITHOUT_CHECK = """
import atexit, sys
import jax, jax.numpy as jnp, numpy as np
import stayfinite

@stayfinite.guarded
@jax.jit
def step(w, x, y):
    def loss_fn(w):
        p = jax.nn.sigmoid(x @ w)
        return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))

    loss, grad = jax.value_and_grad(loss_fn)(w)
    return w - 0.1 * grad, loss

def main():
    w = jnp.ones(2)
    for scale in (1.0, 1.0, -99.0):
        w, loss = step(w, np.full((4, 2), scale, "float32"), np.ones(4, "float32"))

atexit.register(lambda: print("Keras" if "keras" in sys.modules else "no Keras"))
main()
"""


@pytest.mark.parametrize(("command", "code"), [((), 0), (("-m", "stayfinite", "run"), 3)])
def test_a_bad_last_step_is_explained_at_exit_without_keras(tmp_path, command, code):
    (tmp_path / "train.py").write_text(WITHOUT_CHECK, encoding="utf-8")
    arguments = [sys.executable, *command, "train.py"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "error[log-of-zero]" in done.stderr, done.stderr
    assert "(verified" in done.stderr, done.stderr
    assert "shutdown" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert (done.returncode, done.stdout.split()) == (code, ["no", "Keras"])


OF_A_FUNCTION = WITHOUT_CHECK.replace("@stayfinite.guarded\n", "").replace(
    "    w = jnp.ones(2)\n", "    w, step = jnp.ones(2), stayfinite.guarded(globals()['step'])\n"
)
ENDINGS = {
    "deleted step": (OF_A_FUNCTION, 3),
    "sys.exit": (WITHOUT_CHECK + "sys.exit(0)\n", 3),
    "own error": (WITHOUT_CHECK + "raise ValueError('the loss is nan')\n", 1),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_run_reports_a_bad_last_step_however_the_script_ends(tmp_path, ending):
    text, code = ENDINGS[ending]
    (tmp_path / "train.py").write_text(text, encoding="utf-8")
    options = ("--json", "run.json", "--keep", "kept")
    done = warm.stayfinite(tmp_path, "run", *options, "train.py")
    told = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert (done.returncode, told["num_steps"]) == (code, 3), done.stderr
    assert done.stderr.count("error[log-of-zero]") == 1, done.stderr
    (incident,) = told["incidents"]
    assert (incident["where"]["step"], incident["cause"]["name"]) == (2, "log-of-zero")
    assert (tmp_path / "kept" / "incident-000002" / "last_good.safetensors").exists()


def test_the_saved_step_is_run_again_by_the_script(tmp_path):
    (tmp_path / "train.py").write_text(WITHOUT_CHECK, encoding="utf-8")
    warm.stayfinite(tmp_path, "run", "--keep", "kept", "train.py")
    options = ("replay", "kept/incident-000002", "--script", "train.py")
    done = warm.stayfinite(tmp_path, *options)
    assert done.returncode == 3 and "step 2: non-finite" in done.stderr, done.stderr
    done = warm.stayfinite(tmp_path, *options, "--change", "source")
    assert done.returncode == 0 and "step 2 with source: finite" in done.stderr, done.stderr


@pytest.mark.parametrize("in_scan", [False, True])
def test_a_weight_that_is_infinite_from_the_beginning_is_no_incident(guard, in_scan):
    optimizer = optax.sgd(0.1)

    def train_step(params, opt_state, xs):
        def loss_fn(params, x):
            return jnp.mean((x @ (params["w"] * (1.0 + jnp.exp(params["gate"])))) ** 2)

        def body(carry, x):
            loss, gradients = jax.value_and_grad(loss_fn)(carry[0], x)
            updates, opt_state = optimizer.update(gradients, carry[1])
            return (optax.apply_updates(carry[0], updates), opt_state), loss

        if in_scan:
            (params, opt_state), losses = jax.lax.scan(body, (params, opt_state), xs)
            return params, opt_state, losses
        (params, opt_state), loss = body((params, opt_state), xs[0])
        return params, opt_state, loss

    params = {"w": jnp.ones(4), "gate": jnp.asarray([-jnp.inf, 0.0, -jnp.inf, 0.5])}
    states = []
    for step in (jax.jit(train_step), guard(train_step)):
        state = params, optimizer.init(params)
        for number in range(3):
            state = step(*state, jnp.full((2, 3, 4), 0.1 * number))[:2]
        states.append(state)
    step.check()
    assert_bit_equal(jax.tree.leaves(states[1]), jax.tree.leaves(states[0]))
    with pytest.raises(stayfinite.NonFiniteError):
        step(*state, jnp.full((2, 3, 4), jnp.nan))
        step.check()
