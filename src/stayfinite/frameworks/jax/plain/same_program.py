"""Whether a function that is traced again gives the program that its compiled form runs.

It gives another one if the function reads something that has changed since JAX traced it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from stayfinite.frameworks.jax.plain.names_read import NamesRead
from stayfinite.frameworks.jax.plain.uncompiled import static_names, uncompiled

_ADDRESS = re.compile("0x[0-9a-f]+")


@dataclass(frozen=True)
class ProgramText:
    """A program as JAX prints it, and the bytes of its constants."""

    text: str
    constants: tuple[bytes, ...]

    @classmethod
    def of(cls, compiled: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> ProgramText:
        """The program of what `jax.jit` returned, in a call; it is traced if it was not before."""
        traced = compiled.trace(*args, **keywords).jaxpr
        constants = tuple(np.asarray(_numbers(constant)).tobytes() for constant in traced.consts)
        return cls(_ADDRESS.sub("", str(traced)), constants)


def is_same_program(
    compiled: Any, args: tuple[Any, ...], keywords: Mapping[str, Any], names: NamesRead
) -> bool | None:
    """Whether a call of `compiled` runs the program that its function gives now.

    None where that is not known, as for what is not made by `jax.jit` itself.

    Args:
        compiled: What `jax.jit` returned.
        args: The arguments of the call by position.
        keywords: Those by name.
        names: What the function reads.
    """
    if not hasattr(compiled, "trace"):
        return None
    function: Callable[..., Any] = uncompiled(compiled)

    @functools.wraps(function)
    def again(*given: Any, **named: Any) -> Any:
        with names.bound():
            return function(*given, **named)

    anew = jax.jit(again, static_argnames=tuple(static_names(compiled)))
    return ProgramText.of(compiled, args, keywords) == ProgramText.of(anew, args, keywords)


def _numbers(constant: Any) -> Any:
    dtype = getattr(constant, "dtype", None)
    is_key = dtype is not None and jax.numpy.issubdtype(dtype, jax.dtypes.prng_key)
    return jax.random.key_data(constant) if is_key else constant
