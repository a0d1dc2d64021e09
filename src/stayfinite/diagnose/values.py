"""The arrays of a step by the number of their value, filled by a few planned runs of the step.

Each array inside a step costs a run of the step. So the values that a rule needs are requested
together: `load` keeps arrays, `summarise` keeps a few numbers of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from stayfinite.graph.graph import Graph

Fetch = Callable[[Iterable[int]], dict[int, np.ndarray]]

# Elements that one run returns for summaries; all are in memory at once.
_ELEMENTS_A_RUN = 50_000_000


@dataclass(frozen=True)
class Summary:
    """A summary of an array. `largest` is the largest finite magnitude, or 0."""

    is_finite: bool
    has_nan: bool
    largest: float


class Values:
    """A store of arrays and summaries that is filled by runs of the step."""

    def __init__(self, graph: Graph, fetch: Fetch) -> None:
        """`fetch` runs the step and returns the arrays of the requested values."""
        self._graph = graph
        self._fetch = fetch
        self._arrays: dict[int, np.ndarray] = {}
        self._summaries: dict[int, Summary] = {}

    def __getitem__(self, value: int) -> np.ndarray:
        """An array that was loaded before."""
        return self._arrays[value]

    def load(self, values: Iterable[int]) -> None:
        """Fetch and keep the arrays that are missing, in one run of the step."""
        missing = [v for v in dict.fromkeys(values) if v not in self._arrays]
        if missing:
            self._arrays.update(self._fetch(missing))

    def loaded(self, value: int) -> np.ndarray:
        """One array; a run of its own if it was not loaded."""
        self.load([value])
        return self._arrays[value]

    def summary(self, value: int) -> Summary:
        """The summary of a value that was summarised before."""
        return self._summaries[value]

    def is_summarised(self, values: Iterable[int]) -> bool:
        """Whether all of `values` were summarised before."""
        return all(value in self._summaries for value in values)

    def summarise(self, values: Iterable[int]) -> None:
        """Make summaries of `values`, in one run of the step, or several if they are too large."""
        missing = [v for v in dict.fromkeys(values) if v not in self._summaries]
        for value in [v for v in missing if v in self._arrays]:
            self._summaries[value] = summary_of(self._arrays[value])
            missing.remove(value)
        batch: list[int] = []
        num_elements = 0
        for value in missing:
            size = self.num_elements(value)
            if batch and num_elements + size > _ELEMENTS_A_RUN:
                self._summarise(batch)
                batch, num_elements = [], 0
            batch.append(value)
            num_elements += size
        if batch:
            self._summarise(batch)

    def num_elements(self, value: int) -> int:
        """The number of elements of a value, from the graph."""
        return int(np.prod(self._graph.values[value].shape, dtype=np.int64))

    def _summarise(self, values: list[int]) -> None:
        for value, array in self._fetch(values).items():
            self._summaries[value] = summary_of(array)


def summary_of(array: np.ndarray) -> Summary:
    """The summary of an array; of one that is not of floating-point numbers, with `largest` 0."""
    wide = as_float(array)
    finite = np.isfinite(wide)
    is_float = array.dtype.kind in "fV" or "float" in array.dtype.name
    return Summary(
        is_finite=bool(finite.all()),
        has_nan=bool(np.isnan(wide).any()),
        largest=float(np.max(np.abs(wide), initial=0.0, where=finite)) if is_float else 0.0,
    )


def as_float(array: np.ndarray) -> np.ndarray:
    """`array` in a dtype that NumPy can test for finiteness; bfloat16 and integers are widened."""
    if array.dtype.kind == "f" and array.dtype.itemsize >= 2 and array.dtype.name != "bfloat16":
        return array
    return array.astype(np.float64) if array.dtype.kind != "c" else array


def is_minus_infinity(array: np.ndarray) -> np.ndarray:
    """Where `array` is -inf; no complex number is."""
    return np.isneginf(array) if array.dtype.kind != "c" else np.zeros(array.shape, bool)
