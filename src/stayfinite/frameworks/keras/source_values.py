"""Random generators, arrays and tensors that a data set holds, as arrays and JSON."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np

# Bytes. Larger orders are data.
MAX_ORDER = 16 * 2**20
# Of tensors that may be an order, a count or a table of weights.
_DTYPES_OF_TORCH = {
    f"torch.{name}" for name in ("bool", "uint8", "int16", "int32", "int64", "float32", "float64")
}


def is_generator(value: Any) -> bool:
    """Whether `value` draws random numbers: of NumPy, Python, PyTorch or Keras."""
    kinds = (np.random.Generator, np.random.RandomState, random.Random)
    return isinstance(value, (*kinds, keras.random.SeedGenerator)) or _is_of_torch(
        value, "Generator"
    )


def as_array(value: Any) -> np.ndarray | None:
    """An array, a tensor of PyTorch on the host, a variable, or a generator that is one inside."""
    if isinstance(value, np.ndarray):
        return None if value.dtype.hasobject else value
    if isinstance(value, keras.random.SeedGenerator):
        value = value.state
    if isinstance(value, keras.Variable):
        return np.asarray(keras.ops.convert_to_numpy(value))
    if _is_of_torch(value, "Generator"):
        return np.asarray(value.get_state().cpu().numpy())
    if _is_of_torch(value, "Tensor") and str(value.dtype) in _DTYPES_OF_TORCH:
        is_plain = value.device.type == "cpu" and str(value.layout) == "torch.strided"
        # A larger one is data, whose checksum would take too long.
        is_small = value.numel() * value.element_size() <= MAX_ORDER
        is_state = is_plain and is_small and not value.requires_grad
        return np.asarray(value.numpy()) if is_state else None
    return None


def put_array(value: Any, saved: np.ndarray) -> bool:
    """Give `value`, of which `as_array` gave `saved`, that content; whether it can change.

    Another attribute may have the same object, too.
    """
    if isinstance(value, keras.random.SeedGenerator):
        value.state.assign(saved)
    elif isinstance(value, keras.Variable):
        value.assign(saved)
    elif _is_of_torch(value, "Generator"):
        state = value.get_state().clone()
        state.numpy()[...] = saved
        value.set_state(state)
    else:
        there = as_array(value)
        if there is None or (there.shape, there.dtype) != (saved.shape, saved.dtype):
            return False
        if not there.flags.writeable:
            return False
        there[...] = saved
    return True


def generator_state(generator: Any) -> Any:
    """The state of a generator of NumPy or Python as JSON."""
    if isinstance(generator, random.Random):
        version, words, gauss = generator.getstate()
        return [version, list(words), gauss]
    if isinstance(generator, np.random.RandomState):
        return _as_lists(generator.get_state(legacy=False))
    return _as_lists(generator.bit_generator.state)


def set_generator(generator: Any, state: Any) -> None:
    """Set a generator of NumPy or Python to what `generator_state` gave."""
    if isinstance(generator, random.Random):
        version, words, gauss = state
        generator.setstate((version, tuple(words), gauss))
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(_as_arrays(state))
    else:
        generator.bit_generator.state = _as_arrays(state)


def _is_of_torch(value: Any, name: str) -> bool:
    kind = type(value)
    return kind.__name__ == name and kind.__module__.partition(".")[0] == "torch"


def _as_lists(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _as_lists(value) for name, value in state.items()}
    return {"uints": state.tolist()} if isinstance(state, np.ndarray) else state


def _as_arrays(state: Any) -> Any:
    if isinstance(state, dict) and set(state) == {"uints"}:
        return np.array(state["uints"], np.uint64)
    if isinstance(state, dict):
        return {name: _as_arrays(value) for name, value in state.items()}
    return state
