"""What the guard on PyTorch does by itself: bounds, undoing, random state, buffers, compiling."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

import stayfinite
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.torch import finite_checks, guard, private
from stayfinite.frameworks.torch.bounds import Proof
from tests import versions
from tests.guard import nets

optimizers = keras.optimizers
BAD_STEP = 3


class Stop(Exception):
    """Raised by `on_bad` in these tests, with the state that it was given."""


def guarded(model, compile_=lambda function: function):
    """The model's train function under guard, with `Stop` in the place of an explanation."""

    def on_bad(state, step, rerun):
        raise Stop(state, step, rerun)

    model.make_train_function()
    model.train_function = compile_(model.train_function)
    return guard.attach(KerasModel(model), Recorder(), on_bad)


def batch(size=8, value=None):
    x, y = nets.table()
    x, y = torch.tensor(x[:size]), torch.tensor(y[:size])
    if value is not None:
        x[2, 1] = value
    return [(x, y[:, None])]


def stopped_at(function, batches):
    """Call it on each batch until it stops: the step, and the states before and after it."""
    model = function._subject.model
    for data in batches:
        before = nets.state_of(model)
        try:
            function(data)
        except Stop as stop:
            return stop.args[1], before, nets.state_of(model)
    raise AssertionError("no step was bad")


BOUNDED = {
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01),
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: optimizers.AdamW(0.01),
    "adamax": lambda: optimizers.Adamax(0.01),
    "adagrad": lambda: optimizers.Adagrad(0.01),
    "nadam": lambda: optimizers.Nadam(0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.5),
    "lion": lambda: optimizers.Lion(0.01),
    "accumulation": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "average": lambda: optimizers.SGD(0.01, use_ema=True, ema_overwrite_frequency=3),
    "clip": lambda: optimizers.Adam(0.01, global_clipnorm=1.0),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)),
}


def one_variable(optimizer, value=1.0):
    variable = keras.Variable(np.full((3, 2), value, "float32"))
    optimizer.build([variable])
    return variable


def tensors(optimizer, variable):
    return finite_checks.floating(private.tensor_of(v) for v in [variable, *optimizer.variables])


@pytest.mark.parametrize("name", BOUNDED)
def test_an_update_that_is_proved_finite_is_finite(name):
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(15):
        optimizer = BOUNDED[name]()
        variable = one_variable(optimizer, 10.0 ** rng.uniform(-3, 36))
        proof = Proof(optimizer)
        for _ in range(6):
            size = 10.0 ** rng.uniform(-45, 38)
            gradient = torch.tensor(rng.normal(size=(3, 2)) * size, dtype=torch.float32)
            proved = proof.holds([variable], finite_checks.norm([gradient]))
            with torch.no_grad():
                optimizer.apply([gradient], [variable])
            is_finite = all(finite_checks.is_finite(t) for t in tensors(optimizer, variable))
            if proved:
                held += 1
                assert is_finite
                proof.applied()
            if not is_finite:
                break
    # It is of use only where it holds most of the time.
    assert held > 5


@pytest.mark.parametrize("name", BOUNDED)
def test_ordinary_updates_are_proved_without_looking_at_the_state_again(name, monkeypatch):
    optimizer = BOUNDED[name]()
    variable = one_variable(optimizer)
    proof = Proof(optimizer)
    gradient = torch.full((3, 2), 0.1)
    measured = []
    measure = Proof._measure
    monkeypatch.setattr(Proof, "_measure", lambda self: (measured.append(1), measure(self))[1])
    for _ in range(150):
        assert proof.holds([variable], finite_checks.norm([gradient]))
        with torch.no_grad():
            optimizer.apply([gradient], [variable])
        proof.applied()
    assert len(measured) == 1


class OwnUpdate(optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate)


UNBOUNDED = {
    "no epsilon": (lambda: optimizers.Adam(0.01, epsilon=0.0), 0.1),
    "nan learning rate": (lambda: optimizers.SGD(float("nan")), 0.1),
    "own update": (OwnUpdate, 0.1),
    "centered": (lambda: optimizers.RMSprop(0.01, centered=True), 0.1),
    "beta of 1": (lambda: optimizers.Adam(0.01, beta_1=1.0), 0.1),
    "negative decay": (lambda: optimizers.AdamW(0.01, weight_decay=-1e4), 0.1),
    "large gradient": (lambda: optimizers.Adam(0.01), 1e20),
    "infinite gradient": (lambda: optimizers.SGD(0.01), np.inf),
    "own schedule": (lambda: optimizers.SGD(lambda: 0.1), 0.1),
}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_what_cannot_be_proved_is_not(name):
    make, gradient = UNBOUNDED[name]
    optimizer = make()
    variable = one_variable(optimizer)
    assert not Proof(optimizer).holds([variable], gradient)


def test_no_proof_on_weights_or_slots_that_are_not_sound():
    for spoil in ("variable", "velocity"):
        optimizer = optimizers.Adam(0.01)
        variable = one_variable(optimizer)
        proof = Proof(optimizer)
        assert proof.holds([variable], 0.1)
        # Somebody else writes to them, between two steps.
        if spoil == "variable":
            variable.assign(np.full((3, 2), np.nan))
        else:
            optimizer._velocities[0].assign(np.full((3, 2), -1.0))
        assert not proof.holds([variable], 0.1)


