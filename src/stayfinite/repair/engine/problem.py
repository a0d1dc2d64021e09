"""The question to the engine, and its answer."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from stayfinite.repair.formula import Node

Framework = Literal["jax", "tensorflow", "torch"]
Claim = Literal["positive", "non-negative", "one-hot", "0 or 1"]


@dataclass(frozen=True, eq=False)
class FormulaProblem:
    """A formula that fails in floating point, with the operands at which it fails.

    `values` holds one array for each leaf of `root`: the failing sample first, then two to four
    healthy ones, wherever a leaf has a batch axis. Arrays are float for leaves of role VARIABLE
    and DATA, bool or integer or float for MASK and INTEGER. `wanted` are the leaves whose gradient
    counts. `available` are the op names of `formula` that the user's dialect can spell; arithmetic
    (`add`, `subtract`, `multiply`, `divide`, `negative`, `power`), comparisons and indexing always
    are. With `float64_island` a sub-formula may be computed between two `cast` nodes.

    Exact arithmetic takes microseconds an element: beyond some hundred elements the search takes
    longer than it is given.
    """

    root: Node
    values: Mapping[Node, np.ndarray]
    wanted: tuple[Node, ...]
    dtype: str = "float32"
    framework: Framework = "jax"
    available: frozenset[str] = frozenset()
    float64_island: bool = False


class FixValue(enum.Enum):
    """What a rewrite does to the value of the formula."""

    EXACT = "exact"  # value and gradient of exact arithmetic
    BOUNDED = "bounded"  # the exact value has no room in the dtype; the rewrite bounds it
    CHANGED = "changed"  # a finite exact value exists, this is another
    UNDEFINED = "undefined"  # the formula has no value at the failing elements


@dataclass(frozen=True)
class Assumption:
    """What a rewrite assumes of a sub-formula; to be checked on all recorded batches."""

    node: Node
    claim: Claim


@dataclass(frozen=True, order=True)
class Price:
    """How far a formula in floating point is from the exact one; less is better.

    The first three count elements. `regressions` are those at other signs, zeros and small
    operands that the original has right and this has not. `near_miss` counts elements of the
    directed samples, where operands are close to each other, far apart or more extreme; it ranks
    rewrites and refuses none.
    """

    wrong_values: int
    wrong_gradients: int
    regressions: int
    near_miss: int
    size: int

    @property
    def clean(self) -> bool:
        """Value and gradient are right on the samples and around them."""
        return not self.wrong_values and not self.wrong_gradients


@dataclass(frozen=True)
class Rewrite:
    """A formula in the place of the problem's root, over the same leaves.

    `trail` names the rules that led to it, in order. Constants are Python numbers. A sub-formula
    that occurs twice is one node: it is computed once and needs a name in the source.
    """

    root: Node
    value: FixValue
    price: Price
    trail: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = field(default=())
