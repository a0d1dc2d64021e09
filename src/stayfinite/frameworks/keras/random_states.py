"""The random generators of a process, as arrays: of Python, NumPy, PyTorch and Keras."""

from __future__ import annotations

import random
import sys
from collections.abc import Collection, Mapping

import keras
import numpy as np

from stayfinite.frameworks.keras import private as keras_private

RandomArrays = Mapping[str, np.ndarray]

_MERSENNE = "MT19937"


def present() -> dict[str, np.ndarray]:
    """The states of all generators that draw without a seed of their own.

    Those of PyTorch are there where it is loaded, that of Keras where it was used.
    """
    states = {**_of_python(random.getstate()), **_of_numpy(np.random.get_state(legacy=True))}
    if "torch" in sys.modules:
        from stayfinite.frameworks.torch import generators

        states.update(generators.present())
    seed = keras_private.global_seed()
    if seed is not None:
        states["keras"] = np.asarray(keras.ops.convert_to_numpy(seed))
    return states


def different(one: RandomArrays, other: RandomArrays) -> set[str]:
    """Which of the generators of Python and NumPy are not in the same state."""
    names = {name for name in one if not np.array_equal(one[name], other[name])}
    return {name.partition(".")[0] for name in names} & {"python", "numpy"}


def restore(states: RandomArrays, but: Collection[str] = ()) -> None:
    """Set the generators to `states`, without those of Python and NumPy that are in `but`.

    A generator that is not among `states` stays as it is.
    """
    python, numpy = states["python"], states["numpy"]
    gauss = states["python.gauss"]
    if "python" not in but:
        random.setstate((3, tuple(map(int, python)), float(gauss[0]) if gauss.size else None))
    if numpy.size and "numpy" not in but:
        position, has_gauss = map(int, states["numpy.position"])
        cached = float(states["numpy.gauss"])
        np.random.set_state((_MERSENNE, numpy, position, has_gauss, cached))
    if "torch" in states:
        from stayfinite.frameworks.torch import generators

        generators.restore(states)
    if "keras" in states:
        keras_private.make_global_seed().assign(states["keras"])


def _of_python(state: tuple[object, ...]) -> dict[str, np.ndarray]:
    _, words, gauss = state
    return {
        "python": np.array(words, np.uint32),
        "python.gauss": np.array([] if gauss is None else [gauss], np.float64),
    }


def _of_numpy(state: object) -> dict[str, np.ndarray]:
    if not isinstance(state, tuple) or state[0] != _MERSENNE:
        return {"numpy": np.array([], np.uint32)}  # set to another one by the user
    return {
        "numpy": np.array(state[1], np.uint32),
        "numpy.position": np.array(state[2:4], np.int64),
        "numpy.gauss": np.array(state[4], np.float64),
    }