def test_the_update_is_made_in_place_once_the_model_is_known():
    model = nets.mlp()
    function = guarded(model)
    saved = []
    for _ in range(4):
        journal = set()
        sentinel = function._sentinel
        if sentinel is not None:
            save = sentinel._saved.save
            sentinel._saved.save = lambda t, save=save, seen=journal: (seen.add(id(t)), save(t))
        function(batch())
        weights = {id(private.tensor_of(v)) for v in model.trainable_variables}
        saved.append(len(journal & weights))
    assert saved[1:] == [0, 0, 0]


@pytest.mark.parametrize("number", [1, 4])
def test_loss_that_is_nan_behind_finite_gradients_stops(number):
    class Hidden(keras.Model):
        """The gradient of relu masks a NaN behind it; the loss shows it."""

        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x=None, y=None, *args, **options):
            seen = self.dense(keras.ops.where(x == x, x, 0.0))
            bad = keras.ops.stop_gradient(keras.ops.sum(x))
            return keras.ops.mean(keras.ops.square(seen - y)) + bad

    model = Hidden()
    model.compile("sgd")
    model(batch()[0][0])
    good = [batch() for _ in range(number)]
    step, before, after = stopped_at(guarded(model), [*good, batch(value=np.nan)])
    assert step == number
    nets.assert_bit_equal(after, before)
    assert all(private.tensor_of(v).grad is None for v in model.trainable_variables)


class Two(keras.Model):
    """Two optimizers in a step; the second one's gradients may be bad, or a late assignment."""

    def __init__(self):
        super().__init__()
        keras.utils.set_random_seed(0)
        self.one, self.other = keras.layers.Dense(1), keras.layers.Dense(1)
        self.slow = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.other_optimizer = optimizers.Adam(0.01)

    def call(self, x):
        return self.one(x) + self.other(x)

    def train_step(self, data):
        x, y = data
        parts = [(self.one, self.optimizer, x[:, :1].repeat(1, 5)), (self.other, None, x)]
        for layer, optimizer, seen in parts:
            self.zero_grad()
            loss = keras.ops.mean(keras.ops.square(layer(seen) - y))
            loss.backward()
            weights = layer.trainable_weights
            with torch.no_grad():
                (optimizer or self.other_optimizer).apply([w.value.grad for w in weights], weights)
        self.slow.assign(self.slow + 1)
        return {"loss": loss}


@pytest.mark.parametrize("number", [0, 1, 4])
def test_the_first_optimizer_is_undone_when_the_second_is_bad(number):
    model = Two()
    model.compile(optimizers.Adam(0.01))
    model(batch()[0][0])
    good = [batch() for _ in range(number)]
    step, before, after = stopped_at(guarded(model), [*good, batch(value=np.nan)])
    assert step == number
    nets.assert_bit_equal(after[: len(before)], before)
    if number:
        assert float(model.slow.value) == number
        assert int(model.other_optimizer.iterations.value) == number


def test_an_assignment_after_the_update_is_undone_with_it():
    class Late(keras.Sequential):
        def train_step(self, data):
            logs = super().train_step(data)
            kernel = self.trainable_variables[0]
            kernel.assign(kernel * keras.ops.where(keras.ops.isnan(data[1][0, 0]), np.inf, 1.0))
            return logs

    model = Late([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile(optimizers.SGD(0.01), loss=lambda y, p: keras.ops.mean(p * p))
    (x, y) = batch()[0]
    bad = [(x, y * np.nan)]
    step, before, after = stopped_at(guarded(model), [*[batch() for _ in range(4)], bad])
    assert step == 4
    nets.assert_bit_equal(after, before)


def test_random_state_is_that_before_the_bad_step():
    keras.utils.set_random_seed(0)
    layers = [keras.Input((5,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    function = guarded(model)
    function(batch())
    before = torch.get_rng_state()
    with pytest.raises(Stop) as stop:
        function(batch(value=np.nan))
    assert torch.equal(torch.get_rng_state(), before)
    state, _, rerun = stop.value.args
    assert torch.equal(state.random.cpu, before)
    assert rerun(batch(value=np.nan)[0])
    assert not rerun(batch()[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_buffers_of_a_torch_module_are_given_back():
    module = torch.nn.BatchNorm1d(5)
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.TorchModuleWrapper(module), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    model.train()
    function = guarded(model)
    function(batch())
    before = [buffer.clone() for buffer in module.buffers()]
    assert len(before) == 3
    with pytest.raises(Stop):
        function(batch(value=np.nan))
    assert all(torch.equal(a, b) for a, b in zip(module.buffers(), before, strict=True))


@pytest.mark.filterwarnings("ignore")
@versions.NO_COMPILED_STEP
def test_a_compiled_step_is_the_same_and_is_undone():
    def dynamo(function):
        return torch.compile(function, backend="eager")

    def small():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
        model.compile(optimizers.SGD(0.01), "mse")
        return model

    plain, model = small(), small()
    for each in (plain, model):
        each.make_train_function()
        each.train_function(batch())
    bare = dynamo(plain.train_function)
    function = guarded(model, dynamo)
    for _ in range(3):
        bare(batch())
        function(batch())
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
    step, before, after = stopped_at(function, [batch(value=np.nan)])
    assert step == 3
    nets.assert_bit_equal(after, before)


def test_a_healthy_training_raises_nothing_and_leaves_no_hook_at_work(tmp_path):
    model = nets.mlp()
    model.fit(*nets.table(), callbacks=[stayfinite.Guard(keep=tmp_path)], verbose=0)
    from stayfinite.frameworks.torch import hooks

    assert hooks._OBSERVERS == {}
