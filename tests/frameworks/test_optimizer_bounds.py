"""Each row of the table of optimizer bounds, held against real updates of the real optimizer."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stayfinite.frameworks.keras import optimizer_bounds
from stayfinite.frameworks.keras.optimizer_bounds import Sizes
from stayfinite.frameworks.keras.optimizer_table import AVERAGE, REST, TABLE

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="on JAX the old state is kept, and no bound is asked for",
)

optimizers = keras.optimizers
BOUNDED = [row for row in TABLE if row.move is not None]
SHAPES = ((3,), (2, 2))
# float32 rounds each operation, and one minus a number close to 1 loses digits.
ROUNDING = 1.01


def magnitudes(low=-40.0, high=38.0):
    """Numbers as they are spread over the range of float32: by their exponent. 0 too."""
    return st.one_of(st.just(0.0), st.floats(low, high).map(lambda e: 10.0**e))


def in_range(limits):
    """Settings of a range, its ends and ordinary values among them."""
    if isinstance(limits.low, bool):
        return st.just(limits.low)
    ends = st.sampled_from([limits.low, limits.high])
    usual = [v for v in (0.5, 0.9, 0.999, 1e-7) if limits.low <= v <= limits.high]
    low = math.log10(max(limits.low, 1e-12))
    spread = st.floats(low, math.log10(limits.high)).map(lambda e: 10.0**e)
    spread = spread.filter(lambda v: limits.low <= v <= limits.high)
    return st.one_of(ends, st.sampled_from(usual) if usual else ends, spread)


@st.composite
def common_settings(draw):
    """Settings that every optimizer takes; at most one way of clipping, as Keras wants it."""
    chosen = {"learning_rate": draw(magnitudes(-6, 3))}
    if draw(st.booleans()):
        chosen["weight_decay"] = draw(magnitudes(-6, 0))
    clip = draw(st.sampled_from([None, "clipnorm", "global_clipnorm", "clipvalue"]))
    if clip is not None:
        chosen[clip] = draw(magnitudes(-5, 5).filter(bool))
    if draw(st.booleans()):
        chosen |= {"use_ema": True, "ema_momentum": draw(st.floats(0, 1))}
        chosen["ema_overwrite_frequency"] = draw(st.sampled_from([None, 1, 2]))
    if draw(st.booleans()):
        chosen["loss_scale_factor"] = draw(magnitudes(-3, 5).filter(bool))
    if draw(st.booleans()):
        chosen["gradient_accumulation_steps"] = draw(st.integers(2, 3))
    return chosen


def extra_settings(row):
    """Settings that the table leaves open, because they do not matter for a bound."""
    names = {optimizers.SGD: "nesterov", optimizers.Adam: "amsgrad", optimizers.AdamW: "amsgrad"}
    name = names.get(row.optimizer)
    return st.just({}) if name is None else st.booleans().map(lambda value: {name: value})


def arrays(draw, size, *, positive=False):
    """An array of each shape with `size` as its largest magnitude."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    made = [np.clip(rng.normal(size=shape), -1, 1) for shape in SHAPES]
    made = [np.abs(array) if positive else array for array in made]
    return [(array * size).astype("float32") for array in made]


def largest(variables):
    return max(float(np.abs(np.asarray(v.numpy(), "float64")).max()) for v in variables)


def built(row, options):
    optimizer = row.optimizer(name="tested", **options)
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in SHAPES]
    optimizer.build(variables)
    return optimizer, variables


@pytest.mark.parametrize("row", BOUNDED, ids=lambda row: row.optimizer.__name__)
@settings(
    # TensorFlow takes ten times as long for an update, of the same arithmetic.
    max_examples=10 if keras.backend.backend() == "tensorflow" else 30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_no_real_update_goes_beyond_the_bounds(row, data):
    draw = data.draw
    own = {name: draw(in_range(limits), label=name) for name, limits in row.settings.items()}
    options = draw(common_settings()) | own | draw(extra_settings(row))
    optimizer, variables = built(row, options)
    slots = optimizer_bounds.slots_of(optimizer, row)
    assert slots is not None
    for variable, array in zip(variables, arrays(draw, draw(magnitudes())), strict=True):
        variable.assign(array)
    for name, slot in slots.items():
        if name == REST:
            slot[0].assign(draw(st.floats(0, 1, width=32)))
            continue
        size = draw(magnitudes(), label=name)
        values = arrays(draw, size, positive=name in row.never_negative)
        for variable, array in zip(slot, values, strict=True):
            variable.assign(array)
    sizes = Sizes(largest(variables), {name: largest(slot) for name, slot in slots.items()})
    for _ in range(3):
        gradients = arrays(draw, draw(magnitudes()))
        # The L2 norm, as the guard measures gradients: clipping by norm adds their squares.
        gradient = math.sqrt(sum(float(np.square(g.astype("float64")).sum()) for g in gradients))
        bounds = optimizer_bounds.bounds_of(optimizer, variables)
        assert bounds is not None
        after = bounds.after_update(sizes, gradient, float(options["learning_rate"]))
        if after is None:
            return
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
        for variable in (*variables, *optimizer.variables):
            assert np.isfinite(variable.numpy()).all(), variable.path
        assert largest(variables) <= after.weights * ROUNDING
        for name, slot in slots.items():
            assert largest(slot) <= after.slots[name] * ROUNDING, name
            if name in row.never_negative:
                assert all(float(v.numpy().min()) >= 0 for v in slot), name
        sizes = after


@pytest.mark.parametrize("row", BOUNDED, ids=lambda row: row.optimizer.__name__)
def test_an_ordinary_training_is_within_the_bounds_for_a_thousand_steps(row):
    optimizer, variables = built(row, {})
    slots = optimizer_bounds.slots_of(optimizer, row)
    sizes = Sizes(10.0, {name: largest(slot) for name, slot in slots.items()})
    bounds = optimizer_bounds.bounds_of(optimizer, variables)
    for _ in range(1000):
        sizes = bounds.after_update(sizes, 100.0, 0.01)
        assert sizes is not None


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.optimizer.__name__)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_which_optimizers_keep_a_non_finite_gradient(row, value):
    if not row.keeps_bad_gradients:
        pytest.skip("the row says nothing about it")
    for options in ({}, {"learning_rate": 0.0}):
        optimizer, variables = built(row, options)
        gradients = [np.zeros(shape, "float32") for shape in SHAPES]
        gradients[1][0, 1] = value
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
        state = [v.numpy() for v in (*variables, *optimizer.variables)]
        assert not all(np.isfinite(array).all() for array in state)


