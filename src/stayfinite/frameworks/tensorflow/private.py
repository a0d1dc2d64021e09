"""Every private name of TensorFlow, and of Keras on TensorFlow, that is used.

TensorFlow has no public way to see eager ops, their gradient functions, or writes to variables in
a graph. Its own debugger uses the same modules. `tests/frameworks/test_tensorflow_private.py`
exercises each name.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import linecache
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import CodeType, MethodType
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2
from tensorflow.python import pywrap_tfe
from tensorflow.python.autograph.pyct import inspect_utils
from tensorflow.python.eager import backprop, context
from tensorflow.python.eager.execute import quick_execute
from tensorflow.python.eager.polymorphic_function import polymorphic_function
from tensorflow.python.eager.polymorphic_function.tf_method_target import TfMethodTarget
from tensorflow.python.framework import op_callbacks, op_def_registry
from tensorflow.python.ops import gen_random_ops, resource_variable_ops
from tensorflow.python.util import tf_decorator

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.subject import Compilation

__all__ = [
    "EagerTensor",
    "execute",
    "forget_traces",
    "gradient_functions",
    "has_key",
    "is_random",
    "is_written",
    "key",
    "make_function",
    "op_callback",
    "rarely",
    "raw",
    "same_random_numbers",
    "strategy_of",
    "with_types",
]

# The only class of the tensors that have a value.
EagerTensor = tf.__internal__.EagerTensor

# The attribute in which TensorFlow notes which resources a called function only reads.
_READ_ONLY = "_read_only_resource_inputs"
_READS = {"ReadVariableOp", "VarIsInitializedOp", "VariableShape", "ResourceGather"}


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


def is_written(graph: Any, variables: list[tf.Variable]) -> bool:
    """Whether an op of `graph` may write to one of `variables`.

    Args:
        graph: The graph of a function that is being traced.
        variables: The variables in question.
    """
    handles = {id(variable.handle) for variable in variables}
    resources = {id(inner) for outer, inner in graph.captures if id(outer) in handles}
    for op in graph.get_operations():
        if op.type in _READS:
            continue
        touched = {n for n, operand in enumerate(op.inputs) if id(operand) in resources}
        if not touched <= set(_read_only(op)):
            return True
    return False


def _read_only(op: Any) -> list[int]:
    try:
        return list(op.get_attr(_READ_ONLY))
    except ValueError:
        return []


def is_function(step: Any) -> bool:
    """Whether `tf.function` made it."""
    return hasattr(step, "python_function")


def python_function_of(step: Any) -> Callable[..., Any]:
    """What was given to `tf.function`; any other function itself."""
    function: Callable[..., Any] = step.python_function if is_function(step) else step
    return function


def hook_calls(make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[[], None]:
    """Replace the call of every `tf.function` by `make(call)`; returns what undoes it."""
    owner = polymorphic_function.Function
    plain = owner.__call__
    owner.__call__ = functools.wraps(plain)(make(plain))

    def undo() -> None:
        owner.__call__ = plain

    return undo


def with_function_around(function: Any, around: Callable[[Callable[[], Any]], Any]) -> Any:
    """A `tf.function` like another one, whose Python function is called inside `around`.

    Args:
        function: What `tf.function` returned.
        around: Called with what calls the user's function; its result is that of the function.
    """
    inner = function.python_function

    def call(*args: Any, **keywords: Any) -> Any:
        # AutoGraph puts its conversion of the user's function into this attribute.
        return around(lambda: wrapped.__wrapped__(*args, **keywords))

    wrapped = tf_decorator.make_decorator(inner, call)
    return function._clone(wrapped)


def bound_function(function: Any) -> Callable[..., Any]:
    """What was given to `tf.function`, not converted by AutoGraph; a method with its object.

    It does not keep this object alive, as `function` does not.
    """
    inner = function.python_function
    method = getattr(inner, "__original_wrapped__", None)
    holder = getattr(method, "__self__", None)
    if isinstance(method, MethodType) and isinstance(holder, TfMethodTarget):
        return _bound_weakly(method.__func__, holder)
    plain: Callable[..., Any] = inner
    return plain


def _bound_weakly(function: Callable[..., Any], holder: TfMethodTarget) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        return function(holder.target, *args, **keywords)

    vars(call)["__signature__"] = inspect.signature(functools.partial(function, None))
    return call


@contextlib.contextmanager
def functions_as_written() -> Iterator[None]:
    """Inside the block, a `tf.function` is called as the eager code that the user wrote.

    Private: AutoGraph leaves its conversion of a method in the object that `tf.function` returned.
    """

    def written(plain: Callable[..., Any]) -> Callable[..., Any]:
        def call(function: Any, *args: Any, **keywords: Any) -> Any:
            if is_of_library(function):
                return plain(function, *args, **keywords)
            return bound_function(function)(*args, **keywords)

        return call

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        with replaced([(polymorphic_function.Function, "__call__", written)]):
            yield
    finally:
        tf.config.run_functions_eagerly(before)


def code_of(function: Callable[..., Any]) -> CodeType | None:
    """The code of a function or method, also inside of decorators and of `functools.partial`."""
    inner = function.func if isinstance(function, functools.partial) else function
    code = getattr(inspect.unwrap(inner), "__code__", None)
    return code if isinstance(code, CodeType) else None


def captured_variables(graph: Any) -> Callable[[Any], bool]:
    """Whether a function that is being traced reads or writes a variable."""
    handles = {id(outer) for outer, _ in graph.captures}
    return lambda variable: id(getattr(raw(variable), "handle", None)) in handles


def written_variables(graph: Any) -> Callable[[Any], bool]:
    """Whether a function that is being traced may write to a variable.

    An operation that is given the variable itself, and does not only read it, counts as one that
    writes to it.
    """
    written = {
        id(outer)
        for outer, inner in graph.captures
        if any(op.type != "ReadVariableOp" for op in inner.consumers())
    }
    return lambda variable: id(getattr(raw(variable), "handle", None)) in written


def forget_traces() -> None:
    """Have every `tf.function` of the program traced again at its next call.

    Private: a function that is traced once keeps the code that it had then. The functions of
    libraries are left as they are.
    """
    inspect_utils._fix_linecache_record = _unless_patched
    for thing in gc.get_objects():
        # Not isinstance: it asks proxies for their class, which may run code of the user.
        if type(thing) is polymorphic_function.Function and not is_of_library(thing):
            thing._variable_creation_config = thing._no_variable_creation_config = None
            thing._function_cache = type(thing._function_cache)()


_fix_linecache_record = inspect_utils._fix_linecache_record


def _unless_patched(function: Any) -> None:
    """Let AutoGraph read the lines of a function from its file, unless these were replaced.

    AutoGraph compiles the text of a function that has control flow. Lines in `linecache` without
    the time of a file were not read from one.
    """
    entry: tuple[Any, ...] = linecache.cache.get(inspect.getfile(function), ())
    if len(entry) < 2 or entry[1] is not None:
        _fix_linecache_record(function)


def is_of_library(function: Any) -> bool:
    """Whether Keras or TensorFlow made a `tf.function` for itself."""
    module = str(getattr(function.python_function, "__module__", None))
    return module.partition(".")[0] in ("keras", "tensorflow")


def is_xla(step: Any) -> bool:
    """Whether it is a `tf.function` that XLA compiles."""
    return bool(getattr(step, "_jit_compile", False))


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


@contextlib.contextmanager
def same_random_numbers() -> Iterator[None]:
    """`tf.random` draws the same numbers in each block, and goes on as before afterwards."""
    current = context.context()
    # It has no `_rng` as long as no seed was ever set.
    before = current._seed, getattr(current, "_rng", None)
    current._set_global_seed(0 if before[0] is None else before[0])
    try:
        yield
    finally:
        current._seed, current._rng = before


class RandomOperation(NamedTuple):
    """A function or method that draws random numbers.

    Attributes:
        owner: The module or class that has it.
        name: Its name.
        takes_shape: Whether its first argument is the shape of the result; else it is an array of
            that shape.
    """

    owner: Any
    name: str
    takes_shape: bool


def random_operations() -> list[RandomOperation]:
    """Those by which `tf.random` and its generators draw.

    Private: the functions of `tf.random` are known to programs under several names.
    """
    generated = ("random_standard_normal", "random_uniform", "random_uniform_int")
    methods = ("normal", "truncated_normal", "uniform", "uniform_full_int")
    return [
        *(RandomOperation(gen_random_ops, n, True) for n in (*generated, "truncated_normal")),
        RandomOperation(gen_random_ops, "random_shuffle", False),
        *(RandomOperation(tf.random.Generator, name, True) for name in methods),
    ]


def assignments() -> list[tuple[type, str]]:
    """The methods that assign to a variable, also to that inside one of Keras: class and name."""
    owner = resource_variable_ops.ResourceVariable
    names = ("assign", "assign_add", "assign_sub")
    return [(keras_private.owner_of(owner, name), name) for name in names]


@contextlib.contextmanager
def random_numbers_kept() -> Iterator[None]:
    """`tf.random` draws the same numbers after the block as without it."""
    current = context.context()
    rng = getattr(current, "_rng", None)
    before = None if rng is None else rng.getstate()
    try:
        yield
    finally:
        if rng is not None and rng.getstate() != before:
            # This clears the kernels, too. One that was used in the block would go on from there.
            current._set_global_seed(current._seed)
            current._rng = rng
            rng.setstate(before)


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


@functools.cache
def _kinds(op_type: str) -> dict[str, str]:
    """The kind of each attribute of an op, by its name."""
    definition = op_def_registry.get(op_type)
    return {} if definition is None else {attr.name: attr.type for attr in definition.attr}
