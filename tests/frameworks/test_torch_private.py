"""Each private name that only the PyTorch backend uses, by what it is used for.

When a release of PyTorch or Keras moves one of them, the test that fails here says which.
"""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
import torch

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.subject import state_variables
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.keras_engine import KerasEngine
from tests.guard import nets


def test_train_function_takes_a_list_of_one_batch():
    model = nets.mlp()
    model.make_train_function()
    x, y = nets.table()
    logs = model.train_function([(x[:8], y[:8])])
    assert np.isfinite(float(logs["loss"]))


def test_tensor_of_a_variable_is_the_parameter_that_is_trained():
    variable = keras.Variable(np.ones(3, "float32"), trainable=True)
    tensor = private.tensor_of(variable)
    assert isinstance(tensor, torch.nn.Parameter)
    variable.assign([2.0, 2.0, 2.0])
    assert private.tensor_of(variable) is tensor
    assert tensor.tolist() == [2.0, 2.0, 2.0]


def test_every_assignment_of_a_variable_goes_through_one_method(monkeypatch):
    seen = []
    owner = keras_private.owner_of(keras.Variable, "assign")
    plain = owner.assign

    def assign(self, value):
        seen.append(self)
        return plain(self, value)

    monkeypatch.setattr(owner, "assign", assign)
    variable = keras.Variable(1.0)
    variable.assign(2.0)
    variable.assign_add(1.0)
    variable.assign_sub(1.0)
    assert [each is variable for each in seen] == [True] * 3


def test_version_changes_when_a_variable_is_written_to():
    variables = [keras.Variable(1.0), keras.Variable(2.0)]
    before = private.version(variables)
    assert private.version(variables) == before
    variables[1].assign(2.0)
    assert private.version(variables) != before
    before = private.version(variables)
    with torch.no_grad():
        torch._foreach_add_([private.tensor_of(v) for v in variables], 1.0)
    assert private.version(variables) != before


def test_norms_are_not_finite_where_an_element_is_not():
    finite = [torch.ones(3), torch.full((2, 2), 2.0)]
    assert [float(n) for n in private.norms(finite)] == [pytest.approx(3**0.5), 4.0]
    for bad in (np.nan, np.inf):
        norms = private.norms([torch.tensor([1.0, bad]), torch.ones(2)])
        assert [bool(torch.isfinite(n)) for n in norms] == [False, True]


def test_optimizer_takes_gradients_by_apply_and_scales_the_loss():
    for owner in (keras_private.BaseOptimizer, keras_private.LossScaleOptimizer):
        parameters = list(inspect.signature(owner.apply).parameters)
        assert parameters == ["self", "grads", "trainable_variables"]
        assert list(inspect.signature(owner.scale_loss).parameters) == ["self", "loss"]


def test_unscaling_divides_gradients_and_notes_those_that_are_not_finite():
    gradients = [torch.tensor([4.0, 8.0]), torch.tensor([torch.inf])]
    found = torch.zeros(1)
    private.UNSCALING(gradients, found, torch.tensor(0.5))
    assert gradients[0].tolist() == [2.0, 4.0]
    assert found.item() == 1.0


def test_schema_of_an_operator_says_what_it_writes_to():
    schema = private.schema_of(torch.ops.aten.add_.Tensor)
    assert schema.name == "aten::add_"
    assert [bool(a.alias_info and a.alias_info.is_write) for a in schema.arguments][:2] == [
        True,
        False,
    ]
    many = private.schema_of(torch.ops.aten._foreach_add.List)
    assert many.name.removeprefix("aten::").startswith(private.FOREACH)


def test_an_operator_in_parts_has_its_value():
    parts = private.decomposition_of(torch.ops.aten._weight_norm_interface.default)
    weight, size = torch.tensor([[3.0, 4.0]]), torch.tensor([[10.0]])
    assert parts is not None
    assert parts(weight, size, 0)[0].tolist() == [[6.0, 8.0]]


def test_views_of_one_memory_have_its_address():
    tensor, other = torch.ones(4), torch.ones(4)
    address = private.memory_of(tensor.untyped_storage())
    assert private.memory_of(tensor[1:].view(3, 1).untyped_storage()) == address
    assert private.memory_of(other.untyped_storage()) != address
    weak = private.StorageWeakRef(tensor.untyped_storage())
    assert not weak.expired()
    del tensor
    assert weak.expired()


def test_tensor_backward_calls_the_function_that_is_hooked(monkeypatch):
    seen = []
    plain = torch.autograd.backward

    def backward(tensors, *args, **kwargs):
        seen.append(tensors)
        return plain(tensors, *args, **kwargs)

    monkeypatch.setattr(torch.autograd, "backward", backward)
    loss = torch.ones(2, requires_grad=True).sum()
    loss.backward()
    assert len(seen) == 1
    assert any(each is loss for each in (seen[0] if isinstance(seen[0], tuple) else [seen[0]]))


def test_autograd_node_has_the_number_that_was_next_before_it_was_made():
    x = torch.ones(2, requires_grad=True)
    number = private.next_node()
    y = x.sqrt()
    assert private.next_node() > number
    seen = []
    y.register_hook(lambda g: seen.append(private.current_node()))
    z = y.sum()
    assert private.current_node() is None
    y.grad_fn.register_prehook(lambda g: seen.append(private.current_node()))
    z.backward()
    assert seen == [number, number]


def test_what_is_unseen_is_seen_by_no_mode():
    from stayfinite.frameworks.torch.other_dtype import FLOAT64, OtherDtype

    narrow = torch.ones(2)
    with OtherDtype(FLOAT64):
        assert (narrow + 1).dtype == torch.float64
        with private.unseen():
            assert (narrow + 1).dtype == torch.float32


def test_compiled_function_knows_what_it_was_made_of():
    def function(x):
        return x

    compiled = torch.compile(function, backend="eager")
    assert private.is_compiled(compiled)
    assert private.function_of(compiled) is function
    assert not private.is_compiled(function)
    assert private.function_of(function) is function


def test_state_has_its_four_parts():
    model = nets.mlp()
    model.train_on_batch(*(array[:8] for array in nets.table()))
    parts = state_variables(KerasModel(model))
    assert [len(part) for part in parts[:2]] == [
        len(model.trainable_variables),
        len(model.non_trainable_variables),
    ]
    assert len(parts[2]) == len(model.optimizer.variables)
    assert len(parts[3]) == len(model.metrics_variables)


def test_buffers_of_modules_inside_a_model():
    module = torch.nn.BatchNorm1d(5)
    model = keras.Sequential([keras.Input((5,)), keras.layers.TorchModuleWrapper(module)])
    assert len(private.buffers_of(KerasModel(model))) == 3
    assert private.buffers_of(KerasModel(nets.mlp())) == []


def test_array_becomes_a_tensor_and_a_tensor_stays():
    engine = KerasEngine(KerasModel(nets.mlp()))
    found = engine.tensor(np.ones(2, "float32"))
    assert isinstance(found, torch.Tensor)
    assert engine.tensor(found) is found
    half = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    assert private.numpy_of(half).dtype == np.float32
