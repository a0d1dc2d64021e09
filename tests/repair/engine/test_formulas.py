"""Textbook formulas: what is found is exact, also at operands that the search never saw."""

import functools

import numpy as np
import pytest

from stayfinite.repair.engine.pricing import Pricing
from stayfinite.repair.engine.problem import FixValue, Rewrite
from stayfinite.repair.engine.samples import Samples, make_sample
from stayfinite.repair.engine.search import search
from stayfinite.repair.formula import LeafRole
from tests.repair.engine.formulas import FORMULAS

# Fresh operands that a rewrite may miss: one in twenty elements, close to a point where the exact
# value itself passes through 0 or a removable point.
MISSES = 0.05


@functools.cache
def best(formula) -> Rewrite:
    return search(formula.problem(), seconds=20)[0]


def test_there_are_enough_of_them():
    assert len({formula.name for formula in FORMULAS}) == len(FORMULAS) >= 100


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f.name)
def test_the_formula_fails_as_written(formula):
    problem = formula.problem()
    samples = Samples(problem)
    wrong = Pricing(problem, samples).errors(problem.root, samples.main)
    assert any(each.any() for each in wrong)


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f.name)
def test_an_exact_form_is_found(formula):
    found = best(formula)
    assert found.value is FixValue.EXACT
    assert found.price.clean


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f.name)
def test_it_holds_at_fresh_operands(formula):
    problem, found = formula.problem(), best(formula)
    samples = Samples(problem)
    pricing = Pricing(problem, samples)
    rng = np.random.default_rng(1234)
    wrong = total = 0
    for _ in range(4):
        fresh = {
            leaf: x * rng.uniform(0.9, 1.1, x.shape).astype(x.dtype)
            if leaf.attribute("role") in (LeafRole.VARIABLE, LeafRole.DATA)
            else x
            for leaf, x in problem.values.items()
        }
        sample = make_sample(problem, "near fresh", fresh, samples.main)
        for each in pricing.errors(found.root, sample):
            wrong, total = wrong + int(each.sum()), total + each.size
    assert wrong <= MISSES * total
