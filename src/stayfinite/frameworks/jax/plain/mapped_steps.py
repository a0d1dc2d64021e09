"""A step under `jax.pmap`, on its devices and on one of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MethodType
from typing import Any

import jax

from stayfinite.frameworks.jax.private_shards import traced_if_mappable


class MappedStep:
    """What `jax.pmap` returned, made anew for each trace of it: it keeps the program of its first.

    Args:
        mapped: What it returned.
        options: The options that it was made with.
    """

    def __init__(self, mapped: Any, options: dict[str, Any]) -> None:
        self._function = mapped.__wrapped__
        self._options = options
        functools.update_wrapper(self, self._function, updated=())

    @property
    def static(self) -> tuple[int, ...]:
        """The positions of its static arguments."""
        return tuple(self._options["static_broadcasted_argnums"])

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Call it on its devices."""

        @functools.wraps(self._function)
        def function(*args: Any, **keywords: Any) -> Any:
            return self._function(*args, **keywords)

        made = jax.pmap(function, **self._options)
        return getattr(made, "compiled", made)(*args, **keywords)

    def on_one_device(self, *args: Any, **keywords: Any) -> Any:
        """What it computes, by `jax.vmap`, so that its gradients and its loss are seen.

        Where `vmap` does not know an operation, it is called on its devices.
        """
        static = {number % len(args) for number in self.static}
        mapped = [number for number in range(len(args)) if number not in static]
        in_axes = self._options["in_axes"]
        if isinstance(in_axes, tuple | list):
            in_axes = tuple(in_axes[number] for number in mapped)

        def function(*parts: Any, **keywords: Any) -> Any:
            values = list(args)
            for number, part in zip(mapped, parts, strict=True):
                values[number] = part
            return self._function(*values, **keywords)

        kept = {key: self._options[key] for key in ("out_axes", "axis_name", "axis_size")}
        whole = jax.vmap(function, in_axes=in_axes, **kept)
        given = [args[number] for number in mapped]
        if not _is_mappable(whole, given, keywords):
            return self(*args, **keywords)
        return whole(*given, **keywords)


def on_one_device(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` as a program of one device where it is a `MappedStep` that can be traced so."""
    bound = step.__func__ if isinstance(step, MethodType) else step
    if not isinstance(bound, MappedStep):
        return step
    whole = bound.on_one_device
    return functools.partial(whole, step.__self__) if isinstance(step, MethodType) else whole


def _is_mappable(whole: Callable[..., Any], args: list[Any], keywords: dict[str, Any]) -> bool:
    def traced(args: list[Any], keywords: dict[str, Any]) -> list[Any]:
        whole(*args, **keywords)
        return []

    def trace() -> object:
        return jax.eval_shape(traced, args, keywords)

    # A result may have no axis under `pmap`: that of the first device is returned.
    return traced_if_mappable(trace, ValueError) is not None
