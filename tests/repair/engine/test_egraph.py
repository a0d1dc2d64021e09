"""The e-graph refuses unions that are false, and finds forms that need several rules."""

import time

import numpy as np
import pytest

from stayfinite.numerics.identities import Identity
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.egraph import EGraph
from stayfinite.repair.engine.matching import saturate
from stayfinite.repair.engine.patterns import Rule, parsed, rules
from stayfinite.repair.engine.problem import FormulaProblem
from stayfinite.repair.engine.samples import Samples
from tests.repair.engine.formulas import KERAS, abs_, exp, log, sigmoid
from tests.repair.engine.notation import one_leaf


def graph_of(written, **operands):
    arrays = {k: np.asarray(v, np.float32) for k, v in operands.items()}
    leaves = {k: one_leaf(k, v) for k, v in arrays.items()}
    root = written(**leaves).root
    values = {leaves[k].root: v for k, v in arrays.items()}
    problem = FormulaProblem(root, values, tuple(values), available=KERAS)
    graph = EGraph(Context(problem, Samples(problem), time.thread_time() + 60))
    return graph, graph.add_formula(root), leaves


def applied(graph, chosen):
    saturate(graph, tuple(chosen), rounds=5, nodes=2000, deadline=time.thread_time() + 60)


def test_a_false_rule_is_refused():
    graph, top, leaves = graph_of(lambda a, b: exp(a) + exp(b), a=[1.0, 2], b=[3.0, 4])
    false = Identity("exp(a) + exp(b)", "exp(a + b)")
    applied(graph, [Rule(false, parsed(false.left), parsed(false.right))])
    other = graph.add_formula(exp(leaves["a"] + leaves["b"]).root)
    assert graph.refused and graph.find(other) != graph.find(top)


def test_a_rule_that_holds_for_the_recorded_signs_only_is_refused():
    """All recorded values are positive; a probe with another sign is not."""
    graph, top, leaves = graph_of(lambda x: abs_(x) * 2, x=[1.0, 2, 3])
    false = Identity("abs(a)", "a")
    applied(graph, [Rule(false, parsed(false.left), parsed(false.right))])
    assert graph.refused
    assert graph.find(graph.add_formula((leaves["x"] * 2).root)) != graph.find(top)


@pytest.mark.parametrize(
    "written, equal",
    [
        (lambda a, b: exp(a) / (exp(a) + exp(b)), lambda a, b: sigmoid(a - b)),
        (lambda a, b: log(exp(b) * exp(a)), lambda a, b: a + b),
        (lambda a, b: 1 / (1 + exp(b - a)), lambda a, b: sigmoid(a - b)),
    ],
)
def test_rules_work_together(written, equal):
    graph, top, leaves = graph_of(written, a=[100.0, 1, 2], b=[3.0, 2, 1])
    applied(graph, rules())
    assert graph.find(graph.add_formula(equal(**leaves).root)) == graph.find(top)
