"""The step on PyTorch op by op, in float64, and the model as it was afterwards."""

from __future__ import annotations

import gc
import traceback

import keras
import numpy as np
import pytest
import torch
from keras import layers, ops

from stayfinite import strict
from stayfinite.frameworks.change import ClipNorm, LearningRate, OnDevice, Unchanged, WiderDtype
from stayfinite.frameworks.keras import batches
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.recording.recording import Enough, Recording
from stayfinite.frameworks.recording.step import EagerStep
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.capture import Dispatch
from stayfinite.frameworks.torch.keras_engine import KerasEngine
from stayfinite.frameworks.torch.state import restore_random, state_of
from tests.guard import nets


def built(net, loss="mse", optimizer=None, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(net)
    model.compile(optimizer or keras.optimizers.Adam(1e-2), loss, **options)
    return model


def embedding():
    return built([keras.Input((6,), dtype="int32"), layers.Embedding(9, 4), layers.GRU(3)])


def attention():
    tokens = keras.Input((6,), dtype="int32")
    embedded = layers.Embedding(9, 4, mask_zero=True)(tokens)
    attended = layers.MultiHeadAttention(2, 3)(embedded, embedded, use_causal_mask=True)
    model = keras.Model(tokens, layers.Dense(3)(layers.GlobalAveragePooling1D()(attended)))
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    return model


def dense():
    return built([keras.Input((5,)), layers.Dense(4, "tanh"), layers.Dense(1)])


def unseeded():
    return built([keras.Input((5,)), layers.Dropout(0.5), layers.Dense(1)])


def nadam():
    return built([keras.Input((5,)), layers.Dense(1)], optimizer=keras.optimizers.Nadam(0.01))


def half():
    return built(
        [
            keras.Input((5,)),
            layers.Dense(4, "relu", dtype="mixed_bfloat16"),
            layers.Dense(1, dtype="mixed_bfloat16"),
        ]
    )


def words(samples=8):
    return np.random.default_rng(0).integers(0, 9, (samples, 6)).astype("int32"), np.ones(
        (samples, 3)
    )


NETS = {
    "dense": (dense, nets.table),
    "normalised, with dropout": (nets.mlp, nets.table),
    "unseeded dropout": (unseeded, nets.table),
    "conv": (nets.conv_net, nets.images),
    "lstm": (nets.recurrent, nets.series),
    "embedding": (embedding, words),
    "attention with a mask": (attention, words),
    "nadam": (nadam, nets.table),
    "half": (half, nets.table),
}


def batch_of(data):
    return tuple(array[:8] for array in data())


def everything(model):
    values = [value.numpy().copy() for value in state_of(KerasModel(model)).values]
    product = getattr(model.optimizer, "_u_product", None)
    return [*values, *([] if product is None else [product.numpy()]), torch.get_rng_state().numpy()]


def prepared(name):
    """A model after one healthy step, so that all variables are there, and its batch."""
    build, data = NETS[name]
    model, batch = build(), batch_of(data)
    model.train_on_batch(*batch)
    return model, batch


def step_of(model, batch):
    subject = KerasModel(model)
    named = batches.batch_of(subject, batch, private.numpy_of)
    return EagerStep.of(KerasEngine(subject), state_of(subject), named)


def recorded(model, batch, visit=lambda number, tensor: None):
    """An engine's recording, its result, and the arrays of all values."""
    subject = KerasModel(model)
    engine = KerasEngine(subject)
    arrays = {}

    def keep(number, tensor):
        arrays[number] = np.array(engine.numpy(tensor))
        visit(number, tensor)

    recording = Recording(KerasEngine.run.__code__, keep, engine.numpy)
    state = state_of(subject)
    for number, named in enumerate(engine.named_state(state)):
        # Metrics begin afresh in a run.
        fresh = torch.zeros_like(named.value) if named.role == "metric" else named.value
        arrays[number] = engine.numpy(fresh).copy()
    result = engine.run(
        state, batches.batch_of(subject, batch, engine.numpy).map(engine.tensor), recording
    )
    arrays.update(recording.constants)
    return recording, result, arrays


@pytest.mark.parametrize("name", NETS)
def test_replay_is_the_step_as_keras_makes_it(name):
    model, batch = prepared(name)
    step = step_of(model, batch)
    before = everything(model)
    outcome = step.run(Unchanged())
    trace = step.trace
    new = step.fetch(trace.new_state.values())
    nets.assert_bit_equal(everything(model), before)
    assert all(v.value.grad is None for v in model.trainable_variables)

    model.reset_metrics()
    restore_random(step.state.random)
    logs = model.train_on_batch(*batch, return_dict=True)
    assert outcome.loss == pytest.approx(logs["loss"], rel=1e-6)
    for variable in [*model.trainable_variables, *model.optimizer.variables]:
        if variable.path in trace.new_state:
            found = new[trace.new_state[variable.path]]
            assert np.array_equal(found, ops.convert_to_numpy(variable.value)), variable.path


@pytest.mark.parametrize("name", NETS)
def test_float64_is_the_same_step_more_exactly(name):
    model, batch = prepared(name)
    step = step_of(model, batch)
    before = everything(model)
    plain, wide = step.run(Unchanged()), step.run(WiderDtype())
    nets.assert_bit_equal(everything(model), before)
    assert wide.loss != plain.loss
    rough = 0.1 if name == "half" else 1e-3
    assert wide.loss == pytest.approx(plain.loss, rel=rough)
    for path, gradient in plain.gradients.items():
        assert wide.gradients[path].dtype == np.float64
        assert np.allclose(wide.gradients[path], gradient, rtol=rough, atol=rough / 10), path


def test_what_overflows_in_float32_does_not_in_float64():
    def far(y_true, y_pred):
        return ops.mean(ops.square(y_pred * 1e25)) * 1e-40

    model = built([keras.Input((5,)), layers.Dense(1)], far)
    batch = batch_of(nets.table)
    model(batch[0])
    model.optimizer.build(model.trainable_variables)
    step = step_of(model, batch)
    assert step.run(Unchanged()).loss == np.inf
    assert step.run(WiderDtype()).finite


@pytest.mark.parametrize("name", ["dense", "nadam"])
def test_trials_leave_model_and_learning_rate_alone(name):
    model, batch = prepared(name)
    step = step_of(model, batch)
    before = everything(model)
    assert step.run(LearningRate(0.1)).finite
    assert step.run(ClipNorm(1.0)).finite
    assert step.run(LearningRate(1e39)).bad_state
    nets.assert_bit_equal(everything(model), before)


_MEANING = {
    "absolute": np.abs,
    "add": lambda a, b, alpha=1: a + alpha * b,
    "divide": np.divide,
    "equal": np.equal,
    "exp": np.exp,
    "greater": np.greater,
    "less": np.less,
    "log": np.log,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "multiply": np.multiply,
    "negative": np.negative,
    "power": np.power,
    "reciprocal": np.reciprocal,
    "sqrt": np.sqrt,
    "subtract": lambda a, b, alpha=1: a - alpha * b,
    "tanh": np.tanh,
    "where": np.where,
}


@pytest.mark.parametrize("name", NETS)
def test_operands_and_results_are_those_of_the_op_that_is_named(name):
    model, batch = prepared(name)
    recording, _, arrays = recorded(model, batch)
    seen = set()
    for op in recording.ops:
        meaning = _MEANING.get(op.name)
        if meaning is None or not all(v in arrays for v in op.operands):
            continue
        if any(recording.shapes[v].dtype == "bfloat16" for v in (*op.operands, *op.results)):
            continue
        with np.errstate(all="ignore"):
            expected = meaning(*(arrays[v] for v in op.operands))
        found = arrays[op.results[0]]
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-6, equal_nan=True), op
        seen.add(op.name)
    assert {"add", "multiply", "divide"} <= seen


