"""Finding a source repair, and proving it on the step that failed and on healthy ones.

A repair is tried as it will be printed: the patched file is compiled and put in the place of the
running functions. Removing one hazard may uncover the next (a division by a norm, then the
gradient of that norm), so a patch that moves the failure on is taken further.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.evidence import as_float
from stayfinite.diagnose.locate import Diagnosis, diagnose
from stayfinite.experiments.rollout import goes_on, is_good
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import OnBatch, Source, Unchanged
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.graph.derivative import STRUCTURAL
from stayfinite.graph.graph import Graph, Op, Span
from stayfinite.graph.upstream import unwrapped
from stayfinite.incident import Fix, Trial
from stayfinite.repair import (
    MECHANISMS,
    Edit,
    Facts,
    Patch,
    Remade,
    RepairError,
    SourceFile,
    candidates,
    find_expression,
    proposals,
    remade,
    swapped,
)
from stayfinite.repair import Span as Place

NAME = "with the fix"
_MAX_EDITS = 3
_MAX_CANDIDATES = 6
_SECONDS = 25.0
_HEALTHY_SECONDS = 4.0
_HEALTHY_BYTES = 2**28
_LEARNING_SECONDS = 2.0
# How many times its loss the batch may have some steps later; training itself goes up and down.
_GROWTH = 10.0
# Two correct ways to write one thing differ by a few roundings, more after a sum over a batch.
_TOLERANCE = 1e-3
_ROUNDING = 1e-6
# A few roundings of float16, where a part of the step is in it.
_HALF_TOLERANCE = 5e-2
_KEEPS_COUNTS = STRUCTURAL | {"sqrt", "square", "power"}


@dataclass(frozen=True)
class Mended:
    """The best repair found, the trial of it, and how many healthy steps it left unchanged.

    `note` says why it is not verified, where it is not.
    """

    fix: Fix
    trial: Trial | None
    num_healthy_steps: int
    note: str | None = None


def mend(step: Step, diagnosis: Diagnosis, healthy: list[Batch], path: str | None) -> Mended | None:
    """A source repair for `diagnosis`; None where the source is not at fault or not there.

    Args:
        step: The failing step.
        diagnosis: Its cause.
        healthy: Batches before it, newest first.
        path: How the diff shall name the file.
    """
    span = _span(diagnosis)
    if span is None:
        return None
    try:
        source = SourceFile.read(span.file)
    except (OSError, SyntaxError, UnicodeError):
        return None
    return _Search(step, healthy, path).run(Patch.start(source), diagnosis)


def _op(diagnosis: Diagnosis) -> Op | None:
    return diagnosis.evidence.primal or diagnosis.evidence.op


def _span(diagnosis: Diagnosis) -> Span | None:
    op = _op(diagnosis)
    return None if op is None or diagnosis.finding.mechanism is None else op.span


@dataclass(frozen=True)
class _Told:
    """The edits of a patch: what they say, and the library objects that some of them remade."""

    descriptions: tuple[str, ...] = ()
    remade: tuple[Remade, ...] = ()

    def then(self, edit: Edit, made: Remade | None) -> _Told:
        return _Told(
            (*self.descriptions, edit.description),
            self.remade if made is None else (*self.remade, made),
        )

    @contextlib.contextmanager
    def in_place(self, patch: Patch) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for made in self.remade:
                stack.enter_context(made.in_place())
            if len(self.remade) < len(self.descriptions) or not self.remade:
                stack.enter_context(swapped(patch, but_module_code=bool(self.remade)))
            yield


@dataclass(frozen=True)
class _Ran:
    """The failing step with a patch: what it gave, what fails next, what speaks against it."""

    outcome: Outcome
    further: Diagnosis | None = None
    objection: str | None = None


class _Search:
    """Depth first over patches, best candidates first, within a budget of seconds."""

    def __init__(self, step: Step, healthy: list[Batch], path: str | None) -> None:
        self._step = step
        self._healthy = healthy
        self._path = path
        self._until = time.monotonic() + _SECONDS
        self._unverified: Mended | None = None
        self._half = False

    def run(self, patch: Patch, diagnosis: Diagnosis) -> Mended | None:
        values = diagnosis.evidence.trace.values.values()
        self._half = any(value.dtype in ("float16", "bfloat16") for value in values)
        return self._from(patch, diagnosis, _Told()) or self._unverified

    def _from(self, patch: Patch, diagnosis: Diagnosis, done: _Told) -> Mended | None:
        for edit, made in _edits(patch, diagnosis):
            if time.monotonic() > self._until:
                return None
            told = done.then(edit, made)
            found = self._tried(patch.then(edit), told)
            if found is not None:
                return found
        return None

    def _tried(self, patch: Patch, told: _Told) -> Mended | None:
        text = "; ".join(told.descriptions)
        healthy = self._before  # of the code as it is
        try:
            # Finding the live functions is most of the cost, so it is done once for all runs.
            with told.in_place(patch):
                ran = self._run(may_go_on=len(told.descriptions) < _MAX_EDITS)
        except Exception as error:
            # The patched code is the user's function: it may raise anything.
            kind = "" if isinstance(error, RepairError) else f"{type(error).__name__}: "
            self._remember(patch, text, f"the fix could not be tried: {kind}{error}")
            return None
        if not is_good(ran.outcome):
            return None if ran.further is None else self._further(patch, ran.further, told)
        trial = Trial(NAME, "finite", ran.outcome.in_words())
        if ran.objection is not None:
            self._remember(patch, text, ran.objection, trial)
            return None
        fix = Fix(True, "source", text, patch.diff(self._path))
        return Mended(fix, trial, len(healthy))

    def _run(self, may_go_on: bool) -> _Ran:
        """The failing step with the patch that is in place; the steps beside it if it is finite."""
        step = self._step.changed(Source(contextlib.nullcontext))
        outcome = step.run(Unchanged())
        if is_good(outcome):
            return _Ran(outcome, objection=self._objection(step, outcome))
        return _Ran(outcome, further=diagnose(step, outcome, {}) if may_go_on else None)

    def _objection(self, step: Step, outcome: Outcome) -> str | None:
        """What speaks against the patch that is in place, with which the failing step is finite."""
        tolerance = _HALF_TOLERANCE if self._half else _TOLERANCE
        began = time.monotonic()
        if not all(
            _alike(before, step.run(OnBatch(batch)), tolerance) for batch, before in self._before
        ):
            return "the fix changes what healthy steps compute"
        seconds = (time.monotonic() - began) / max(len(self._before), 1)
        if seconds > _LEARNING_SECONDS / 2:
            # There is time for one more such step, which would show nothing.
            return None
        if goes_on(step, outcome, self._healthy, growth=_GROWTH, seconds=_LEARNING_SECONDS):
            return None
        return "the steps after it are non-finite or learn nothing"

    def _further(self, patch: Patch, diagnosis: Diagnosis, told: _Told) -> Mended | None:
        span = _span(diagnosis)
        if span is None or span.file != patch.original.path:
            return None
        return self._from(patch, diagnosis, told)

    @functools.cached_property
    def _before(self) -> list[tuple[Batch, Outcome]]:
        """Healthy steps with what the unpatched code made of them, within time and memory."""
        found: list[tuple[Batch, Outcome]] = []
        until = time.monotonic() + _HEALTHY_SECONDS
        num_bytes = 0
        for batch in self._healthy:
            outcome = self._step.run(OnBatch(batch))
            if is_good(outcome):
                found.append((batch, outcome))
                num_bytes += sum(gradient.nbytes for gradient in outcome.gradients.values())
            if time.monotonic() > until or num_bytes > _HEALTHY_BYTES:
                break
        return found

    def _remember(self, patch: Patch, text: str, note: str, trial: Trial | None = None) -> None:
        if self._unverified is None:
            fix = Fix(False, "source", text, patch.diff(self._path))
            self._unverified = Mended(fix, trial, 0, note)


def _edits(patch: Patch, diagnosis: Diagnosis) -> list[tuple[Edit, Remade | None]]:
    span, mechanism = _span(diagnosis), diagnosis.finding.mechanism
    if span is None or mechanism is None:
        return []
    place = Place(span.line, span.column, span.end_line, span.end_column)
    try:
        expression = find_expression(patch.source, place)
    except RepairError:
        return []
    facts = _facts(diagnosis)
    op = _op(diagnosis)
    owner = None if op is None or op.stack else op.owner
    objects = [] if owner is None else proposals(expression, owner, mechanism, facts.dtype)
    if objects:
        return [(made.edit, made) for made in objects]
    # The op at fault may be an inner one of a library function whose repair is another mechanism's.
    for name in (mechanism, *(m for m in MECHANISMS if m != mechanism)):
        found = candidates(expression, name, facts)
        if found and owner is not None:
            objects = remade(expression, owner, found)
            if objects:
                return [(made.edit, made) for made in objects[:_MAX_CANDIDATES]]
        if found:
            return [(edit, None) for edit in found[:_MAX_CANDIDATES]]
    return []


def _facts(diagnosis: Diagnosis) -> Facts:
    evidence, finding = diagnosis.evidence, diagnosis.finding
    op = evidence.primal or evidence.op
    if op is None or not op.operands:
        return Facts()
    value = op.operands[min(finding.operand, len(op.operands) - 1)]
    array = as_float(evidence.arrays[value])
    finite = array[np.isfinite(array)]
    dtype = evidence.trace.values[value].dtype
    if not finite.size:
        return Facts(dtype)
    counts = _is_a_count(evidence.trace, value)
    return Facts(dtype, float(finite.min()), float(finite.max()), counts)


def _is_a_count(trace: Graph, value: int) -> bool:
    """Whether `value` is an integer, or a root or power of one."""
    source = unwrapped(trace, value, _KEEPS_COUNTS)
    return trace.values[source].dtype.startswith(("int", "uint"))


def _alike(one: Outcome, other: Outcome, tolerance: float) -> bool:
    if not _close(np.asarray(one.loss), np.asarray(other.loss), tolerance):
        return False
    if one.gradients.keys() != other.gradients.keys():
        return False
    # A gradient that is 0 by a symmetry of the loss is a sum of roundings of the others.
    rounding = _ROUNDING * max(map(_largest, one.gradients.values()), default=0.0)
    return all(
        _close(gradient, other.gradients[name], tolerance, rounding)
        for name, gradient in one.gradients.items()
    )


def _close(one: np.ndarray, other: np.ndarray, tolerance: float, rounding: float = 0.0) -> bool:
    a, b = as_float(one).astype("float64"), as_float(other).astype("float64")
    allowed = tolerance * _largest(one) + rounding + 1e-12
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= allowed))


def _largest(array: np.ndarray) -> float:
    return float(np.max(np.abs(as_float(array).astype("float64")), initial=0.0))
