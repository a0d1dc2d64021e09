"""The message of a finding: what happened, in one sentence."""

from __future__ import annotations

import math
from typing import assert_never

from stayfinite.diagnose.facts import expressions, growth, inputs, new_state, unexplained
from stayfinite.diagnose.facts.kind import Kind
from stayfinite.diagnose.finding import CauseName, Finding
from stayfinite.frameworks.subject import HeldArray
from stayfinite.numerics.functions import Domain, Interval, NoPositivePole, RealPower
from stayfinite.report.words import number, number_beside, plural


def message(finding: Finding) -> str:
    """One complete sentence; lower case, no full stop."""
    facts, name = finding.facts, finding.tensor
    match facts:
        case inputs.NonFiniteArray(kind, num_steps=num_steps):
            before = f", and finite {plural(num_steps, 'step')} before" if num_steps else ""
            return _came_in(finding.cause, name, kind) + before
        case growth.ChangedOutside():
            return _changed_outside(facts, name)
        case inputs.NonFiniteConstant(kind, num_bad, size, holder=holder):
            bad = kind if size == 1 else f"{kind} in {num_bad} of {plural(size, 'entry')}"
            if holder is not None and holder.kind == "name":
                return (
                    f"`{holder.attribute}`, which the step reads and which is in no batch, is {bad}"
                )
            if finding.cause == "bad-input":
                return f"an array that `{finding.op}` reads, and that is in no batch, is {bad}"
            if holder is None:
                return f"a constant that `{finding.op}` reads, and that is not a weight, is {bad}"
            return f"`{holder.attribute}` held by {_holder(holder)} is {bad}"
        case inputs.NonFiniteRows(kind, rows):
            word, listed = "row" if len(rows) == 1 else "rows", ", ".join(map(str, rows))
            where = f" in {word} {listed}" if rows else ""
            return f"an array that the batch selects from holds {kind}{where}"
        case growth.JumpedWeight():
            which = f"{facts.num_jumped} of {facts.size} values of `{name}`"
            if facts.size == 1:
                which = f"the value of `{name}`"
            change = f"from {number(facts.before)} to {number(facts.now)}"
            if facts.num_jumped > 1:
                change = f"to as much as {number(facts.now)}"
            steps = "one step" if facts.num_steps == 1 else f"{facts.num_steps} steps"
            return f"{which} changed {change} within {steps}, and not by an update of the optimizer"
        case growth.MomentOfNoStep():
            which = f"{facts.num_beyond} of {facts.size} values of `{name}`"
            if facts.num_beyond == 1:
                large, changed = f"is {number(facts.now)}", "it was"
            else:
                large, changed = f"are as large as {number(facts.now)}", "they were"
            return f"{which} {large}, as no gradients make it: {changed} changed between two steps"
        case inputs.TargetTooLong():
            return "a target is longer than its input: no alignment of the two exists"
        case inputs.ImpossibleStatistic(worst=worst):
            return f"{_statistic(finding.cause, name, facts)}: {number(worst)}"
        case (
            inputs.BadValues()
            | inputs.MissingIndex()
            | inputs.MissingValueCode()
            | inputs.MissingClass()
        ):
            return f"{finding.op} `{name}` of the batch holds {_held(facts)}"
        case growth.GrowthOverSteps() | growth.GrowthOverLayers() | growth.GrowthInLoop():
            return _growth(facts)
        case new_state.BadNewStatistic():
            return _statistic(finding.cause, name, facts) + _reason(facts)
        case new_state.BadNewWeights():
            return _bad_weights(facts)
        case unexplained.UnexplainedOp(kind, has_operands):
            operands = "finite operands" if has_operands else "no operands"
            return (
                f"`{finding.op}` gave {kind} from {operands}, for a reason that could not be shown"
            )
        case unexplained.UnexplainedInput():
            return f"{'the step' if name is None else f'`{name}`'} is non-finite"
        case _:
            return of_expression(finding.op, facts)


def _holder(held: HeldArray) -> str:
    match held.kind:
        case "layer":
            return f"layer `{held.owner}`"
        case "closure":
            return f"the closure of `{held.owner}`"
        case "module":
            return f"module `{held.owner}`"
        case "object":
            return f"`{held.owner}`"
        case "name":
            return "the loop"


