"""Which variables of a model may be saved with infinities, that are kept on purpose.

A statistic of the user's own may hold a bound, as a minimum so far; one of a layer of Keras not.
"""

from __future__ import annotations

from typing import Any

from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.keras.roles import variables_of_keras


def may_be_infinite(model: Any) -> set[int]:
    """The identities of the variables of a Keras model that may be infinite in a file."""
    of_keras = variables_of_keras(KerasModel(model, weak=True))
    return {id(variable) for variable in model.non_trainable_variables} - of_keras
