"""Which variables of a model may be saved with infinities: those that a training may keep them in.

A weight or statistic of the user's own may hold a bound, as a minimum so far; one of a layer of
Keras not.
"""

from __future__ import annotations

from typing import Any

from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.keras.roles import may_keep_infinity


def may_be_infinite(model: Any) -> set[int]:
    """The identities of the variables of a Keras model that may be infinite in a file."""
    subject = KerasModel(model, weak=True)
    variables = [*subject.trainable_variables, *subject.non_trainable_variables]
    return {id(variables[position]) for position in may_keep_infinity(subject)}


def written_variables(model: Any) -> list[Any]:
    """The variables of a model, and of its optimizer, which Keras writes also by `save_weights`."""
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *(optimizer.variables if optimizer else ())]
