"""Which values of a model may be saved: finite ones, and infinities that are kept on purpose.

A statistic of the user's own may hold a bound, as a minimum so far; one of a layer of Keras not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.keras.roles import variables_of_keras


def may_be_infinite(model: Any) -> set[int]:
    """The identities of the variables of a Keras model that may be infinite in a file."""
    of_keras = variables_of_keras(KerasModel(model, weak=True))
    return {id(variable) for variable in model.non_trainable_variables} - of_keras


def may_be_saved(values: np.ndarray, *, may_be_infinite: bool) -> bool:
    """Whether no value of a variable is NaN, or infinite where it must not be.

    What is no floating-point number, as the state of a random generator, may have any value.
    """
    if values.dtype.kind not in "fcV":  # V is a float of `ml_dtypes`, as bfloat16
        return True
    return not bool(np.any(np.isnan(values) if may_be_infinite else ~np.isfinite(values)))
