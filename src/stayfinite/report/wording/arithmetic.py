"""The numbers behind the message of a finding."""

from __future__ import annotations

import math
from typing import assert_never

import numpy as np

from stayfinite.diagnose.facts import expressions, growth, inputs, new_state, unexplained
from stayfinite.diagnose.facts.kind import Kind
from stayfinite.diagnose.finding import Finding
from stayfinite.numerics.dtypes import widened
from stayfinite.report.wording.findings import of_expression, outside, statistic_problem
from stayfinite.report.words import number, plural

_PATTERNS = {
    inputs.ValuePattern.UNFILLED_OR_BYTE_ORDER: (
        "memory that was never filled, or bytes in the wrong order, look like this"
    ),
    inputs.ValuePattern.LAST_SAMPLES: (
        "whole samples, the last ones: a buffer that was not filled looks like this"
    ),
    inputs.ValuePattern.WHOLE_SAMPLES: (
        "whole samples: 0 / 0 in the scaling of a constant sample looks like this"
    ),
    inputs.ValuePattern.WHOLE_FEATURE: (
        "a whole feature: 0 / 0 in the scaling of a constant feature looks like this"
    ),
    inputs.ValuePattern.MISSING_VALUE: "a missing value that was read as nan looks like this",
    inputs.ValuePattern.UNDEFINED_RESULT: (
        "an undefined result of the preprocessing, as 0 / 0, looks like this"
    ),
    inputs.ValuePattern.LOG_OF_0: "the logarithm of 0 looks like this",
    inputs.ValuePattern.DIVISION_BY_0: (
        "a division by 0, or a number past the range of float16, looks like this"
    ),
    inputs.ValuePattern.WRAPPED_INTEGER: "an integer that wrapped around looks like this",
    inputs.ValuePattern.UNFILLED_OR_WRAPPED: (
        "memory that was never filled, or an integer that wrapped around, looks like this"
    ),
    inputs.ValuePattern.NAN_AS_INTEGER: "a nan that was cast to an integer looks like this",
    inputs.ValuePattern.COUNTS_FROM_1: "they count from 1",
    inputs.ValuePattern.NEGATIVE_FOR_IGNORE: (
        "a negative number that means `ignore` elsewhere has no meaning here"
    ),
}


def _first_bad(array: np.ndarray) -> str:
    """`the first is at [2, 1]; `; empty for a single number."""
    bad = np.argwhere(~np.isfinite(widened(array)))
    if array.ndim == 0 or not bad.size:
        return ""
    which = "it" if len(bad) == 1 else "the first of them"
    return f"{which} is at {[int(position) for position in bad[0]]}; "


def arithmetic(finding: Finding) -> str:
    """The numbers behind the message; empty if it has them all.

    The samples are not in it: a report takes them from `Finding.samples`.
    """
    facts, name, op = finding.facts, finding.tensor, finding.op
    match facts:
        case inputs.NonFiniteArray(_, num_bad, size):
            return f"{num_bad} of {size} values of `{name}` are non-finite"
        case growth.JumpedWeight():
            return (
                f"no other weight is above {number(facts.others)}; an update takes "
                f"{number(facts.tried)} in its place to {number(facts.updated)}"
            )
        case growth.SlotOfNoStep(now=now) if not math.isfinite(now):
            return "the gradients of the steps before were finite"
        case growth.SlotOfNoStep(limit=limit, beside=beside, num_steps=num_steps):
            return (
                f"updates of `{beside}`, from its size of {plural(num_steps, 'step')} before up to "
                f"that of now, make it at most {number(limit)}"
            )
        case growth.MomentOfNoStep(limit=limit, beside=beside):
            return f"with `{beside}` as it is beside it, gradients make it at most {number(limit)}"
        case growth.ChangedOutside(num_changed=num_changed, size=size, first=first):
            return (
                f"{num_changed} of {size} values; the steps from {first} on, made again from the "
                "state before them, do not change it so, and this step is finite after them"
            )
        case inputs.NonFiniteRows(kind, _, num_bad, size):
            return f"{num_bad} of {plural(size, 'value')} of the array are {kind}"
        case inputs.NonFiniteConstant(array=array, holder=holder, is_new=is_new) if (
            finding.cause == "bad-input"
        ):
            made = "the code of the step made or read it" if holder is None else f"`{op}` reads it"
            made += ", and the steps before it had none" if is_new else ""
            return f"{_first_bad(array)}{made}"
        case inputs.NonFiniteConstant():
            return "no operation of the step made it: a division by 0 there looks like this"
        case inputs.ImpossibleStatistic(problem, _, num_bad, size):
            return f"{num_bad} of {size} values of `{name}` are {statistic_problem(problem)}"
        case inputs.BadValues():
            return _bad_values(facts, name)
        case inputs.MissingIndex(_, shape, _, pattern):
            text = f"it looks up in a table of shape {shape}; such an index gives nan"
            return text + pattern_clause(pattern)
        case inputs.MissingValueCode(_, others_from, function):
            return (
                f"all other samples are at least {number(others_from)}; a number that stands for "
                f"a missing value looks like this, and `{function}` has no value there"
            )
        case inputs.MissingClass(_, num_classes, function, pattern):
            return (
                f"there are {num_classes} classes, so the one-hot code of such a label is all 0, "
                f"and `{function}` fails on that{pattern_clause(pattern)}"
            )
        case inputs.TargetTooLong(num_bad, size):
            return f"`{op}` is inf for {num_bad} of {size} alignments"
        case growth.GrowthOverSteps(operand=operand, dtype=dtype):
            steps = plural(facts.num_steps, "step")
            return (
                f"a factor of {number(facts.factor)} a step; `{op}` of {number(operand)} is past "
                f"the range of {dtype}, and with the weights of {steps} before it has "
                f"{number(facts.operand_before)} on this batch"
            )
        case growth.GrowthOverLayers(num_products=num_products, operand=operand, dtype=dtype):
            return (
                f"over {num_products} products with weights; `{op}` of {number(operand)} is past "
                f"the range of {dtype}"
            )
        case growth.GrowthInLoop():
            return f"`{op}` begins with ordinary values, and multiplies by its weights each time"
        case new_state.BadNewStatistic():
            return _bad_results(op, facts.kind, facts.num_bad, facts.size)
        case new_state.BadNewWeights(reason=new_state.GivenGradient(kind=kind)):
            return f"{facts.num_bad} of {facts.size} values of the gradient are {kind}"
        case new_state.BadNewWeights():
            return _bad_results(facts.function, facts.kind, facts.num_bad, facts.size)
        case unexplained.UnexplainedOp(kind, _, num_bad, size):
            return f"{num_bad} of {size} results are {kind}"
        case unexplained.UnexplainedInput():
            return ""
        case _:
            return _of_expression(op, facts)