def ops_of(function, x=None):
    """What is recorded of `function(x)` and its derivative, with the operands' constants."""
    recording = Recording(ops_of.__code__, lambda *_: None, np.asarray)
    x = torch.tensor([[0.5, 2.0], [3.0, 4.0]]) if x is None else x
    x.requires_grad_(True)
    dispatch = Dispatch(recording)
    dispatch.numbers.bind(x, recording.leaf("input", "x", x.shape, "float32"))
    with dispatch:
        y = function(x)
        y.sum().backward()
    return recording


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.exp(x) * 2

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        return upstream * torch.exp(x) * 2


TARGETS = torch.tensor([0, 1])
DERIVED = {
    "sqrt": torch.sqrt,
    "power": lambda x: x**0.5,
    "norm": lambda x: torch.linalg.vector_norm(x, dim=1),
    "log": torch.log,
    "divide": lambda x: x / (x + 1),
    "reciprocal": lambda x: 1 / x,
    "where": lambda x: torch.where(x > 1, x, x.sqrt()),
    "softmax": lambda x: torch.softmax(x, -1)[:, 0],
    "log_softmax": lambda x: torch.log_softmax(x, -1)[:, 0],
    "nll_loss": lambda x: torch.nn.functional.cross_entropy(x, TARGETS),
    "std": lambda x: ops.std(x, axis=-1),
    "arctan2": lambda x: ops.arctan2(x, x * 2),
    "clip": lambda x: ops.clip(x, 0.6, 1.0),
    "maximum": lambda x: ops.maximum(x, 0.7),
    "matmul": lambda x: x @ x.T,
    "gather": lambda x: ops.take(x, [0, 1], axis=0),
    "logsumexp": lambda x: torch.logsumexp(x, -1),
    "exp": torch.exp,
    "rsqrt": torch.rsqrt,
    "prod": lambda x: x.prod(),
    "cdist": lambda x: torch.cdist(x, x + 1),
}