def of_expression(op: str, facts: expressions.ExpressionFacts) -> str:
    """What one expression, whose op at fault is `op`, did."""
    match facts:
        case expressions.ZeroDivisor() if op == "power":
            return f"`{op}` of 0 with a negative exponent is infinite"
        case expressions.ZeroDivisor(is_nan):
            return f"`{op}` by 0: {'0 / 0 is nan' if is_nan else 'the divisor is 0'}"
        case expressions.AtLogPole(pole):
            return f"`{op}` of {number(pole)} is -inf"
        case expressions.AtSingularPoint(points, _, value):
            verdict = "has no value" if math.isnan(value) else "is infinite"
            return f"the gradient of `{op}` {verdict} at {' and '.join(map(_point, points))}"
        case expressions.SingularDerivative():
            return f"the gradient of `{op}` is not finite here, though its value is"
        case expressions.SingularInside(function):
            return f"the gradient of `{function}` is infinite at 0, though its value is finite"
        case expressions.SquareVanishes(divisor, _, dtype):
            return (
                f"the divisor {number(divisor)} vanishes when it is squared in {dtype}, "
                "as the derivative of a division does"
            )
        case expressions.OutsideDomain(worst, domain):
            ends = (domain.low, domain.high) if isinstance(domain, Interval) else ()
            shown = number_beside(worst, ends)
            return f"`{op}` of {shown}, which is {outside(domain)}, has no value"
        case expressions.SingularMatrix(is_positive, smallest, largest, dtype=dtype):
            problem = "not positive definite" if is_positive else "singular"
            kind = "eigenvalue" if is_positive else "singular value"
            return (
                f"`{op}` of a matrix that is {problem} in {dtype}: its smallest {kind} is "
                f"{number(smallest)}, the largest {number(largest)}"
            )
        case expressions.NothingToReduce():
            return f"`{op}` over nothing is nan"
        case expressions.ExtremeOfNothing(result, by_group):
            what = "a group without elements" if by_group else "a row that is masked throughout"
            return f"`{op}` of {what} is {number(result)}"
        case expressions.EmptyCount(is_whole=False):
            return "a weighted mean over nothing: the sum of weights that it divides by is 0"
        case expressions.EmptyCount():
            return "a mean over nothing: the count that it divides by is 0"
        case expressions.FullyMaskedRow(by_product=True):
            return f"`{op}` of a row that is masked throughout: 0 / 0 is nan"
        case expressions.FullyMaskedRow():
            return f"`{op}` over a row that is all -inf"
        case expressions.MaskOutOfRange(dtype):
            return f"a mask that is finite in float32 is -inf in {dtype}, and fills a row"
        case expressions.Discarded(_, expressions.Leak.DERIVATIVE):
            return f"the derivative of `{op}` is infinite where it is masked, and leaks"
        case expressions.Discarded("nan", expressions.Leak.PRODUCT_WITH_0) if op == "multiply":
            return "`multiply` of 0 and an infinity is nan"
        case expressions.Discarded(kind, leak):
            how = "its gradient leaks" if leak is expressions.Leak.GRADIENT else "0 * inf is nan"
            return f"`{op}` is {kind} where it is masked, and {how}"
        case expressions.OutOfRange(worst, dtype):
            text = f"`{op}` of {number(worst)} leaves the range of {dtype}"
            return f"{text}; float32 has room for it" if facts.float32_holds else text
        case expressions.LiteralOutOfRange(literal, dtype):
            return f"{number(literal)} leaves the range of {dtype}; float32 has room for it"
        case expressions.VanishedEpsilon(expressions.Underflow(dtype)):
            return f"`{op}` meets 0: a number that float32 can hold is 0 in {dtype}"
        case expressions.VanishedEpsilon(lost):
            return f"the epsilon of `{op}` vanishes: {_lost(lost)}"
        case _:
            assert_never(facts)


def outside(domain: Domain | None) -> str:
    """`below 0`, for a number that is not in the domain."""
    match domain:
        case Interval(low, high, closed) if math.isinf(high):
            return f"below {number(low)}" if closed else f"not above {number(low)}"
        case Interval(low, high, closed):
            ends = f"{number(low)}, {number(high)}"
            return f"outside [{ends}]" if closed else f"not inside ({ends})"
        case NoPositivePole():
            return "0 or a negative integer"
        case RealPower():
            return "negative, with an exponent that is not an integer"
        case None:
            return "outside its domain"


def statistic_problem(problem: inputs.StatisticProblem) -> str:
    """The adjective for a statistic that a layer cannot compute with."""
    return "negative" if problem is inputs.StatisticProblem.NEGATIVE else "absurdly large"


def _came_in(cause: CauseName, name: str | None, kind: Kind) -> str:
    if cause == "bad-update":
        return f"`{name}` of the optimizer was {kind} before the update"
    noun = "weight" if cause == "bad-weights" else "the moving statistic"
    return f"{noun} `{name}` was {kind} before the step"


