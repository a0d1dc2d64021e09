"""The failing step in float64, which several stages of an explanation ask for."""

from __future__ import annotations

import functools

from stayfinite.frameworks.change import WiderDtype
from stayfinite.frameworks.step import Outcome, Step


class Float64Run:
    """One run of `step` in float64, made when it is first asked for."""

    def __init__(self, step: Step) -> None:
        self._step = step

    @functools.cached_property
    def outcome(self) -> Outcome:
        """What the step gives in float64.

        Raises:
            Exception: what the step raised, as for an op that has no float64 form.
        """
        return self._step.run(WiderDtype())