@pytest.mark.parametrize("name", DERIVED)
def test_derivative_knows_its_forward_op(name):
    recording = ops_of(DERIVED[name])
    forward = [n for n, op in enumerate(recording.ops) if op.name == name and not op.backward]
    assert forward
    assert [op for op in recording.ops if op.backward and op.forward in forward]
    for op in recording.ops:
        if op.backward:
            assert op.forward is not None
            assert not recording.ops[op.forward].backward
            assert op.place == recording.ops[op.forward].place


def test_second_derivative_knows_the_derivative_that_it_differentiates():
    def slope(x):
        return torch.autograd.grad(x.sqrt().sum(), x, create_graph=True)[0]

    recorded = ops_of(slope).ops
    of_derivatives = [op for op in recorded if op.backward and recorded[op.forward or 0].backward]
    assert {recorded[op.forward].name for op in of_derivatives} >= {"divide"}
    assert all(recorded[op.forward].results for op in of_derivatives)


def test_a_backward_that_the_user_writes_has_its_own_lines():
    (op,) = [op for op in ops_of(Doubled.apply).ops if op.backward and op.name == "exp"]
    assert op.forward is None
    assert op.place.stack[0].function == "Doubled.backward"


SCALARS = {
    "power": (lambda x: x**0.5, [None, 0.5]),
    "subtract": (lambda x: 1 - x, [1.0, None]),
    "divide": (lambda x: x / 4, [None, 4.0]),
    "multiply": (lambda x: x * 3, [None, 3.0]),
    "maximum": (lambda x: torch.clamp_min(x, 2.0), [None, 2.0]),
    "clip": (lambda x: torch.clamp(x, 1.0, 2.0), [None, 1.0, 2.0]),
    "add": (lambda x: torch.add(x, x, alpha=2.0), [None, None, 2.0]),
}


@pytest.mark.parametrize("name", SCALARS)
def test_numbers_are_operands_in_the_order_of_the_mathematics(name):
    function, expected = SCALARS[name]
    recording = ops_of(function)
    op = next(op for op in recording.ops if op.name == name)
    found = [recording.constants.get(value) for value in op.operands]
    assert [None if one is None else float(one) for one in found] == expected


def test_masked_fill_has_the_operands_of_where():
    mask = torch.tensor([[True, False], [False, True]])
    recording = ops_of(lambda x: (x * 2).masked_fill(mask, 7.0))
    op = next(op for op in recording.ops if op.name == "where" and not op.backward)
    chosen, value, other = op.operands
    assert recording.constants[chosen].dtype == bool
    assert float(recording.constants[value]) == 7.0
    assert recording.ops[0].results == (other,)


def test_writing_in_place_makes_a_new_value():
    recording = ops_of(lambda x: (x * 2).add_(1).sqrt_())
    names = [op.name for op in recording.ops[:3]]
    assert names == ["multiply", "add", "sqrt"]
    for earlier, later in zip(recording.ops[:2], recording.ops[1:3], strict=True):
        assert later.operands[0] == earlier.results[0]
        assert later.results != earlier.results


def test_a_base_that_was_written_to_through_a_view_is_made_of_both():
    def function(x):
        base = x * 2
        base.view(-1)[1:3].mul_(5)
        return torch.exp(base)

    recording = ops_of(function)
    exp = next(op for op in recording.ops if op.name == "exp")
    made = next(op for op in recording.ops if exp.operands[0] in op.results)
    assert made.name == "copy"
    first = next(op for op in recording.ops if op.name == "multiply")
    written = [op for op in recording.ops if op.name == "multiply" and not op.backward][1]
    assert set(made.operands) == {first.results[0], written.results[0]}


