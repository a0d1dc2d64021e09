"""What the arrays of an update show: whether they are finite, and which weights they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from stayfinite.frameworks.jax import guard_step
from stayfinite.frameworks.jax.plain.pure_calls import PureCall, arrays_in
from stayfinite.frameworks.jax.plain.pure_step import skips_bad_updates
from stayfinite.frameworks.jax.plain.trees import name_of, paths_of

_ALL_FINITE = jax.jit(guard_step.all_finite)


def is_good(gradients: Any, state: Any, out: Any) -> bool:
    """Whether gradients, updates and new slots are finite, as far as the optimizer needs it."""
    updates, after = out
    before = {id(array) for array in arrays_in(state)}
    # A single number may be infinite on purpose, as the best loss so far.
    slots = [a for a in arrays_in(after) if id(a) not in before and a.shape != ()]
    judged = [updates, slots]
    if not leaves_out(state):
        judged.append(gradients)
    return are_finite(judged)


def leaves_out(state: Any) -> bool:
    """Whether an optimizer with this state leaves out non-finite updates by itself."""
    return skips_bad_updates(name_of(path) for path in paths_of(state))


def are_finite(tree: Any) -> bool:
    """Whether the floating-point arrays of `tree` are finite; this waits for the device."""
    groups: dict[Any, list[Any]] = {}
    for array in arrays_in(tree):
        # One program runs on the devices of its arrays, which layers of a model may not share.
        devices = getattr(getattr(array, "sharding", None), "device_set", None)
        groups.setdefault(None if devices is None else frozenset(devices), []).append(array)
    return all([bool(_ALL_FINITE(arrays)) for arrays in groups.values()])


def weights_like(gradients: Any, calls: Sequence[PureCall], params: Any) -> Any:
    """The weights that were differentiated, where an update is not given them."""
    if params is not None:
        return params
    given = [tree for call in calls if call.is_gradient for tree in call.args]
    return next((tree for tree in given if are_alike(tree, gradients)), None)


def are_alike(one: Any, other: Any) -> bool:
    """Whether two trees have the same structure and shapes."""
    leaves, others = jax.tree.leaves(one), jax.tree.leaves(other)
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        np.shape(a) == np.shape(b) for a, b in zip(leaves, others, strict=True)
    )


def share_arrays(tree: Any, other: Any) -> bool:
    """Whether two trees have an array in common."""
    arrays = {id(array) for array in arrays_in(tree)}
    return any(id(array) in arrays for array in arrays_in(other))


def part_of(out: Any, part: Any) -> int | None:
    """Which element of `out` holds the arrays of `part`; None for the whole."""
    wanted = {id(array) for array in arrays_in(part)}
    for number, element in enumerate(out if isinstance(out, tuple | list) else ()):
        if wanted <= {id(array) for array in arrays_in(element)}:
            return number
    return None
