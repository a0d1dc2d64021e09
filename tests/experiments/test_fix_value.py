"""What a fix does to the value: exact, bounded, changed, undefined, or not known."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest

from stayfinite.experiments.as_written import AsWritten
from stayfinite.experiments.comparison import RoundingError
from stayfinite.experiments.fix_value import Judged, WithFix
from stayfinite.experiments.fix_value import judged as judged_with
from stayfinite.experiments.formulas import Formula
from stayfinite.experiments.healthy_steps import HealthySteps
from stayfinite.experiments.rewritings import Rewriting, RewrittenFormula
from stayfinite.experiments.source_fix import SourceFix
from stayfinite.experiments.try_change import NotTried
from stayfinite.frameworks.step import Outcome
from stayfinite.incident import Objection
from stayfinite.repair import BoundAdded, BoundedPart, FormWritten, NewForm, TemplateFact
from stayfinite.repair.engine.problem import FixValue, FormulaProblem, Price, Rewrite
from stayfinite.repair.engine.reference import Kind
from stayfinite.repair.formula import LeafRole, constant, leaf, node

X = leaf("x", LeafRole.VARIABLE)
NOT_RUN = NotTried(None, "not run")


def judged(before, after, rewriting, wide_after, rounding=()):
    clamps = rewriting is None or rewriting.bounds
    return judged_with(before, WithFix(after, rewriting, wide_after, lambda: rounding, clamps))


def outcome(loss, gradient=1.0):
    return Outcome(loss, {"w": np.array([gradient, 0.5])}, ())


def formula(root, *values):
    return Formula(None, FormulaProblem(root, {X: np.array(values, "float32")}, (X,)))


def rewriting(of, value, regressions=0):
    return Rewriting(of, Rewrite(X, value, Price(0, 0, regressions, 0, 1)), None)


def before(wide, of=None, mechanism="log-of-zero", loss=math.inf):
    return AsWritten(outcome(loss, math.nan), wide, of, mechanism, 1e-3)


LOG = formula(node("log", X), 1e-30, 2.0)
# 1 - sigmoid(45) is 0 in float64 too; 1 - sigmoid(35) is off by some percent.
NEAR_ONE = formula(node("log", node("subtract", constant(1.0), node("sigmoid", X))), 35.0, 0.0)
BAD = outcome(math.inf, math.nan)


def test_agreement_with_float64_is_exact_whatever_made_the_fix():
    found = judged(before(outcome(19.7), LOG), outcome(19.7001), None, lambda: NOT_RUN)
    assert (found.value, found.reference_loss) == (FixValue.EXACT, 19.7)


@pytest.mark.parametrize("after", [outcome(3.01), outcome(19.7, gradient=0.0)])
@pytest.mark.parametrize("claim", [None, FixValue.EXACT, FixValue.BOUNDED])
def test_another_loss_or_gradient_than_in_float64_is_changed(after, claim):
    claimed = None if claim is None else rewriting(LOG, claim)
    found = judged(before(outcome(19.7), LOG), after, claimed, lambda: after)
    assert (found.value, found.reference_loss) == (FixValue.CHANGED, 19.7)


def test_float64_is_no_reference_where_the_formula_loses_its_digits_there_too():
    wide, after = outcome(34.0), outcome(35.0)
    claimed = rewriting(NEAR_ONE, FixValue.EXACT)
    found = judged(before(wide, NEAR_ONE), after, claimed, lambda: outcome(35.0))
    assert (found.value, found.reference_loss) == (FixValue.EXACT, 35.0)
    by_template = judged(before(wide, NEAR_ONE), wide, None, lambda: NOT_RUN)
    assert (by_template.value, by_template.reference_loss) == (FixValue.CHANGED, None)


def test_a_claim_counts_where_float64_fails_and_the_rewritten_step_agrees_with_itself():
    claimed = rewriting(LOG, FixValue.EXACT)
    found = judged(before(BAD, LOG), outcome(20.0), claimed, lambda: outcome(20.0))
    assert (found.value, found.reference_loss) == (FixValue.EXACT, 20.0)


def test_a_claim_that_the_step_contradicts_is_changed():
    claimed = rewriting(LOG, FixValue.EXACT)
    for wide_after in (outcome(25.0), BAD):
        found = judged(before(BAD, LOG), outcome(20.0), claimed, lambda one=wide_after: one)
        assert found.value is FixValue.CHANGED
    finite_loss = outcome(30.0, math.nan)
    found = judged(before(finite_loss, LOG), outcome(20.0), claimed, lambda: outcome(20.0))
    assert (found.value, found.reference_loss) == (FixValue.CHANGED, 30.0)


def test_a_claim_that_nothing_could_be_held_against_is_not_known():
    claimed = rewriting(LOG, FixValue.EXACT)
    assert judged(before(BAD, LOG), outcome(20.0), claimed, lambda: NOT_RUN).value is None


def test_a_rewriting_that_is_wrong_at_other_signs_is_not_exact():
    claimed = rewriting(LOG, FixValue.EXACT, regressions=2)
    found = judged(before(BAD, LOG), outcome(20.0), claimed, lambda: outcome(20.0))
    assert found.value is FixValue.CHANGED


@pytest.mark.parametrize("wide", [outcome(1e60), outcome(2.0, gradient=1e60)])
def test_what_float32_cannot_hold_is_bounded(wide):
    found = judged(before(wide), outcome(88.0), None, lambda: NOT_RUN)
    assert (found.value, found.reference_loss) == (FixValue.BOUNDED, wide.loss)


@pytest.mark.parametrize("claim", [FixValue.BOUNDED, FixValue.CHANGED, FixValue.UNDEFINED])
def test_a_lesser_claim_is_taken_as_it_is(claim):
    found = judged(before(BAD, LOG), outcome(1.0), rewriting(LOG, claim), lambda: NOT_RUN)
    assert (found.value, found.reference_loss) == (claim, None)


def test_a_guard_where_only_the_derivative_does_not_exist_is_exact():
    wide = outcome(2.0, math.nan)
    written = before(wide, mechanism="singular-gradient", loss=2.0)
    found = judged(written, outcome(2.0, 0.0), None, lambda: outcome(2.0, 0.0))
    assert (found.value, found.reference_loss) == (FixValue.EXACT, 2.0)
    other = judged(written, outcome(2.5, 0.0), None, lambda: outcome(2.5, 0.0))
    assert (other.value, other.reference_loss) == (FixValue.CHANGED, 2.0)


@pytest.mark.parametrize(
    ("root", "gradient", "value"),
    [
        (node("sqrt", X), math.inf, FixValue.UNDEFINED),
        (node("xlogy", X, X), math.inf, FixValue.UNDEFINED),
        (node("exp", node("log", X)), math.inf, FixValue.EXACT),  # its limit is 1
        (node("sqrt", X), math.nan, FixValue.EXACT),  # 0 times an infinite derivative
    ],
)
def test_no_fix_has_a_gradient_that_is_infinite_in_exact_arithmetic(root, gradient, value):
    of = formula(root, 0.0, 2.0)
    written = before(outcome(2.0, gradient), of, "singular-gradient", loss=2.0)
    found = judged(written, outcome(2.0, 0.0), None, lambda: outcome(2.0, 0.0))
    assert (found.value, found.reference_loss) == (value, 2.0)
    assert found.lacks_gradient is (value is FixValue.UNDEFINED)


@pytest.mark.parametrize(
    ("root", "is_weight", "value"),
    [
        (node("multiply", X, node("log", X)), True, FixValue.UNDEFINED),
        (node("multiply", X, node("log", X)), False, FixValue.EXACT),  # its factor may be 0
        (node("exp", node("log", node("abs", X))), True, FixValue.EXACT),  # a bounded gradient
    ],
)
def test_no_fix_has_an_infinite_gradient_at_a_weight_where_the_step_gives_nan(
    root, is_weight, value
):
    of = formula(root, 0.0, 2.0)
    of = dataclasses.replace(of, weights=frozenset({X} if is_weight else ()))
    claimed = rewriting(of, FixValue.EXACT)
    found = judged(before(BAD, of), outcome(1.4), claimed, lambda: outcome(1.4))
    assert (found.value, found.lacks_gradient) == (value, value is FixValue.UNDEFINED)


def test_a_bound_of_an_undefined_formula_changes_no_value():
    squared = node("square", X)
    undefined = formula(node("divide", X, squared), 0.0, 2.0)
    claimed = rewriting(undefined, FixValue.CHANGED)
    found = judged(before(NOT_RUN, undefined), outcome(1.0), claimed, lambda: NOT_RUN)
    assert found.value is FixValue.UNDEFINED


def test_a_guard_of_a_formula_without_a_value_is_undefined():
    negative = formula(node("log", X), -0.3, 2.0)
    found = judged(before(BAD, negative), outcome(16.1), None, lambda: outcome(16.1))
    assert (found.value, found.reference_loss) == (FixValue.UNDEFINED, None)
    empty = dataclasses.replace(before(BAD, mechanism="empty-reduction"), kind=Kind.UNDEFINED)
    assert judged(empty, outcome(0.0), None, lambda: outcome(0.0)).value is FixValue.UNDEFINED


def test_a_guard_of_an_infinite_value_is_bounded():
    zero = formula(node("log", X), 0.0, 2.0)
    found = judged(before(BAD, zero), outcome(16.1), None, lambda: outcome(16.1))
    assert (found.value, found.reference_loss) == (FixValue.BOUNDED, None)


def test_an_infinity_at_a_number_that_rounded_to_0_is_no_exact_value():
    zero = dataclasses.replace(formula(node("log", X), 0.0, 2.0), has_rounded_operand=True)
    for claimed in (None, rewriting(zero, FixValue.BOUNDED)):
        found = judged(before(BAD, zero), outcome(16.1), claimed, lambda: outcome(16.1))
        assert (found.value, found.reference_loss) == (FixValue.CHANGED, None)


@pytest.mark.parametrize("is_below", [True, False])
def test_a_number_that_rounded_to_0_decides_a_quotient_of_exponentials_and_no_product(is_below):
    other = node("exp", constant(-500.0))
    root = node("divide", X, other) if is_below else node("multiply", X, other)
    share = dataclasses.replace(formula(root, 0.0), rounded_to_zero=frozenset({X}))
    claimed = rewriting(share, FixValue.EXACT)
    found = judged(before(BAD, share), outcome(1.0), claimed, lambda: outcome(1.0))
    assert found.value is (FixValue.CHANGED if is_below else FixValue.EXACT)


def test_without_a_reference_nothing_is_said():
    found = judged(before(NOT_RUN), outcome(1.0), None, lambda: outcome(1.0))
    assert (found.value, found.reference_loss) == (None, None)


def test_a_step_may_differ_from_float64_by_what_roundings_do_to_it():
    claimed = rewriting(LOG, FixValue.EXACT)
    wide, after = outcome(19.7, gradient=1.0), outcome(19.7, gradient=1.2)
    small, large = (RoundingError(1e-6, {"w": error}) for error in (0.1, 0.3))
    for rounding, value in [
        ((), FixValue.CHANGED),
        ((small,), FixValue.CHANGED),
        ((small, large), FixValue.EXACT),
    ]:
        assert judged(before(wide, LOG), after, claimed, lambda: wide, rounding).value is value
    other_loss = outcome(19.8, gradient=1.2)
    found = judged(before(wide, LOG), other_loss, claimed, lambda: wide, (large,))
    assert found.value is FixValue.CHANGED


def state_alone(kind, has_nan, of=None):
    bad = Outcome(0.5, {"w": np.array([1.0, 0.5])}, ("w",))
    return AsWritten(bad, NOT_RUN, of, "division-by-zero", 1e-3, kind, has_nan)


@pytest.mark.parametrize(
    ("kind", "has_nan", "value"),
    [
        (Kind.UNDEFINED, True, FixValue.UNDEFINED),
        (Kind.NO_ROOM, True, FixValue.UNDEFINED),
        (Kind.NO_ROOM, False, FixValue.BOUNDED),
        (None, True, None),
    ],
)
def test_an_equal_loss_proves_nothing_where_the_state_alone_is_bad(kind, has_nan, value):
    found = judged(state_alone(kind, has_nan), outcome(0.5), None, lambda: NOT_RUN)
    assert found.value is value
    other = judged(state_alone(kind, has_nan), outcome(0.7), None, lambda: NOT_RUN)
    assert other.value is FixValue.CHANGED


def test_in_a_nan_loss_a_logarithm_of_0_is_infinite_and_a_quotient_by_0_undefined():
    as_written = dataclasses.replace(before(BAD, None), kind=Kind.NO_ROOM)
    nan = dataclasses.replace(as_written, wide=outcome(math.nan, math.nan))
    assert judged(nan, outcome(1.0), None, lambda: NOT_RUN).value is FixValue.BOUNDED
    quotient = dataclasses.replace(nan, mechanism="division-by-zero")
    assert judged(quotient, outcome(1.0), None, lambda: NOT_RUN).value is FixValue.UNDEFINED
    assert judged(as_written, outcome(1.0), None, lambda: NOT_RUN).value is FixValue.BOUNDED


def test_in_half_precision_the_fixed_step_in_float64_tells_a_bound_from_a_rounding():
    half = dataclasses.replace(before(outcome(19.7), LOG), tolerance=2e-2)
    after = outcome(19.5)
    for wide_after, value in [(19.7, FixValue.EXACT), (19.5, FixValue.CHANGED)]:
        found = judged(half, after, None, lambda loss=wide_after: outcome(loss))
        assert found.value is value


@pytest.mark.parametrize("has_exact", [True, False])
def test_a_bound_that_decides_an_infinite_loss_is_far_from_the_healthy_steps(has_exact):
    """That of a logarithm is a hundred at most; an exponential of it is what the bound makes it."""
    healthy = SimpleNamespace(_unpatched=[(None, SimpleNamespace(loss=1.5), None)])
    assert HealthySteps.is_far_below(healthy, -5e4, has_exact=has_exact) is not has_exact


def test_of_fixes_alike_the_usual_edit_is_before_the_least_bound_of_the_dtype():
    undefined = Judged(FixValue.UNDEFINED)
    text = "-a\n+torch.clamp(n, 1.0)"
    usual = SourceFix(
        (TemplateFact(FormWritten(NewForm.DIVISOR_AT_LEAST_ONE)),), text, 0, None, None, undefined
    )
    least = RewrittenFormula("bound", ("maximum",))
    bound = SourceFix((least,), "-a\n+n.clamp(1e-37)", 0, None, None, undefined)
    assert usual.rank < bound.rank
    verified = dataclasses.replace(bound, judged=Judged(FixValue.BOUNDED))
    assert verified.rank < usual.rank
    nearer = dataclasses.replace(bound, judged=Judged(FixValue.CHANGED))
    assert usual.rank < nearer.rank
    changed = dataclasses.replace(usual, trouble=Objection.CHANGES_HEALTHY_STEPS)
    assert bound.rank < changed.rank


def test_a_bound_with_gradients_far_above_the_healthy_ones_is_behind_all_but_an_exact_fix():
    clamp = TemplateFact(BoundAdded(BoundedPart.DIVISOR, low="0"))
    steep = SourceFix((clamp,), "-a\n+b", 0, None, None, Judged(FixValue.BOUNDED))
    steep = dataclasses.replace(steep, far_gradients=1e12)
    flat = SourceFix((clamp,), "-a\n+b", 0, None, None, Judged(FixValue.UNDEFINED))
    assert (steep.is_settled, flat.rank < steep.rank) == (False, True)
    exact = dataclasses.replace(steep, judged=Judged(FixValue.EXACT))
    assert (exact.is_settled, exact.rank < flat.rank) == (True, True)


@pytest.mark.parametrize(("healthy", "times"), [(0.5, 2e6), (2.0, None), (0.0, None)])
def test_gradients_are_far_above_those_of_every_healthy_step_from_a_million_times_on(
    healthy, times
):
    steps = SimpleNamespace(
        _unpatched=[(None, Outcome(1.0, {"w": np.array([-healthy, 0.0])}, ()), None)]
    )
    found = HealthySteps.far_gradients(steps, outcome(1.0, gradient=-1e6))
    assert found == times