def _held(
    facts: inputs.BadValues | inputs.MissingIndex | inputs.MissingValueCode | inputs.MissingClass,
) -> str:
    match facts:
        case inputs.BadValues(kinds):
            return " and ".join(kinds) or f"values up to {number(facts.largest)}"
        case inputs.MissingIndex(indices):
            shown = f" ({_numbers(indices)})" if indices else ""
            return f"an index that does not exist{shown}"
        case inputs.MissingValueCode(lowest):
            return number(lowest)
        case inputs.MissingClass(labels):
            return f"classes that do not exist: {_numbers(labels)}"


def _growth(facts: growth.GrowthOverSteps | growth.GrowthOverLayers | growth.GrowthInLoop) -> str:
    match facts:
        case growth.GrowthOverSteps(weight, before, now, num_steps):
            what = "the values at the failing op" if weight is None else f"`{weight}`"
            return (
                f"the training diverged: {what} grew from {number(before)} to {number(now)} "
                f"in {plural(num_steps, 'step')}"
            )
        case growth.GrowthOverLayers(came_in, largest):
            return (
                "the values grow on their way through the network, "
                f"from {number(came_in)} to {number(largest)}"
            )
        case growth.GrowthInLoop():
            return "the values grow in a recurrence until they leave the range of their dtype"


def _statistic(
    cause: CauseName,
    name: str | None,
    facts: inputs.NonFiniteArray | inputs.ImpossibleStatistic | new_state.BadNewStatistic,
) -> str:
    match facts:
        case inputs.NonFiniteArray(kind):
            return _came_in(cause, name, kind)
        case inputs.ImpossibleStatistic(problem):
            return f"the moving statistic `{name}` was {statistic_problem(problem)} before the step"
        case new_state.BadNewStatistic(reached, kind):
            which = "a moving statistic" if reached is None else f"`{reached}`"
            return f"{which} became {kind} while the loss was finite"


def _reason(facts: new_state.BadNewStatistic) -> str:
    match facts.reason:
        case None:
            return ""
        case new_state.Reason(function, of_root):
            return f": {of_expression(function, of_root)}"


def _bad_weights(facts: new_state.BadNewWeights) -> str:
    text = f"the update of {_variables(facts.names)} is {facts.kind}"
    match facts.reason:
        case None:
            return f"{text} from `{facts.function}`"
        case new_state.Reason(function, of_root):
            return f"{text}: {of_expression(function, of_root)}"
        case new_state.HostNumber(kind, function):
            return f"{text}: a number in it is {kind}, made by `{function}`"
        case new_state.GivenGradient(kind=kind):
            return f"{text}: its gradient was {kind} when the optimizer was given it"
        case new_state.BadSetting(setting, kind):
            return f"{text}: {setting_of_optimizer(setting)} is {kind}"


def setting_of_optimizer(name: str) -> str:
    """What a setting in `param_groups` is called: `lr` is the learning rate."""
    return "the learning rate" if name == "lr" else f"the setting `{name}` of the optimizer"


def _variables(names: tuple[str, ...]) -> str:
    if not names:
        return "the weights"
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"`{names[0]}`{more}"


def _lost(lost: expressions.LostEpsilon) -> str:
    match lost:
        case expressions.EpsilonAbsorbed(epsilon, dtype):
            return f"{number(epsilon)} is absorbed in {dtype}"
        case expressions.EpsilonRoundedTo0(epsilon, dtype):
            return f"{'it' if epsilon is None else number(epsilon)} is 0 in {dtype}"
        case expressions.OneMinusEpsilonIs1(dtype):
            return f"1 minus it is 1 in {dtype}"
        case expressions.EpsilonLostInConstant(whole, epsilon, dtype):
            return f"{number(whole)} + {number(epsilon)} is {number(whole)} in {dtype}"
        case expressions.Underflow(dtype):
            return f"a number that float32 can hold is 0 in {dtype}"


def _point(point: tuple[float, ...]) -> str:
    text = ", ".join(map(number, point))
    return text if len(point) == 1 else f"({text})"


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(map(number, values))


def _changed_outside(facts: growth.ChangedOutside, name: str | None) -> str:
    values = "one value was" if facts.num_changed == 1 else f"{facts.num_changed} values were"
    when = "between two steps" if facts.step is None else f"before step {facts.step}, by no step"
    return (
        f"`{name}` was changed {when}: {values} changed from {number(facts.before)} to "
        f"{number(facts.now)}"
    )