def test_an_optimizer_is_known_by_its_class_and_not_by_the_name_of_it():
    class Adam(optimizers.Adam):
        pass

    class SGD(optimizers.Optimizer):
        pass

    known = optimizer_bounds.row_of(optimizers.Adam())
    assert known is not None
    assert known.optimizer is optimizers.Adam
    assert optimizer_bounds.row_of(Adam()) is None
    assert optimizer_bounds.row_of(SGD(0.1)) is None
    assert optimizer_bounds.row_of(optimizers.LossScaleOptimizer(optimizers.Adam())) is None


def test_another_release_of_keras_has_no_bounds(monkeypatch):
    assert optimizer_bounds.row_of(optimizers.SGD(0.1)) is not None
    monkeypatch.setattr(keras, "__version__", "3.99.0")
    assert optimizer_bounds.row_of(optimizers.SGD(0.1)) is None


@pytest.mark.parametrize(
    "options",
    [
        {"clipnorm": 0.0},
        {"clipnorm": math.nan},
        {"weight_decay": -1.0},
        {"weight_decay": math.nan},
        {"loss_scale_factor": 0.0},
        {"momentum": 1.5},
        {"momentum": math.nan},
    ],
    ids=str,
)
def test_settings_outside_their_range_have_no_bounds(options):
    optimizer = optimizers.SGD(0.1)
    variable = keras.Variable(np.zeros(3, "float32"))
    optimizer.build([variable])
    assert optimizer_bounds.bounds_of(optimizer, [variable]) is not None
    for name, value in options.items():
        setattr(optimizer, name, value)
    assert optimizer_bounds.bounds_of(optimizer, [variable]) is None


def test_a_constraint_has_no_bounds():
    optimizer = optimizers.SGD(0.1)
    variable = keras.Variable(np.zeros(3, "float32"))
    variable.constraint = keras.constraints.UnitNorm()
    optimizer.build([variable])
    assert optimizer_bounds.bounds_of(optimizer, [variable]) is None


def test_a_slot_that_cannot_be_told_leaves_no_bounds():
    row = optimizer_bounds.row_of(optimizers.Adagrad())

    class Extra(optimizers.Adagrad):
        def build(self, variables):
            super().build(variables)
            self.extra = self.add_variable((), name="extra")

    plain, extra = optimizers.Adagrad(), Extra()
    variables = [keras.Variable(np.zeros(3, "float32")) for _ in range(2)]
    plain.build(variables)
    extra.build(variables)
    assert {name: len(v) for name, v in optimizer_bounds.slots_of(plain, row).items()} == {
        "accumulator": 2
    }
    assert optimizer_bounds.slots_of(extra, row) is None


def test_a_slot_is_not_taken_for_another_because_of_the_name_of_a_weight():
    # From Keras 3.9 on, the accumulator of a weight `gradient` ends as a sum of gradients does.
    row = optimizer_bounds.row_of(optimizers.Adagrad())
    optimizer = optimizers.Adagrad(gradient_accumulation_steps=2, use_ema=True)
    weights = [keras.Variable(np.zeros(3, "float32"), name=n) for n in ("kernel", "a_gradient")]
    optimizer.build(weights)
    slots = optimizer_bounds.slots_of(optimizer, row)
    sums = [] if slots is None else slots["gradient_accumulator"]
    # An accumulator begins at 0.1, a sum of gradients at 0.
    assert all(largest([variable]) == 0 for variable in sums)
    plain = optimizers.Adagrad(gradient_accumulation_steps=2, use_ema=True)
    plain.build(weights[:1])
    assert set(optimizer_bounds.slots_of(plain, row)) == {
        "accumulator",
        "gradient_accumulator",
        AVERAGE,
    }
