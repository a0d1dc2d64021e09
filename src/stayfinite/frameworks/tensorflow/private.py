"""The private names of TensorFlow, and of Keras on TensorFlow, that are used.

TensorFlow has no public way to see eager ops, their gradient functions, or writes to variables in
a graph. Its own debugger uses the same modules. Those of functions of `tf.function` and of random
numbers are in `private_functions.py` and `private_random.py`.
`tests/frameworks/test_tensorflow_private.py` exercises each name.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import backprop, context
from tensorflow.python.eager.execute import quick_execute
from tensorflow.python.framework import op_callbacks, op_def_registry
from tensorflow.python.ops import resource_variable_ops

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.subject import Compilation

# The only class of the tensors that have a value.
EagerTensor = tf.__internal__.EagerTensor


def raw(variable: Any) -> Any:
    """The `tf.Variable` itself.

    Private: `value` casts it under a dtype policy, and reads a symbolic value in some scopes.
    """
    return variable._value if isinstance(variable, keras.Variable) else variable


def make_function(compilation: Compilation, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Keras's own train function around another step; each call makes one step.

    Private: `make_train_function` takes no step, and makes `steps_per_execution` steps a call.
    """
    make = keras_private.required(keras.Model, "_make_function")
    function: Callable[[Any], Any] = make(_OneStepAtATime(compilation), step)
    return function


def strategy_of(compilation: Compilation) -> Any:
    """The distribution strategy that a step is compiled under."""
    return compilation.strategy or tf.distribute.get_strategy()


class _OneStepAtATime:
    """The attributes of a model that `_make_function` reads, with one step per execution.

    It calls further methods, which differ between releases; these are looked up on `keras.Model`.
    """

    steps_per_execution = 1
    unrolled_steps_per_execution = 1

    def __init__(self, compilation: Compilation) -> None:
        self.distribute_strategy = strategy_of(compilation)
        self.run_eagerly = compilation.eager
        self.jit_compile = compilation.xla

    def __getattr__(self, name: str) -> Any:
        keras_private.required(keras.Model, name)
        return inspect.getattr_static(keras.Model, name).__get__(self, keras.Model)


def rarely(pred: Any, usual: Callable[[], Any], rare: Callable[[], Any]) -> Any:
    """`tf.cond` for a branch that is rarely taken: an untaken branch has a constant cost.

    By default TensorFlow lowers a condition into the surrounding graph. Each op of the branch, and
    each tensor that it reads, then has a cost in every step.
    """
    if tf.executing_eagerly():
        return tf.cond(pred, usual, rare)
    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    result = tf.cond(pred, usual, rare)
    for op in graph.get_operations()[before:]:
        if op.type in ("If", "StatelessIf"):
            op._set_attr("_lower_using_switch_merge", attr_value_pb2.AttrValue(b=False))
    return result


OpCallback = Callable[[str, tuple[Any, ...], tuple[Any, ...], list[Any]], None]


@contextlib.contextmanager
def op_callback(notify: OpCallback) -> Iterator[None]:
    """Call `notify(op_type, inputs, attrs, outputs)` after each eager op inside the block.

    Not for ops that `notify` runs itself, nor for those of `execute`.
    """
    busy = False

    def callback(
        op_type: Any, inputs: Any, attrs: Any, outputs: Any, name: Any = None, graph: Any = None
    ) -> None:
        nonlocal busy
        if busy or graph is not None:
            return
        busy = True
        try:
            kind = op_type.decode() if isinstance(op_type, bytes) else op_type
            notify(kind, tuple(inputs), _given(attrs or ()), list(outputs or ()))
        finally:
            busy = False

    op_callbacks.add_op_callback(callback)
    try:
        with replaced([(pywrap_tfe, "TFE_Py_FastPathExecute", _reading_variables)]):
            yield
    finally:
        op_callbacks.remove_op_callback(callback)