def test_tensors_in_a_list_beside_others_are_results_too():
    """As cuDNN's derivative of a recurrent layer returns those of its weights."""

    @torch.library.custom_op("stayfinite_tests::halves", mutates_args=())
    def halves(x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return x.sum(), [x[:1].clone(), x[1:].clone()]

    def function(x):
        with torch.no_grad():
            _, (_, second) = halves(x)
        return x[:1] * torch.exp(second)

    recording = ops_of(function)
    exp = next(op for op in recording.ops if op.name == "exp")
    made = next(op for op in recording.ops if exp.operands[0] in op.results)
    assert made.name == "halves"
    assert len(made.results) == 3


def test_what_is_detached_is_the_same_value():
    recording = ops_of(lambda x: x * x.detach())
    product = next(op for op in recording.ops if op.name == "multiply")
    assert product.operands == (0, 0)


def test_memory_that_is_used_again_is_another_value():
    def function(x):
        total = x * 0
        for number in range(20):
            # Each of these is gone before the next is made, in the same memory.
            total = total + torch.full_like(x.detach(), float(number))
        return total

    recording = ops_of(function)
    filled = [op.results[0] for op in recording.ops if op.name == "full_like"]
    assert len(set(filled)) == 20
    added = [op for op in recording.ops if op.name == "add" and not op.backward]
    assert [op.operands[1] for op in added] == filled


def test_variables_are_values_that_change_their_number():
    model, batch = prepared("dense")
    trace = step_of(model, batch).trace
    path = model.trainable_variables[0].path
    kernel = next(leaf for leaf in trace.leaves.values() if leaf.name == path)
    assert kernel.role == "weight"
    update = trace.producer[trace.new_state[kernel.name]]
    assert (update.phase, update.operands[0]) == ("update", kernel.value)


def test_derivative_stands_in_the_users_line():
    def root(y_true, y_pred):
        return ops.mean(ops.sqrt(ops.square(y_pred)))

    model = built([keras.Input((5,)), layers.Dense(1)], root)
    batch = batch_of(nets.table)
    model.train_on_batch(*batch)
    trace = step_of(model, batch).trace
    forward = next(op for op in trace.ops if op.name == "sqrt" and op.phase == "forward")
    backward = [op for op in trace.ops if op.differentiates == forward.index]
    assert {op.phase for op in backward} == {"backward"}
    assert {op.span for op in backward} == {forward.span}
    assert forward.span is not None
    assert forward.span.function.endswith("root")


def test_samples_are_followed_through_the_step():
    trace = step_of(*prepared("dense")).trace
    products = [op for op in trace.ops if op.name == "matmul" and op.phase == "forward"]
    assert [trace.values[op.results[0]].batch_axis for op in products] == [0, 0]
    assert trace.num_samples == 8


@pytest.mark.parametrize("phase", ["forward", "backward"])
def test_run_can_be_ended_early(phase):
    model, batch = prepared("nadam")
    recording, _, _ = recorded(model, batch)
    backward = phase == "backward"
    last = next(op.results[0] for op in reversed(recording.ops) if op.backward == backward)
    before = everything(model)

    def stop(number, tensor):
        if number == last:
            raise Enough

    with pytest.raises(Enough):
        recorded(model, batch, stop)
    nets.assert_bit_equal(everything(model), before)
    recorded(model, batch)


class Holding(layers.Layer):
    """A frame of it refers to the exception that ends the run, and so to itself."""

    def call(self, x):
        made = ops.exp(x)
        try:
            return ops.log(made)
        except BaseException as error:
            self.caught = kept = error
            raise kept from None


def test_a_run_that_is_ended_early_gives_its_arrays_back_at_once():
    model = built([keras.Input((5,)), Holding(), layers.Dense(1)])
    batch = batch_of(nets.table)
    model.train_on_batch(*batch)
    step = step_of(model, batch)
    logarithm = next(op for op in step.trace.ops if op.name == "log")
    gc.disable()
    try:
        step.fetch(logarithm.results)
        frames = traceback.walk_tb(model.layers[0].caught.__traceback__)
        assert not any("made" in frame.f_locals for frame, _ in frames)
    finally:
        gc.enable()


def test_step_on_another_device_gives_the_variables_back():
    model, batch = prepared("normalised, with dropout")
    before = everything(model)
    tensors = [private.tensor_of(variable) for variable in model.variables]
    places = [tensor.data_ptr() for tensor in tensors]
    step = step_of(model, batch)
    # The same device stands for another one, which not every computer has.
    moved, plain = step.run(OnDevice("cpu")), step.run(Unchanged())
    assert moved.loss == plain.loss
    assert all(
        np.array_equal(moved.gradients[name], plain.gradients[name]) for name in plain.gradients
    )
    assert [tensor.data_ptr() for tensor in tensors] == places
    assert all(np.array_equal(one, two) for one, two in zip(everything(model), before, strict=True))


def test_an_internal_error_on_another_number_of_samples_is_raised_in_strict_mode(monkeypatch):
    model, batch = prepared("dense")
    step = step_of(model, batch)
    run, numbers = step.engine.run, []

    def fails_on_another_number(state, batch, *others, **options):
        numbers.append(batch.num_samples)
        if numbers[-1] != numbers[0]:
            strict.caught("an engine", KeyError("x"))
        return run(state, batch, *others, **options)

    monkeypatch.setattr(step.engine, "run", fails_on_another_number)
    monkeypatch.setenv(strict.VARIABLE, "1")
    with pytest.raises(KeyError, match="x"):
        _ = step.trace
    assert len(set(numbers)) == 2
