"""Every identity holds, in value and gradient, at operands that hypothesis draws."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from mpmath import mp

from stayfinite.numerics.identities import IDENTITIES
from stayfinite.repair.engine.evaluate import EXACT, Evaluation, exact_array, to_float64
from stayfinite.repair.engine.patterns import parsed, rules, variables
from tests.formulas.identities import formula, numbers, operands


def test_there_are_sixty_identities_and_none_twice():
    assert len({(i.left, i.right) for i in IDENTITIES}) == len(IDENTITIES) > 100


@pytest.mark.parametrize("rule", rules(), ids=lambda r: f"{r.identity}")
def test_no_variable_appears_from_nowhere(rule):
    assert variables(rule.right) <= variables(rule.left)


@pytest.mark.parametrize("identity", IDENTITIES, ids=str)
@settings(max_examples=12, deadline=None)
@given(drawn=numbers())
def test_both_sides_have_the_same_value_and_gradient(identity, drawn):
    left, right = formula(parsed(identity.left)), formula(parsed(identity.right))
    values = operands(identity, drawn)
    with mp.workdps(40):
        evaluation = Evaluation(EXACT, values)
        first, second = to_float64(evaluation.value(left)), to_float64(evaluation.value(right))
        defined = np.isfinite(first)
        assume(defined.any())
        second = np.broadcast_to(second, first.shape)
        np.testing.assert_allclose(second[defined], first[defined], 1e-12, 1e-15)
        if evaluation.value(right).shape != first.shape:
            return  # a constant: 1 for a / a
        seed = np.linspace(0.5, 1.7, first.size).reshape(first.shape)
        seed = exact_array(np.where(defined, seed, 0.0))
        before = evaluation.gradients(left, seed, tuple(values))
        after = evaluation.gradients(right, seed, tuple(values))
        for each in values:
            want = to_float64(before[each])
            usable = np.isfinite(want)
            np.testing.assert_allclose(to_float64(after[each])[usable], want[usable], 1e-12, 1e-15)