def pattern_clause(pattern: inputs.ValuePattern | None) -> str:
    """`; they count from 1`, or nothing where the values look like nothing known."""
    return "" if pattern is None else f"; {_PATTERNS[pattern]}"


def _of_expression(op: str, facts: expressions.ExpressionFacts) -> str:
    match facts:
        case expressions.ZeroDivisor(_, num_bad, size) if op == "power":
            return f"the base is 0 for {num_bad} of {size} results"
        case expressions.ZeroDivisor(_, num_bad, size):
            return f"the divisor is 0 for {num_bad} of {size} results"
        case expressions.EmptyCount(num_bad, size):
            return f"the divisor is 0 for {num_bad} of {size} results"
        case expressions.AtLogPole(pole, num_bad, size, dtype):
            return f"{num_bad} of {size} operands are exactly {number(pole)} in {dtype}"
        case expressions.AtSingularPoint(_, derivative, value):
            return f"{derivative} = {number(value)}"
        case expressions.SingularDerivative():
            return "its derivative divides by 0"
        case expressions.SingularInside(_, point):
            return f"inside it, `{op}` of {number(point)} is inf"
        case expressions.SquareVanishes(_, smallest):
            return f"its square is below {number(smallest)}"
        case expressions.OutsideDomain(_, domain, num_bad, size):
            return f"{num_bad} of {size} operands of `{op}` are {outside(domain)}"
        case expressions.SingularMatrix(num_rows=rows, num_bad=num_bad, num_matrices=size):
            which = f"{rows} rows" if size == 1 else f"{num_bad} of {size} matrices of {rows} rows"
            return f"{which}; equal or dependent rows look like this"
        case expressions.NothingToReduce(shape):
            return f"its operand has the shape {shape}, and nothing of it counts"
        case expressions.ExtremeOfNothing(num_bad=num_bad, size=size):
            return f"{num_bad} of {size} results are of no elements"
        case expressions.FullyMaskedRow() | expressions.MaskOutOfRange():
            return "every score of a row is masked"
        case expressions.Discarded(_, expressions.Leak.DERIVATIVE, num_bad, size):
            return f"{num_bad} of {size} results are discarded at a point without a derivative"
        case expressions.Discarded("nan", expressions.Leak.PRODUCT_WITH_0, num_bad, size) if (
            op == "multiply"
        ):
            return f"one factor is 0 and the other infinite in {num_bad} of {size} results"
        case expressions.Discarded(kind, _, num_bad, size):
            return f"{num_bad} of {size} results are {kind} and discarded"
        case expressions.OutOfRange(_, dtype, largest, num_bad, size):
            return f"{dtype} ends at {number(largest)}; {num_bad} of {size} results are past it"
        case expressions.LiteralOutOfRange(_, dtype, largest):
            return f"{dtype} ends at {number(largest)}"
        case expressions.VanishedEpsilon(_, pole):
            return f"{of_expression(op, pole)}; {_of_expression(op, pole)}"
        case _:
            assert_never(facts)


def _bad_results(op: str, kind: Kind, num_bad: int, size: int) -> str:
    return f"{num_bad} of {size} results of `{op}` are {kind}"


def _bad_values(facts: inputs.BadValues, name: str | None) -> str:
    if facts.kinds:
        verdict = f"are {' and '.join(facts.kinds)}"
        verdict += " or absurdly large" if facts.has_large else ""
    else:
        verdict = "are absurdly large"
        if facts.healthy is not None:
            verdict += f"; healthy batches reach {number(facts.healthy)}"
    where = "" if facts.feature is None else f" (feature {facts.feature})"
    text = f"{facts.num_bad} of {facts.size} values of `{name}` {verdict}{where}"
    return text + pattern_clause(facts.pattern)
