"""The state of a training on JAX: the variables that a train step is given, and their values."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.heavy_state import MAX_WRITTEN_BYTES, Writes
from stayfinite.frameworks.state import State, Tensor
from stayfinite.frameworks.subject import Subject


def state_variables(subject: Subject) -> list[list[Any]]:
    """The variables of a state: trainable, non-trainable, of the first optimizer, of metrics.

    Keras hands its train step no other optimizer than that of the training.
    """
    return [
        list(subject.trainable_variables),
        list(subject.non_trainable_variables),
        list(subject.optimizers[0].variables) if subject.optimizers else [],
        list(subject.metrics_variables),
    ]


def store(subject: Subject, state: State) -> None:
    """Make `state` the values of the variables, also in the middle of `fit`."""
    for variables, values in zip(state_variables(subject), state.groups, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    subject.state_was_stored()


def written_since(left: Any, state: Any) -> Writes | None:
    """The arrays of `state` that are not those of `left`; None where they are many or others.

    Args:
        left: The groups of a state as a step has left it.
        state: Those of the state that the next step is made on.
    """
    before = [value for group in left[:4] for value in group]
    now = [value for group in state[:4] for value in group]
    if len(before) != len(now):
        return None
    changed = [at for at, (old, new) in enumerate(zip(before, now, strict=True)) if old is not new]
    if sum([now[position].nbytes for position in changed]) > MAX_WRITTEN_BYTES:
        return None
    return {position: np.array(now[position]) for position in changed}


def fresh_metrics(subject: Subject) -> list[Tensor]:
    """The values of the metrics after a reset; the metrics themselves stay as they are."""
    variables = state_variables(subject)[3]
    kept = [np.asarray(variable.value) for variable in variables]
    subject.reset_metrics()
    fresh: list[Tensor] = [jnp.asarray(np.asarray(variable.value)) for variable in variables]
    for variable, value in zip(variables, kept, strict=True):
        variable.assign(value)
    return fresh


def scaled_update(before: Any, after: Any, factor: float) -> Any:
    """What a weight becomes with a learning rate times `factor`, to which its update is linear."""
    wide = jnp.promote_types(jnp.result_type(before), jnp.float32)
    update = jnp.asarray(after, wide) - jnp.asarray(before, wide)
    return (jnp.asarray(before, wide) + update * factor).astype(jnp.result_type(after))
