"""The sentinel for a device that works ahead of the host: on a CPU, with flags that come late."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

import stayfinite
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.torch import finite_checks, guard, saved_values
from stayfinite.frameworks.torch.guard_cuda import CudaSentinel
from stayfinite.frameworks.torch.guard_sentinel import SeenSteps
from tests.guard import nets

BAD_STEP = 3


class Arriving:
    """A flag that the host is told of at the third time of asking."""

    def __init__(self, flag):
        self.flag, self.asked = int(flag), 0

    def is_ready(self):
        self.asked += 1
        return self.asked > 2

    def __int__(self):
        return self.flag


class SlowSentinel(CudaSentinel):
    """Its flags arrive as they do from a device that is busy."""

    def _settle(self, subject):
        return Arriving(super()._settle(subject))


@pytest.fixture
def late(monkeypatch):
    """Every model is guarded as if it were on such a device."""
    monkeypatch.setattr(
        guard,
        "_new_sentinel",
        lambda subject, inner, first, *, keeps_metrics=False: SlowSentinel(
            subject, SeenSteps(first, guard.private.is_compiled(inner), keeps_metrics)
        ),
    )


def fitted(model, data, guard=None, **options):
    keras.utils.set_random_seed(1)
    settings = {"batch_size": nets.BATCH, "epochs": 3, "verbose": 0} | options
    return model.fit(*data, callbacks=[] if guard is None else [guard], **settings).history


NETS = {
    "conv_net": (nets.conv_net, nets.images, lambda: keras.optimizers.Adam(1e-2, amsgrad=True)),
    "mlp": (nets.mlp, nets.table, lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)),
    "recurrent": (nets.recurrent, nets.series, lambda: keras.optimizers.RMSprop(1e-2)),
}


@pytest.mark.parametrize("name", NETS)
def test_a_healthy_training_is_the_same_bit_for_bit(name, late, tmp_path):
    build, data, optimizer = NETS[name]
    plain, model = build(optimizer()), build(optimizer())
    history = fitted(plain, data())
    assert fitted(model, data(), stayfinite.Guard(keep=tmp_path)) == history
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))


@pytest.mark.parametrize("name", NETS)
def test_it_stops_at_the_step_with_the_state_before_it(name, late, tmp_path):
    build, data, optimizer = NETS[name]
    x, y = data()
    good = x[: BAD_STEP * nets.BATCH], y[: BAD_STEP * nets.BATCH]
    x = np.array(x)
    x[BAD_STEP * nets.BATCH + 1] = np.nan
    plain, model = build(optimizer()), build(optimizer())
    fitted(plain, good, shuffle=False, epochs=1)
    with pytest.raises(stayfinite.NonFiniteError) as stop:
        fitted(model, (x, y), stayfinite.Guard(keep=tmp_path), shuffle=False)
    assert stop.value.incident.where.step == BAD_STEP
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))


def test_an_error_of_the_users_own_is_left_as_it_is(late, tmp_path):
    def loss(y, prediction):
        # What is on another device is one: "expected all tensors to be on the same device".
        return torch.stack([prediction, torch.zeros(3)])

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("sgd", loss)
    x, y = nets.table()
    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        fitted(model, (x, y), stayfinite.Guard(keep=tmp_path))


def test_a_step_that_an_operator_refuses_is_bad(late, tmp_path):
    class Loss(keras.losses.Loss):
        def call(self, y, prediction):
            return torch.linalg.eigvalsh(prediction.mean() * torch.eye(4))

    x, y = nets.table()
    x = np.array(x)
    x[BAD_STEP * nets.BATCH + 1] = np.nan
    model = nets.mlp()
    model.compile("sgd", Loss())
    with pytest.raises(stayfinite.NonFiniteError) as stop:
        fitted(model, (x, y), stayfinite.Guard(keep=tmp_path), shuffle=False)
    assert stop.value.incident.where.step == BAD_STEP


VALUES = {
    "float32": [0.0, -0.0, 1e38, -3.0, np.inf, np.nan, 1e-45],
    "float16": [0.0, -0.0, 6e4, -3.0, np.inf, np.nan, 6e-8],
    "float64": [0.0, -0.0, 1e300, -3.0, -np.inf, np.nan, 5e-324],
    "complex64": [0.0, 1e38 + 2j, np.nan + 1j, complex(1, np.inf)],
    "complex128": [0.0, 1e300 + 2j, np.nan + 1j, complex(1, np.inf)],
    "int64": [0, -1, 2**63 - 1, -(2**63)],
    "uint8": [0, 255, 7, 128],
    "bool": [True, False, True, False],
}


@pytest.mark.parametrize("dtype", VALUES)
@pytest.mark.parametrize("good", [True, False])
def test_old_and_new_are_chosen_by_their_bits(dtype, good):
    old, new = np.array(VALUES[dtype], dtype), np.array(VALUES[dtype][::-1], dtype)
    tensors = [torch.tensor(old), torch.tensor(old)[:2], torch.tensor(old[1])]
    kept = saved_values.SavedValues()
    for tensor in tensors:
        kept.save(tensor)
        tensor.copy_(torch.tensor(new)[: tensor.numel()].reshape(tensor.shape))
    expected = [t.numpy().copy() for t in (tensors if good else [kept.old(t) for t in tensors])]
    kept.restore_unless(torch.tensor(good))
    assert [t.numpy().tobytes() for t in tensors] == [e.tobytes() for e in expected]


@pytest.mark.parametrize("good", [True, False])
def test_two_that_lie_in_the_same_memory_are_not_chosen_twice(good):
    memory = torch.arange(6.0)
    kept = saved_values.SavedValues()
    for view in (memory, memory[1:4], memory.reshape(2, 3)):
        kept.save(view)
    memory += 10
    kept.restore_unless(torch.tensor(good))
    assert memory.tolist() == [value + 10 * good for value in range(6)]


JUDGED = {
    "finite": ([torch.ones(3), torch.ones(()), torch.ones(2, dtype=torch.float16)], True),
    "largest number": ([torch.full((9,), 3.4e38), torch.full((9,), -6e4).half()], True),
    "nan among numbers": ([torch.ones(3), torch.tensor([2.0, float("nan"), 1e30])], False),
    "infinity": ([torch.ones(2, dtype=torch.float64), torch.tensor(-float("inf"))], False),
    "complex nan": ([torch.ones(2), torch.tensor([1j, complex(float("nan"), 1)])], False),
    "largest complex": ([torch.tensor([complex(3e38, 3e38)])], True),
    "empty": ([torch.ones(0), torch.ones((2, 0))], True),
    "strided": ([torch.tensor([[1.0, float("nan")], [2.0, 3.0]]).T[1:]], False),
}


@pytest.mark.parametrize("name", JUDGED)
def test_what_is_finite_is_known_on_the_device(name):
    tensors, is_finite = JUDGED[name]
    assert (
        all(bool(verdict) for verdict in finite_checks.all_finite_on_device(tensors)) == is_finite
    )


def test_what_a_step_assigns_is_kept_at_once_when_the_next_begins():
    """A call for each would make a step of many small layers longer."""
    model = nets.conv_net()
    model.make_train_function()
    subject = KerasModel(model)
    sentinel = CudaSentinel(subject, SeenSteps())
    x, y = nets.images()
    statistics = model.layers[1].non_trainable_variables
    for step in range(2):
        before = [v.numpy().copy() for v in statistics]
        sentinel.begin(subject)
        assert [sentinel._saved.holds(v) for v in statistics] == [step == 1] * 2
        samples = slice(8 * step, 8 * step + 8)
        logs = model.train_function([(torch.tensor(x[samples]), torch.tensor(y[samples]))])
        kept = [sentinel._saved.old(v.value) for v in statistics]
        assert [k.numpy().tolist() for k in kept] == [b.tolist() for b in before]
        assert int(sentinel.end(logs)) == -1
        sentinel.abandon()


@pytest.mark.filterwarnings("ignore:.*non-finite:RuntimeWarning")
def test_skipped_step_leaves_no_trace_in_metrics_either(late, tmp_path):
    x, y = nets.images()
    spoiled = x.copy()
    spoiled[BAD_STEP * nets.BATCH] = np.nan
    kept = [row for row in range(nets.ROWS) if row // nets.BATCH != BAD_STEP]
    plain, model = nets.conv_net(metrics=["accuracy"]), nets.conv_net(metrics=["accuracy"])
    expected = fitted(plain, (x[kept], y[kept]), shuffle=False)
    guard = stayfinite.Guard("skip", keep=tmp_path)
    assert fitted(model, (spoiled, y), guard, shuffle=False) == expected
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
    assert [one.step for one in guard.interventions] == [3, 9, 15]
