"""The learning rate of a step and of an earlier one, whether it has risen, and what set it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from stayfinite.experiments.changes import RateSource
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks import optimizers
from stayfinite.frameworks.optimizers import Optimizer, PlainOptimizer
from stayfinite.frameworks.step import Step
from stayfinite.graph.graph import Span
from stayfinite.graph.object_sites import last_setting, site_of
from stayfinite.graph.source import code_of, span_of
from stayfinite.repair import lines_that_set


@dataclass(frozen=True)
class Rates:
    """Learning rates before and now; both 0 where they are not known.

    `before` and `now` hold the variables of them that differ, by name: the user's code has set
    them. A schedule has none; it is computed from the number of the step.
    """

    first: float = 0.0
    last: float = 0.0
    before: Mapping[str, np.ndarray] = field(default_factory=dict)
    now: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def risen(self) -> float:
        """By which factor it has risen; 0 where that is not known."""
        return self.last / self.first if self.first > 0 else 0.0


def rates_of(step: Step, earlier: Step, kept: float | None = None) -> Rates:
    """The learning rates of two states of one training.

    `kept` is that of the earlier one, where it is in no variable of a state.
    """
    old, new = earlier.state_arrays(), step.state_arrays()
    names = [n for n in new if n.endswith("learning_rate") and new[n].ndim == 0 and n in old]
    differing = [n for n in names if float(old[n]) != float(new[n])]
    if names:
        name = differing[0] if differing else names[0]
        return Rates(
            float(old[name]),
            float(new[name]),
            {n: old[n] for n in differing},
            {n: new[n] for n in differing},
        )
    for optimizer in step.subject.optimizers:
        inner = optimizers.inner_optimizer(optimizer)
        present = rate_of(inner) if isinstance(inner, PlainOptimizer) else None
        if present is not None and kept is not None:
            return Rates(kept, present)
        first, last = _scheduled(inner, old), _scheduled(inner, new)
        if first is not None and last is not None:
            return Rates(first, last)
    return Rates()


def rate_of(optimizer: Optimizer) -> float | None:
    """The learning rate of `optimizer` now; None where its schedule cannot be called."""
    return _number(attempt(lambda: optimizer.learning_rate))


def schedule_of(optimizer: Optimizer) -> Callable[..., object] | None:
    """What computes the learning rate of `optimizer`; None where it is a variable."""
    rate = optimizers.learning_rate_of(optimizer)
    return rate if callable(rate) and not hasattr(rate, "assign") else None


def source_of_rate(found: Sequence[Optimizer]) -> RateSource | None:
    """What sets the learning rate of the optimizers; None where that is not known."""
    for outer in found:
        optimizer = optimizers.inner_optimizer(outer)
        if isinstance(optimizer, PlainOptimizer):
            names = optimizer.schedulers()
            if names:
                return RateSource(" and ".join(names))
            written = lines_that_set("lr")
            if len(written) == 1:
                return _source_at(written[0])
            continue
        schedule = schedule_of(optimizer)
        if schedule is not None:
            return RateSource(name_of_schedule(schedule), line_of_schedule(schedule))
        span = last_setting(optimizer) or last_setting(outer)
        if span is not None:
            return _source_at(span)
    return None


def _source_at(span: Span) -> RateSource:
    function = span.function.rpartition("<locals>.")[2]
    return RateSource(None if function == "<module>" else function, span)


def name_of_schedule(schedule: Callable[..., object]) -> str:
    """The name of a function, or the class of another schedule."""
    return str(getattr(schedule, "__name__", type(schedule).__name__))


def line_of_schedule(schedule: Callable[..., object]) -> Span | None:
    """Where the user wrote a schedule: its code, or the line that created a library's."""
    code = code_of(schedule)
    return (None if code is None else span_of(code)) or site_of(schedule)


def _scheduled(optimizer: Optimizer, state: Mapping[str, np.ndarray]) -> float | None:
    schedule = schedule_of(optimizer)
    steps = [array for name, array in state.items() if name.endswith("/iteration")]
    if schedule is None or not steps:
        return None
    # A function of the user's own may take no step.
    return _number(attempt(lambda: schedule(np.asarray(steps[0]))))


def _number(rate: object) -> float | None:
    if isinstance(rate, NotTried):
        return None
    rate = getattr(rate, "value", rate)
    rate = rate.detach().cpu() if hasattr(rate, "detach") else rate
    return float(np.asarray(rate))
