"""The fewest samples of the batch that make the step fail, by bisection.

Samples are replaced, not left out: shapes stay, and so do the samples around them, which a
normalisation over the batch couples. In their place come the same samples of a healthy batch, or
other samples of the batch itself where there is none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from stayfinite.experiments.rollout import is_good
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Change, SamplesFrom, WithoutSamples
from stayfinite.frameworks.step import Outcome, Step

# Seconds: of the whole search, and of one run with which it is begun at all.
_SECONDS = 4.0
_LONGEST_STEP = 1.0
# More samples than these are not a few that are at fault.
_MOST = 8
# Healthy batches of which one is taken; those of an end of an epoch have another shape.
_FILLERS = 2
# Healthy batches among which samples at fault have to fail, too.
_FURTHER = 3


@dataclass(frozen=True)
class SmallestSamples:
    """`samples` fail, whatever the others are; without them the step is finite.

    `alone` is one of them that fails by itself, where they are several and one does.
    """

    samples: tuple[int, ...]
    alone: int | None
    num_runs: int


class _SearchEndedError(Exception):
    """The time is used up, or the step cannot be run on other samples."""


@dataclass(frozen=True)
class SampleSearch:
    """The result of a search; `too_slow` if the step takes too long to search at all."""

    smallest: SmallestSamples | None = None
    too_slow: bool = False


def smallest_samples(step: Step, healthy: Sequence[Batch]) -> SampleSearch:
    """The fewest samples that fail, if a few do and this can be shown in time.

    Args:
        step: The failing step.
        healthy: Batches before it, newest first.
    """
    num_samples = step.trace.num_samples
    if num_samples is None or num_samples < 2:
        return SampleSearch()
    bisection = _Bisection(step, num_samples, healthy)
    try:
        return SampleSearch(bisection.run())
    except _SearchEndedError:
        return SampleSearch(too_slow=bisection.too_slow)


def failing_alone(
    step: Step, samples: tuple[int, ...], healthy: Sequence[Batch]
) -> tuple[int, ...]:
    """Those of `samples` that fail by themselves; all of them where that cannot be shown.

    A sample that is compared to a bad one, as in a matrix of similarities, is non-finite as well,
    but not at fault.
    """
    num_samples = step.trace.num_samples
    if num_samples is None or not 1 < len(samples) <= _MOST:
        return samples
    try:
        return _Bisection(step, num_samples, healthy).alone_among(samples)
    except _SearchEndedError:
        return samples


class _Bisection:
    def __init__(self, step: Step, num_samples: int, healthy: Sequence[Batch]) -> None:
        self.num_runs = 0
        self.too_slow = False
        self._step = step
        self._all = tuple(range(num_samples))
        self._until = time.monotonic() + _SECONDS
        self._healthy = healthy
        self._other: Batch | None = None

    def run(self) -> SmallestSamples | None:
        self._other = self._filler(self._healthy)
        # Without a healthy batch there are no good samples to replace both halves with.
        samples = _fewest(self._all, self._good_without, self._other is not None)
        if not self._is_few(samples):
            return None
        if self._is_enough(samples):
            if not self._fails_among_others(samples):
                return None
            alone = None
            if len(samples) > 1:
                alone = next(
                    (sample for sample in samples if not self._good_with(sample, samples)), None
                )
            return SmallestSamples(samples, alone, self.num_runs)
        if self._other is None:
            return None
        # One of them less is good already, so it takes several to fail.
        together = _fewest(self._all, self._fails_with, True)
        if not self._is_few(together) or not self._good_without(together):
            return None
        if not self._fails_among_others(together):
            return None
        return SmallestSamples(together, None, self.num_runs)

    def alone_among(self, samples: tuple[int, ...]) -> tuple[int, ...]:
        """Those that fail by themselves, if without them the step is finite; else all."""
        self._other = self._filler(self._healthy)
        alone = tuple(sample for sample in samples if not self._good_with(sample, samples))
        return alone if alone and self._good_without(alone) else samples

    def _fails_among_others(self, samples: tuple[int, ...]) -> bool:
        """Whether the samples fail among those of further healthy batches, if there are any.

        A sum that is 0 over a batch is so by all of its samples. The sample in whose place the
        healthy batch has the only one that counts would be taken for the one at fault.
        """
        others = tuple(sample for sample in self._all if sample not in samples)
        further = [batch for batch in self._healthy if batch is not self._other]
        for batch in further[:_FURTHER]:
            if time.monotonic() > self._until:
                break
            outcome = self._run(SamplesFrom(others, batch))
            if not isinstance(outcome, NotTried) and is_good(outcome):
                return False
        return True

    def _is_few(self, samples: tuple[int, ...] | None) -> TypeGuard[tuple[int, ...]]:
        return samples is not None and len(samples) <= min(_MOST, len(self._all) // 2)

    def _filler(self, healthy: Sequence[Batch]) -> Batch | None:
        """A healthy batch, of the same shapes, that is finite on the state of now as well."""
        for batch in healthy[:_FILLERS]:
            outcome = self._run(SamplesFrom(self._all, batch))
            if not isinstance(outcome, NotTried) and is_good(outcome):
                return batch
        return None

    def _fails_with(self, samples: tuple[int, ...]) -> bool:
        """Whether these samples fail among healthy ones."""
        return not self._good_without(
            tuple(sample for sample in self._all if sample not in samples)
        )

    def _is_enough(self, samples: tuple[int, ...]) -> bool:
        """Whether the samples fail among others that are good, and these do not."""
        others = tuple(sample for sample in self._all if sample not in samples)
        if self._good_without(others):
            return False
        if self._other is not None:
            return True
        # Copies of one sample may fail by being alike.
        return self._good(
            WithoutSamples(tuple(sample for sample in self._all if sample != others[0]))
        )

    def _good_with(self, sample: int, samples: tuple[int, ...]) -> bool:
        return self._good_without(tuple(other for other in samples if other != sample))

    def _good_without(self, samples: tuple[int, ...]) -> bool:
        if self._other is not None:
            return self._good(SamplesFrom(samples, self._other))
        return len(samples) < len(self._all) and self._good(WithoutSamples(samples))

    def _good(self, change: Change) -> bool:
        outcome = self._run(change)
        if isinstance(outcome, NotTried):
            raise _SearchEndedError
        return is_good(outcome)

    def _run(self, change: Change) -> Outcome | NotTried:
        began = time.monotonic()
        if began > self._until:
            raise _SearchEndedError
        outcome = attempt(lambda: self._step.run(change))
        self.num_runs += 1
        if self.num_runs == 1 and time.monotonic() - began > _LONGEST_STEP:
            self.too_slow = True
            raise _SearchEndedError
        return outcome


def _fewest(
    samples: tuple[int, ...],
    holds: Callable[[tuple[int, ...]], bool],
    of_both: bool,
    given: tuple[int, ...] = (),
) -> tuple[int, ...] | None:
    """The fewest of `samples` of which, beside `given`, something holds as it does of all of them.

    Args:
        samples: Where to look.
        holds: Asked of sets of samples; of more samples it holds as well.
        of_both: Whether samples of both halves are looked for where neither half has all of them.
        given: Samples that are part of every set.
    """
    if len(samples) == 1:
        return samples
    half = len(samples) // 2
    first, second = samples[:half], samples[half:]
    if holds((*given, *first)):
        return _fewest(first, holds, of_both, given)
    if holds((*given, *second)):
        return _fewest(second, holds, of_both, given)
    if not of_both:
        return None
    of_first = _fewest(first, holds, of_both, (*given, *second))
    if of_first is None or len(of_first) > _MOST:
        return None
    of_second = _fewest(second, holds, of_both, (*given, *of_first))
    return None if of_second is None else (*of_first, *of_second)
