"""Find a source fix, and verify it on the failing step and on healthy ones.

A fix is tried as it will be printed: the patched file is compiled and put in the place of the
running functions. The removal of one hazard may uncover the next (a division by a norm, then the
gradient of that norm), so a patch that moves the failure elsewhere is edited further.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.locate import Diagnosis, diagnose
from stayfinite.diagnose.values import as_float
from stayfinite.experiments.changes import SourcePatch
from stayfinite.experiments.healthy_steps import HealthySteps, Objection
from stayfinite.experiments.rollout import is_good
from stayfinite.experiments.try_change import Experiment, NotTried, attempt
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Source, Unchanged
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.graph.graph import Graph, Op, Span
from stayfinite.graph.source import callee
from stayfinite.graph.walk import unwrapped
from stayfinite.numerics.functions import STRUCTURAL
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
from stayfinite.repair import Span as SourceSpan

_MAX_EDITS = 3
_MAX_CANDIDATES = 6
# Seconds of the whole search.
_SECONDS = 25.0
_KEEPS_COUNTS = STRUCTURAL | {"sqrt", "square", "power"}


@dataclass(frozen=True)
class SourceFix:
    """The best patch of the user's file that was found.

    Args:
        descriptions: What each edit does, in the words of its rewrite.
        diff: The patch.
        num_healthy_steps: How many healthy steps it left unchanged.
        experiment: The failing step with it, where that could be run.
        trouble: Why it is not verified; None if it is.
    """

    descriptions: tuple[str, ...]
    diff: str
    num_healthy_steps: int
    experiment: Experiment | None
    trouble: Objection | NotTried | None

    @property
    def verified(self) -> bool:
        """Whether the failing step is finite with it, and healthy steps are unchanged."""
        return self.trouble is None


def find_source_fix(
    step: Step, diagnosis: Diagnosis, healthy: list[Batch], path: str | None
) -> SourceFix | None:
    """A source fix for `diagnosis`; None where the source is not at fault or not there.

    Args:
        step: The failing step.
        diagnosis: Its cause.
        healthy: Batches before it, newest first.
        path: How the diff names the file.
    """
    span = _span(diagnosis)
    if span is None:
        return None
    try:
        source = SourceFile.read(span.file)
    except (OSError, SyntaxError, UnicodeError):
        return None
    return _PatchSearch(step, healthy, path).run(Patch.start(source), diagnosis)


def library_call(diagnosis: Diagnosis) -> str | None:
    """The library's layer or loss that holds the op at fault, as the user's line calls it."""
    op = _op(diagnosis)
    if op is None or op.span is None or op.stack or diagnosis.finding.mechanism is None:
        return None
    called = callee(op.span)
    # These lines start a training; they create no layer or loss.
    return None if called in ("fit", "compile", "train_on_batch") else called


def _op(diagnosis: Diagnosis) -> Op | None:
    return diagnosis.evidence.primal or diagnosis.evidence.op


def _span(diagnosis: Diagnosis) -> Span | None:
    op = _op(diagnosis)
    return None if op is None or diagnosis.finding.mechanism is None else op.span


@dataclass(frozen=True)
class _Edits:
    """The edits of a patch: what they do, and the library objects that some of them remade."""

    descriptions: tuple[str, ...] = ()
    remade: tuple[Remade, ...] = ()

    def then(self, edit: Edit, made: Remade | None) -> _Edits:
        """These edits and one more."""
        return _Edits(
            (*self.descriptions, edit.description),
            self.remade if made is None else (*self.remade, made),
        )

    @contextlib.contextmanager
    def in_place(self, patch: Patch) -> Iterator[None]:
        """Run the patched code in the place of the running code inside the block."""
        with contextlib.ExitStack() as stack:
            for made in self.remade:
                stack.enter_context(made.in_place())
            if len(self.remade) < len(self.descriptions) or not self.remade:
                stack.enter_context(swapped(patch, but_module_code=bool(self.remade)))
            yield


class _PatchSearch:
    """Depth first over patches, best candidates first, within a budget of seconds."""

    def __init__(self, step: Step, healthy: list[Batch], path: str | None) -> None:
        self._step = step
        self._healthy = HealthySteps(step, healthy)
        self._path = path
        self._until = time.monotonic() + _SECONDS
        self._unverified: SourceFix | None = None

    def run(self, patch: Patch, diagnosis: Diagnosis) -> SourceFix | None:
        """The first patch that is verified, else the first that was tried."""
        return self._from(patch, diagnosis, _Edits()) or self._unverified

    def _from(self, patch: Patch, diagnosis: Diagnosis, done: _Edits) -> SourceFix | None:
        for edit, made in _candidates(patch, diagnosis):
            if time.monotonic() > self._until:
                return None
            found = self._tried(patch.then(edit), done.then(edit, made))
            if found is not None:
                return found
        return None

    def _tried(self, patch: Patch, edits: _Edits) -> SourceFix | None:
        """The patch if it is verified, or the first verified one that begins with it."""
        further: Diagnosis | None = None
        trouble: Objection | NotTried | None = None
        num_healthy = self._healthy.count()  # run before the patch is in place
        with contextlib.ExitStack() as stack:

            def run() -> tuple[Step, Outcome]:
                stack.enter_context(edits.in_place(patch))
                step = self._step.changed(Source(contextlib.nullcontext))
                return step, step.run(Unchanged())

            # Finding the live functions is most of the cost, so it is done once for all runs.
            ran = attempt(run)
            if isinstance(ran, NotTried):
                self._remember(patch, edits, None, ran)
                return None
            step, outcome = ran
            if is_good(outcome):
                trouble = self._healthy.objection(step, outcome)
            elif len(edits.descriptions) < _MAX_EDITS:
                further = diagnose(step, outcome, {})
        if not is_good(outcome):
            return None if further is None else self._further(patch, further, edits)
        experiment = Experiment(SourcePatch(), outcome, outcome.finite)
        if trouble is not None:
            self._remember(patch, edits, experiment, trouble)
            return None
        diff = patch.diff(self._path)
        return SourceFix(edits.descriptions, diff, num_healthy, experiment, None)

    def _further(self, patch: Patch, diagnosis: Diagnosis, edits: _Edits) -> SourceFix | None:
        span = _span(diagnosis)
        if span is None or span.file != patch.original.path:
            return None
        return self._from(patch, diagnosis, edits)

    def _remember(
        self,
        patch: Patch,
        edits: _Edits,
        experiment: Experiment | None,
        trouble: Objection | NotTried,
    ) -> None:
        if self._unverified is None:
            diff = patch.diff(self._path)
            self._unverified = SourceFix(edits.descriptions, diff, 0, experiment, trouble)


def _candidates(patch: Patch, diagnosis: Diagnosis) -> list[tuple[Edit, Remade | None]]:
    span, mechanism = _span(diagnosis), diagnosis.finding.mechanism
    if span is None or mechanism is None:
        return []
    place = SourceSpan(span.line, span.column, span.end_line, span.end_column)
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
    array = as_float(evidence.values[value])
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
