"""Trainings in which a bad step can be found later, because what is non-finite stays so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from stayfinite.frameworks.keras import roles
from stayfinite.frameworks.keras.optimizer_bounds import row_of
from stayfinite.frameworks.subject import Subject


def bad_steps_leave_marks(subject: Subject) -> bool:
    """Whether every state after a bad step is non-finite, or the mean of the loss is.

    The optimizers of the table make a weight or slot of a non-finite gradient, and none of their
    updates makes a finite number of one that is not. Not known are a train step, an optimizer or a
    layer of the user's own, constraints, and the gradients that a loss scale skips; a clip to
    values hides an infinite gradient.
    """
    optimizers: Sequence[Any] = subject.optimizers
    if not (subject.uses_default_train_step and subject.uses_default_metrics):
        return False
    if len(optimizers) != 1:
        return False
    row = row_of(optimizers[0])
    if row is None or not row.keeps_bad_gradients or optimizers[0].clipvalue is not None:
        return False
    variables: list[Any] = subject.trainable_variables
    changed_otherwise = any(
        variable.constraint is not None or getattr(variable, "overwrite_with_gradient", False)
        for variable in variables
    )
    others: list[Any] = subject.non_trainable_variables
    # A seed is an integer.
    own = [others[position] for position in roles.own_statistics(subject)]
    return not changed_otherwise and not any(keras.backend.is_float_dtype(v.dtype) for v in own)
