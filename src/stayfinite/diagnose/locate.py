"""Which root of a failing step is diagnosed, and what cause it has."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.changed_slots import changed_slot
from stayfinite.diagnose.classify import classify
from stayfinite.diagnose.elements import finite_operands, kind_of
from stayfinite.diagnose.evidence import Earlier, Evidence, gather
from stayfinite.diagnose.extremes import extremes_before, results_of_nothing
from stayfinite.diagnose.facts.inputs import NonFiniteConstant
from stayfinite.diagnose.facts.new_state import BadNewWeights, BadSetting
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.float64_run import Float64Run
from stayfinite.diagnose.infinities import first_nan, is_absorbed, is_written, may_be_intended
from stayfinite.diagnose.masked_rows import fully_masked_row, reductions_before
from stayfinite.diagnose.masking import is_unread, leaking_derivative
from stayfinite.diagnose.moments import moment_of_no_step
from stayfinite.diagnose.ranges import literal_out_of_range
from stayfinite.diagnose.values import Values, as_float
from stayfinite.frameworks.batch import ChangeError
from stayfinite.frameworks.optimizers import PlainOptimizer
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.graph.assignments import assigned_span
from stayfinite.graph.graph import Leaf, Op
from stayfinite.strict import caught, is_internal

_LEAF_ORDER = ("weight", "statistics", "input", "target", "sample_weight", "optimizer", "metric")
# What the update by an impossible moment looks like one step later.
_OF_MOMENTS = ("divergence", "overflow", "half-overflow", "bad-update")
_PHASE_ORDER = ("load", "data", "forward", "backward", "statistics", "update")


@dataclass(frozen=True)
class Diagnosis:
    """A root of the failure with its arrays, its cause, and notes on rules that failed."""

    evidence: Evidence
    finding: Finding
    notes: tuple[str, ...] = ()


def diagnose(
    step: Step,
    outcome: Outcome,
    wider: Float64Run,
    ranges: dict[str, float],
    earlier: Earlier | None = None,
) -> Diagnosis:
    """The cause of a non-finite step.

    Args:
        step: The step.
        outcome: What running it gave.
        wider: It in float64.
        ranges: Largest magnitudes of the batch arrays in healthy steps, by name.
        earlier: The same batch on an earlier state; None if there is none.
    """
    values = Values(step.trace, step.fetch)

    @functools.cache
    def finite_wider() -> bool:
        try:
            found = wider.outcome
        except ChangeError:
            return False
        except Exception as error:
            # An op without a float64 form: the wider step is unknown.
            if is_internal(error):
                caught("the step in float64", error)
            return False
        return found.finite and not found.bad_gradients

    def evidence_of(op: Op | None, leaf: Leaf | None) -> Evidence:
        return gather(
            step.trace,
            op,
            leaf,
            values,
            loss_finite=math.isfinite(outcome.loss),
            ranges=ranges,
            finite_wider=finite_wider,
            earlier=earlier,
        )

    first, *others = (evidence_of(*root) for root in _roots_in_order(step))
    # The derivative of a softmax reads its mask once more, next to the NaN of another root.
    at_fault = (root for root in (first, *others) if not is_absorbed(root))
    evidence = next(at_fault, first) if others else first
    nan = first_nan(evidence) if may_be_intended(evidence) else None
    if nan is not None and not _is_literal_out_of_range(evidence):
        there = evidence_of(nan, None)
        is_of_mask = evidence.leaf is None and is_written(evidence)
        if fully_masked_row(there) is not None:
            evidence = there
        elif is_of_mask:
            # The difference of two infinities: a row was masked as a whole before it.
            before = (evidence_of(op, None) for op in reductions_before(there))
            rows = (reduced for reduced in before if fully_masked_row(reduced) is not None)
            extremes = (evidence_of(op, None) for op in extremes_before(there))
            empty = (found for found in extremes if results_of_nothing(found) is not None)
            evidence = next(rows, None) or next(empty, there)
    leak = leaking_derivative(evidence)
    if leak is not None:
        evidence = evidence_of(leak, None)
    primal = evidence.primal
    if evidence.op is not primal and primal is not None and _began_unread(evidence, primal):
        evidence = evidence_of(primal, None)
    found = classify(evidence)
    finding = _with_setting(_with_holder(found.finding, evidence, step), step)
    if evidence.op is not None and finding.cause in _OF_MOMENTS:
        finding = moment_of_no_step(step) or changed_slot(evidence) or finding
    elif evidence.leaf is not None and evidence.leaf.role == "weight":
        finding = changed_slot(evidence) or finding
    return Diagnosis(evidence, finding, found.notes)


def _began_unread(evidence: Evidence, primal: Op) -> bool:
    """Whether the forward op of a bad derivative made a bad value that leads to no result."""
    return (
        bool(evidence.bad(primal.results[0]).any())
        and finite_operands(evidence, primal)
        and is_unread(evidence, primal)
    )


def _with_holder(finding: Finding, evidence: Evidence, step: Step) -> Finding:
    """A finding on a constant with the place that holds it."""
    facts, op = finding.facts, evidence.op
    if not isinstance(facts, NonFiniteConstant) or op is None:
        return finding
    codes = [span.code for span in op.stack if span.code is not None]
    holder = step.subject.holder_of(facts.array, codes, step.batch.data)
    is_name = holder is not None and holder.kind == "name"
    # If steps before were finite with the same code, the number is new: a part of the data.
    is_new = (holder is None or is_name) and evidence.earlier is not None
    facts = dataclasses.replace(facts, holder=holder, is_new=is_new)
    finding = dataclasses.replace(finding, facts=facts)
    if holder is not None and is_name and op.span is not None:
        finding = dataclasses.replace(finding, span=assigned_span(op.span, holder.attribute))
    # So is an array that nothing holds, and that code made which runs in each step.
    is_made_anew = holder is None and facts.array.ndim > 1 and step.subject.compilation.eager
    if is_new or is_made_anew:
        return dataclasses.replace(finding, cause="bad-input", phase="data")
    return finding


def _with_setting(finding: Finding, step: Step) -> Finding:
    """A finding on an update with the setting of the optimizer that is not finite."""
    facts = finding.facts
    if not isinstance(facts, BadNewWeights):
        return finding
    plain = [each for each in step.subject.optimizers if isinstance(each, PlainOptimizer)]
    for name, value in [setting for each in plain for setting in each.bad_settings()]:
        reason = BadSetting(name, kind_of(np.array(value)))
        facts = dataclasses.replace(facts, reason=reason)
        return dataclasses.replace(finding, facts=facts, mechanism=None, critical=None)
    return finding


def _roots_in_order(step: Step) -> list[tuple[Op | None, Leaf | None]]:
    """The roots, the likeliest first: bad leaves, then ops by phase; one of nothing without any."""
    found = step.roots()
    leaves = found.leaves
    if found.ops or len(leaves) > 1:
        # What the bounds of a clip pass on began elsewhere, whether they are infinite or not.
        leaves = [leaf for leaf in leaves if not _is_endless(step, leaf)] or (
            [] if found.ops else leaves
        )
    leaves = sorted(leaves, key=lambda leaf: _LEAF_ORDER.index(leaf.role))
    ops = sorted(found.ops, key=lambda op: (_PHASE_ORDER.index(op.phase), op.index))
    return [*((None, leaf) for leaf in leaves), *((op, None) for op in ops)] or [(None, None)]


def _is_endless(step: Step, leaf: Leaf) -> bool:
    """Whether the leaf is a statistic with infinities and without NaN."""
    if leaf.role != "statistics":
        return False
    return not np.isnan(as_float(step.fetch([leaf.value])[leaf.value])).any()


def _is_literal_out_of_range(evidence: Evidence) -> bool:
    """Whether the infinity was written as a number past the range of this dtype."""
    op = evidence.op
    return op is not None and literal_out_of_range(evidence, op) is not None
