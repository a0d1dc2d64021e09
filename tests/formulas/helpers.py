"""Functions with a formula to rewrite, the arrays they are called with, and their source."""

import ast
import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType, ModuleType

import numpy as np

from stayfinite.graph.graph import Span
from stayfinite.repair.extraction import Extraction, extract

LIBRARIES = {
    "in_keras": "keras",
    "in_k": "keras",
    "in_torch": "torch",
    "in_jax": "jax",
    "in_tensorflow": "tensorflow",
}


@dataclass(frozen=True)
class Case:
    """A function as the user wrote it, and what shall become of it."""

    module: ModuleType
    name: str

    @property
    def naive(self) -> FunctionType:
        return self._function(self.name)

    @property
    def exact(self) -> FunctionType:
        return self._function(f"{self.name}_exact")

    @property
    def receiver(self) -> object | None:
        return self.module.LIVING if "." in self.name else None

    def _function(self, name: str) -> FunctionType:
        found = self.module
        for part in name.split("."):
            found = getattr(found, part)
        return inspect.unwrap(found)

    def arrays(self) -> dict[str, np.ndarray]:
        names = [n for n in inspect.signature(self.naive).parameters if n in ARRAYS]
        return {name: ARRAYS[name] for name in names}


def _positive(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(0.3, 2.0, shape).astype("float32")


_ONE_HOT = np.eye(6, dtype="float32")[[0, 3, 2, 5]]
ARRAYS = {
    "x": _positive(4, 6),
    "y": _positive(4, 6)[::-1].copy(),
    "a": _positive(4),
    "b": _positive(4) + 1,
    "mask": _ONE_HOT,
    "index": np.array([[0], [3], [2], [5]]),
    "payment": _positive(4, 1),
    "rate": _positive(4, 1),
    "years": _positive(4, 1) + 3,
}


def cases() -> Iterator[Case]:
    """All functions of the libraries that are installed here."""
    for file, library in LIBRARIES.items():
        if importlib.util.find_spec(library) is None:
            continue
        module = importlib.import_module(f"tests.formulas.cases.{file}")
        for name, thing in vars(module).items():
            if f"{name}_exact" in vars(module):
                yield Case(module, name)
            if isinstance(thing, type):
                for method in vars(thing):
                    if f"{method}_exact" in vars(thing):
                        yield Case(module, f"{name}.{method}")


def returned(function: FunctionType) -> Span:
    """The span of what a function returns last."""
    lines, first = inspect.getsourcelines(function)
    indent = len(lines[0]) - len(lines[0].lstrip())
    tree = ast.parse("".join(line[indent:] for line in lines))
    returns = [n for n in ast.walk(tree.body[0]) if isinstance(n, ast.Return)]
    value = max(returns, key=lambda node: node.lineno).value
    if isinstance(value, ast.Tuple):
        value = value.elts[-1]
    assert value is not None
    shift = first - 1
    return Span(
        function.__code__.co_filename,
        value.lineno + shift,
        value.col_offset + indent,
        (value.end_lineno or 0) + shift,
        (value.end_col_offset or 0) + indent,
        function.__qualname__,
    )


def extracted(
    function: FunctionType, arrays: dict[str, np.ndarray], receiver=None, *, contracts: bool = False
) -> Extraction:
    """The formula of a function of these arrays."""
    bound: dict[str, object] = dict(arrays)
    if receiver is not None:
        bound["self"] = receiver
    return extract(function, returned(function), None, bound, contracts=contracts)


def ran(case: Case, text: str, name: str) -> object:
    """What the function `name` of a module with this text returns for the arrays of the case."""
    space: dict[str, object] = {"__name__": case.module.__name__}
    exec(compile(text, "cases.py", "exec"), space)
    library = LIBRARIES[case.module.__name__.rpartition(".")[2]]
    arguments = [_tensor(library, array) for array in case.arrays().values()]
    found: object = space
    for part in name.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    receiver = [space["LIVING"]] if "." in name else []
    result = found(*receiver, *arguments)
    return result[-1] if isinstance(result, tuple) else result


def _tensor(library: str, array: np.ndarray) -> object:
    if library == "torch":
        import torch

        return torch.asarray(array)
    if library == "keras":
        import keras

        return keras.ops.convert_to_tensor(array)
    return array


def as_array(value: object) -> np.ndarray:
    """A tensor of any library as an array."""
    detached = value.detach().numpy() if hasattr(value, "detach") else value
    return np.asarray(detached)