def _reading_variables(plain: Callable[..., Any]) -> Callable[..., Any]:
    """The call that runs most ops. It reads variables among its operands and tells no callback."""

    def execute(*arguments: Any) -> Any:
        return plain(*(read(argument) for argument in arguments))

    def read(argument: Any) -> Any:
        if isinstance(argument, tf.Variable | keras.Variable):
            return tf.convert_to_tensor(argument)
        if isinstance(argument, list | tuple):
            return type(argument)([read(item) for item in argument])
        return argument

    return execute


def _given(attrs: Any) -> tuple[Any, ...]:
    # An attribute that was left out is passed as None.
    pairs = zip(attrs[::2], attrs[1::2], strict=True)
    return tuple(item for pair in pairs if pair[1] is not None for item in pair)


@contextlib.contextmanager
def gradient_functions(entered: Callable[..., AbstractContextManager[Any]]) -> Iterator[None]:
    """Run each gradient function inside `entered(op_type, inputs, outputs)`.

    `inputs`, `outputs` and their elements are None where the gradient function does not use them.
    """
    plain = backprop._gradient_function
    # The registration is one for all threads.
    thread = threading.get_ident()

    def function(op_type: str, attrs: Any, num: int, inputs: Any, outputs: Any, *rest: Any) -> Any:
        if threading.get_ident() != thread:
            return plain(op_type, attrs, num, inputs, outputs, *rest)
        with entered(op_type, inputs or (), outputs or ()):
            return plain(op_type, attrs, num, inputs, outputs, *rest)

    pywrap_tfe.TFE_Py_RegisterGradientFunction(function)
    try:
        yield
    finally:
        pywrap_tfe.TFE_Py_RegisterGradientFunction(plain)


def assignments() -> list[tuple[type, str]]:
    """The methods that assign to a variable, also to that inside one of Keras: class and name."""
    owner = resource_variable_ops.ResourceVariable
    names = ("assign", "assign_add", "assign_sub")
    return [(keras_private.owner_of(owner, name), name) for name in names]


def execute(op_type: str, inputs: Any, attrs: tuple[Any, ...], num_outputs: int) -> list[Any]:
    """Run one op that no tape and no callback sees."""
    results = quick_execute(op_type, num_outputs, list(inputs), attrs, context.context())
    return list(results)


def has_key(tensor: Any) -> bool:
    """Whether `tensor` is an eager tensor, for which `key` is defined."""
    return hasattr(tensor, "_id")


def key(tensor: Any) -> int:
    """A number that no other eager tensor has or will have."""
    number: int = tensor._id
    return number


def with_types(
    op_type: str, attrs: tuple[Any, ...], change: Callable[[Any], Any]
) -> tuple[Any, ...]:
    """`attrs` with each dtype among them replaced by `change(dtype)`."""
    kinds = _kinds(op_type)
    changed: list[Any] = []
    for name, value in zip(attrs[::2], attrs[1::2], strict=True):
        kind = kinds.get(name if isinstance(name, str) else name.decode())
        if kind == "type":
            value = change(tf.as_dtype(value)).as_datatype_enum
        elif kind == "list(type)":
            value = [change(tf.as_dtype(item)).as_datatype_enum for item in value]
        changed += [name, value]
    return tuple(changed)


@functools.cache
def is_random(op_type: str) -> bool:
    """Whether an op draws random numbers from a state that is in no variable."""
    definition = op_def_registry.get(op_type)
    return definition is not None and definition.is_stateful and "seed" in _kinds(op_type)


# The first letters of ops that draw random numbers by a generator or by a seed in a tensor.
_DRAWN = tuple(
    f"{state}{numbers}"
    for state in ("Stateful", "Stateless")
    for numbers in ("Multinomial", "Param", "Random", "Shuffle", "Standard", "Truncated", "Uniform")
)


@functools.cache
def is_drawn(op_type: str) -> bool:
    """Whether an op draws random numbers: from a state, or from a seed among its operands."""
    return is_random(op_type) or op_type.startswith(_DRAWN)


@functools.cache
def _kinds(op_type: str) -> dict[str, str]:
    """The kind of each attribute of an op, by its name."""
    definition = op_def_registry.get(op_type)
    return {} if definition is None else {attr.name: attr.type for attr in definition.attr}
