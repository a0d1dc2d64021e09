"""The moments that Adam and its like keep of each weight."""

from __future__ import annotations

from typing import Any

import keras

from stayfinite.frameworks.optimizers import Moments

_FIRST, _SECOND = "_momentum", "_velocity"


def moments_of(optimizer: Any) -> list[Moments]:
    """Those of an optimizer of Keras; none of any other class, which may define them otherwise."""
    # The package `keras` has a class of its own for each; an object has the one inside.
    kinds = (keras.optimizers.Adam, keras.optimizers.AdamW, keras.optimizers.Nadam)
    if type(optimizer) not in {type(kind.__new__(kind)) for kind in kinds}:
        return []
    paths = [variable.path for variable in optimizer.variables]
    decays = float(optimizer.beta_1), float(optimizer.beta_2)
    weights = [path.removesuffix(_FIRST) for path in paths if path.endswith(_FIRST)]
    return [
        Moments(weight + _FIRST, weight + _SECOND, decays)
        for weight in weights
        if weight + _SECOND in paths
    ]
