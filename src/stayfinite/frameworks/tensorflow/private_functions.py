"""The private names that functions of `tf.function` are read and changed by."""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import linecache
from collections.abc import Callable, Iterator
from types import CodeType, MethodType
from typing import Any

import tensorflow as tf
from tensorflow.python.autograph.pyct import inspect_utils
from tensorflow.python.eager.polymorphic_function import polymorphic_function
from tensorflow.python.eager.polymorphic_function.tf_method_target import TfMethodTarget
from tensorflow.python.util import tf_decorator

from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.tensorflow import private

# The attribute in which TensorFlow notes which resources a called function only reads.
_READ_ONLY = "_read_only_resource_inputs"
_READS = {"ReadVariableOp", "VarIsInitializedOp", "VariableShape", "ResourceGather"}


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


def compiled_by_xla(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` as one program, also inside of `functions_as_written`; no AutoGraph.

    It holds the functions of the user that are called in it as they are written.
    """
    function = tf.function(step, jit_compile=True, autograph=False)

    def call(*args: Any) -> Any:
        before = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(False)
        try:
            # `function` would warn of programs that are compiled again and again.
            return function.get_concrete_function(*args)(*args)
        finally:
            tf.config.run_functions_eagerly(before)

    return call


def _bound_weakly(function: Callable[..., Any], holder: TfMethodTarget) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        return function(holder.target, *args, **keywords)

    vars(call)["__signature__"] = inspect.signature(functools.partial(function, None))
    return call


def code_of(function: Callable[..., Any]) -> CodeType | None:
    """The code of a function or method, also inside of decorators and of `functools.partial`."""
    inner = function.func if isinstance(function, functools.partial) else function
    code = getattr(inspect.unwrap(inner), "__code__", None)
    return code if isinstance(code, CodeType) else None


def captured_variables(graph: Any) -> Callable[[Any], bool]:
    """Whether a function that is being traced reads or writes a variable."""
    handles = {id(outer) for outer, _ in graph.captures}
    return lambda variable: id(getattr(private.raw(variable), "handle", None)) in handles


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
    return lambda variable: id(getattr(private.raw(variable), "handle", None)) in written


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
    """Whether Keras, TensorFlow or the guard made a `tf.function` for itself."""
    module = str(getattr(function.python_function, "__module__", None))
    return module.partition(".")[0] in ("keras", "tensorflow", "stayfinite")


def is_xla(step: Any) -> bool:
    """Whether it is a `tf.function` that XLA compiles."""
    return bool(getattr(step, "_jit_compile", False))
