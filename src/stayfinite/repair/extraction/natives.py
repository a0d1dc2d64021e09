"""Which Python code may be run: it has no effect but its result."""

from __future__ import annotations

import builtins
import functools
import itertools
import math
import operator
from collections.abc import Callable
from types import BuiltinFunctionType, ModuleType

import numpy as np

_BUILTINS = (
    "abs all any bool bytes callable complex dict divmod enumerate filter float frozenset getattr"
    " hasattr hash hex int isinstance issubclass iter len list max min next pow range repr reversed"
    " round set slice sorted str sum tuple type zip"
)
_PURE: frozenset[int] = (
    frozenset(id(getattr(builtins, name)) for name in _BUILTINS.split())
    | frozenset(id(thing) for thing in vars(math).values() if callable(thing))
    | frozenset(id(thing) for thing in vars(operator).values() if callable(thing))
    | frozenset(id(thing) for thing in vars(itertools).values() if callable(thing))
)
# Numbers of a library: the fuzz factor of Keras, the limits of a dtype.
_NUMBERS = frozenset(("epsilon", "finfo", "floatx", "iinfo"))
_EFFECTS = frozenset(
    "copyto fill_diagonal place put putmask save savetxt savez savez_compressed seterr".split()
)
_IMMUTABLE = (str, bytes, int, float, complex, tuple, frozenset, range, np.generic)
_READING = frozenset("copy count get index items keys values".split())
_CHANGING = frozenset("add append extend insert pop popleft setdefault sort update".split())


# Functions of a tensor library that are no operation of a formula; all of PyTorch's that have no
# word of `_OF_TORCH_WITH_EFFECT` in their name.
_OF_LIBRARY = frozenset(
    "arange constant convert_to_tensor diag dot einsum eye full gather identity linspace matmul"
    " one_hot ones outer range take tensor tensordot tril triu zeros".split()
)
_TORCH_MODULES = ("torch", "torch.functional", "torch.nn.functional", "torch._C._nn")
_OF_TORCH_WITH_EFFECT = tuple(
    "backward bernoulli compile dropout empty grad hook load multinomial normal poisson print rand"
    " rrelu sample save seed set_ share".split()
)
_TENSOR_LIBRARIES = ("jax", "keras", "tensorflow", "torch")


def is_pure_of_library(called: object) -> bool:
    """Whether `called` is a function of a tensor library that has no effect but its result."""
    name = getattr(called, "__name__", "")
    module = getattr(called, "__module__", None) or "torch"
    if module in _TORCH_MODULES:
        return method_of_torch_is_pure(name)
    return name in _OF_LIBRARY and module.partition(".")[0] in _TENSOR_LIBRARIES


def method_of_torch_is_pure(name: str) -> bool:
    """Whether a function or method of PyTorch gives the same again, and does nothing else."""
    has_effect = any(word in name for word in _OF_TORCH_WITH_EFFECT)
    return bool(name) and not name.endswith("_") and not name.startswith("_") and not has_effect


def is_pure(called: object) -> bool:
    """Whether calling `called` with plain values gives a value and does nothing else."""
    if id(called) in _PURE or isinstance(called, np.ufunc) or called is functools.partial:
        return True
    name = getattr(called, "__name__", "")
    module = getattr(called, "__module__", None) or ""
    if name in _NUMBERS:
        return True
    return (
        module.partition(".")[0] == "numpy"
        and "random" not in module
        and name not in _EFFECTS
        and callable(called)
    )


def method_is_safe(receiver: object, name: str, own: Callable[[object], bool]) -> bool:
    """Whether `receiver.name(...)` may be run; `own`: whether interpreted code made it."""
    if isinstance(receiver, _IMMUTABLE):
        return True
    if isinstance(receiver, np.ndarray):
        return name not in ("fill", "itemset", "partition", "put", "resize", "setflags", "sort")
    if isinstance(receiver, list | dict | set):
        return name in _READING or (name in _CHANGING and own(receiver))
    return False


def only_reads(receiver: object, name: str) -> bool:
    """Whether a safe method changes nothing."""
    return not isinstance(receiver, list | dict | set) or name in _READING


def is_plain(value: object) -> bool:
    """Whether a value is one of Python's or NumPy's own, with nothing unknown inside."""
    if isinstance(value, tuple | list | set | frozenset):
        return all(is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    return value is None or isinstance(
        value,
        bool
        | int
        | float
        | complex
        | str
        | bytes
        | range
        | slice
        | np.ndarray
        | np.generic
        | np.dtype
        | type
        | ModuleType
        | BuiltinFunctionType,
    )


def is_living_tensor(value: object) -> bool:
    """Whether an object of the program is a tensor or a variable of some framework."""
    return (
        not isinstance(value, np.ndarray | np.generic | type | ModuleType)
        and hasattr(value, "shape")
        and hasattr(value, "dtype")
    )


def elements_of(value: object) -> np.ndarray | None:
    """The present elements of a tensor; None for a variable, and for one that is traced."""
    if hasattr(value, "assign") or getattr(value, "requires_grad", False):
        return None
    if not hasattr(value, "__array__"):
        return None
    try:
        array = np.array(value)
    except (NotImplementedError, RuntimeError, TypeError, ValueError):
        return None  # symbolic, or on another device
    return None if array.dtype == object else array
