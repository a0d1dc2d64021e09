"""Each cause on a graph written by hand, beside a graph that looks alike and has another one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stayfinite.diagnose import masked_rows, matrices
from stayfinite.diagnose.classify import ORDER, classify
from stayfinite.diagnose.elements import kind_of
from stayfinite.diagnose.facts import expressions, inputs, new_state
from stayfinite.graph import walk
from stayfinite.graph.graph import Span
from tests.diagnose.steps import StepByHand

INF, NAN = np.inf, np.nan


def found(evidence):
    classification = classify(evidence)
    assert classification.notes == ()
    return classification.finding


def unary(name, operand, result, *, dtype="float32", **options):
    step = StepByHand(dtype)
    x = step.leaf("input", operand)
    return step.evidence(root=step.op(name, [x], result), **options)


UNARY = {
    "log at its pole": ("log", [1.0, 0.0], [0.0, -INF], "log-of-zero", (1,)),
    "log1p at its pole": ("log1p", [-1.0, 2.0], [-INF, 1.1], "log-of-zero", (0,)),
    "log below 0": ("log", [1.0, -2.0], [0.0, NAN], "out-of-domain", (1,)),
    "a function without a row": ("bessel", [1.0, -2.0], [0.0, NAN], "out-of-domain", (1,)),
    "arccos": ("arccos", [0.5, 1.5], [1.0, NAN], "out-of-domain", (1,)),
    "rsqrt of 0": ("rsqrt", [4.0, 0.0], [0.5, INF], "division-by-zero", (1,)),
    "exp": ("exp", [1.0, 90.0], [2.7, INF], "overflow", (1,)),
    "infinity of a bounded function": ("bessel", [1.0, 2.0], [0.0, INF], "unknown", (1,)),
    "maximum of a masked row": (
        "max",
        [[2.0, 1.0], [-INF] * 2],
        [2.0, -INF],
        "empty-reduction",
        (1,),
    ),
    "minimum that is -inf": ("min", [[2.0, 1.0], [-INF, 1.0]], [1.0, -INF], "unknown", (1,)),
    "maximum of no group": ("segment_max", [2.0, 1.0], [2.0, -INF], "empty-reduction", (1,)),
    "mean of nothing": ("mean", np.zeros((4, 0)), np.full(4, NAN), "empty-reduction", None),
}


@pytest.mark.parametrize("case", UNARY)
def test_functions_of_one_number(case):
    name, operand, result, cause, samples = UNARY[case]
    finding = found(unary(name, operand, result))
    assert (finding.cause, finding.samples, finding.op) == (cause, samples, name)


def test_a_product_with_a_logarithm_is_at_the_pole_of_the_logarithm():
    step = StepByHand()
    x, y = step.leaf("input", [2.0, 1.0], "x"), step.leaf("input", [1.0, 0.0], "y")
    finding = found(step.evidence(root=step.op("xlogy", [x, y], [0.0, -INF])))
    assert (finding.cause, finding.samples) == ("log-of-zero", (1,))


def test_what_is_counted_of_a_loop_is_its_first_result_that_is_not_finite():
    step = StepByHand()
    x = step.leaf("input", [1.0, 2.0])
    counter = step.op("while", [x], 3.0)
    carried = step._value(np.asarray([NAN, 1.0], "float32"))
    step.ops[-1] = dataclasses.replace(step.ops[-1], results=(counter, carried))
    finding = found(step.evidence(root=counter))
    assert (finding.cause, finding.samples) == ("unknown", (0,))
    assert (finding.facts.kind, finding.facts.num_bad, finding.facts.size) == ("nan", 1, 2)


def test_facts_of_a_domain_are_those_of_the_failing_elements():
    finding = found(unary("log", [1.0, -2.0, -5.0], [0.0, NAN, NAN]))
    assert isinstance(finding.facts, expressions.OutsideDomain)
    assert (finding.facts.worst, finding.facts.num_bad, finding.facts.size) == (-5.0, 2, 3)


def test_overflow_that_float32_holds():
    finding = found(unary("exp", [1.0, 12.0], [2.7, INF], dtype="float16"))
    assert (finding.cause, finding.mechanism) == ("half-overflow", "half-overflow")
    assert finding.facts.float32_holds
    finding = found(unary("exp", [1.0, 100.0], [2.7, INF], dtype="float16"))
    assert (finding.cause, finding.facts.float32_holds) == ("overflow", False)


def division(divisor_of, numerator, divisor, result):
    step = StepByHand()
    x = step.leaf("input", numerator, "x")
    y = divisor_of(step, divisor)
    return step.evidence(root=step.op("divide", [x, y], result))


def a_leaf(step, divisor):
    return step.leaf("input", divisor, "y")


def a_count(step, divisor):
    mask = step.leaf("input", np.ones((len(divisor), 2)), "mask")
    compared = step.op("greater", [mask, step.constant(0.0)], np.ones((4, 2)), dtype="bool")
    number = step.op("cast", [compared], np.ones((4, 2)))
    return step.op("sum", [number], divisor)


def a_count_and_a_sum(step, divisor):
    predicted = step.leaf("input", np.full((4, 2), 0.25), "predicted")
    return step.op("add", [a_count(step, divisor), step.op("sum", [predicted], divisor)], divisor)


def test_division_by_0_and_by_an_empty_count():
    numbers = [1.0, 0.0, 2.0, 3.0], [1.0, 0.0, 1.0, 1.0], [1.0, NAN, 2.0, 3.0]
    finding = found(division(a_leaf, *numbers))
    assert (finding.cause, finding.samples) == ("division-by-zero", (1,))
    assert finding.facts == expressions.ZeroDivisor(is_nan=True, num_bad=1, size=4)
    finding = found(division(a_count, *numbers))
    assert (finding.cause, finding.samples) == ("empty-reduction", (1,))
    assert finding.facts == expressions.EmptyCount(num_bad=1, size=4)
    finding = found(division(a_count, numbers[0], [0.5, 0.0, 1.0, 1.0], numbers[2]))
    assert finding.facts == expressions.EmptyCount(num_bad=1, size=4, is_whole=False)
    assert found(division(a_count_and_a_sum, *numbers)).cause == "division-by-zero"


@pytest.mark.parametrize(
    ("added", "cause"), [([1.0, 1.0], "empty-reduction"), ([0.5, 2.0], "division-by-zero")]
)
def test_division_by_the_count_of_a_group(added, cause):
    """A count is a sum of ones that are added to zeros, as messages to the nodes of a graph."""
    step = StepByHand()
    index, zeros = step.leaf("input", [0, 0], "index"), step.op("zeros", [], [0.0, 0.0])
    x, ones = step.leaf("input", [1.0, 2.0], "x"), step.op("full", [], added)
    total = step.op("index_add", [zeros, index, x], [3.0, 0.0]) if cause[0] == "e" else x
    count = step.op("index_add", [zeros, index, ones], [2.0, 0.0])
    result = step.op("divide", [total, count], [1.5, NAN])
    finding = found(step.evidence(root=result))
    assert (finding.cause, finding.samples) == (cause, (1,))


@pytest.mark.parametrize("op", ["segment_sum", "unsorted_segment_sum"])
def test_division_by_the_count_of_a_segment(op):
    """As TensorFlow makes the mean of a row of a ragged tensor."""
    step = StepByHand()
    index, ones = step.leaf("input", [0, 0], "index"), step.op("full", [], [1.0, 1.0])
    total = step.op(op, [step.leaf("input", [1.0, 2.0], "x"), index], [3.0, 0.0])
    count = step.op(op, [ones, index], [2.0, 0.0])
    finding = found(step.evidence(root=step.op("divide", [total, count], [1.5, NAN])))
    assert (finding.cause, finding.samples) == ("empty-reduction", (1,))


@pytest.mark.parametrize(
    ("called", "last", "cause"),
    [
        ("cholesky", 1.0, "out-of-domain"),
        ("slogdet", 1.0, "out-of-domain"),
        ("slogdet", 4.0, "log-of-zero"),
        ("log", 1.0, "log-of-zero"),
    ],
)
def test_a_factorization_fails_by_its_singular_matrix(monkeypatch, called, last, cause):
    monkeypatch.setattr(matrices, "callee", lambda span: called)
    step = StepByHand()
    matrix = step.leaf("input", [[1.0, 1.0], [1.0, last]], "x")
    diagonal = step.op("lu", [matrix], [1.0, 0.0])
    result = step.op("log", [diagonal], [0.0, -INF])
    step.ops[:] = [dataclasses.replace(op, span=Span("f.py", 1, 1, 0, 9, "f")) for op in step.ops]
    finding = found(step.evidence(root=result))
    assert (finding.cause, finding.op) == (cause, "log" if cause == "log-of-zero" else called)


@pytest.mark.parametrize(("begin", "is_empty"), [(-INF, True), (1.0, False)])
def test_a_group_without_elements_has_what_the_reduction_begins_with(begin, is_empty):
    step = StepByHand()
    first, index = step.op("full", [], [-INF, begin]), step.leaf("input", [0, 0], "index")
    x = step.leaf("input", [1.0, 2.0], "x")
    result = step.op("scatter_reduce", [first, index, x], [2.0, -INF])
    finding = found(step.evidence(root=result))
    assert (finding.cause == "empty-reduction") is is_empty


@pytest.mark.parametrize(("summed", "cause"), [(0, "division-by-zero"), (1, "empty-reduction")])
def test_a_number_of_0_is_a_count_only_for_a_sum(summed, cause):
    """As `1 - 2 * label_smoothing` is none."""
    step = StepByHand()
    x = step.leaf("input", np.zeros((2, 0)), "x")
    total = step.op("sum" if summed else "tanh", [x], [0.0, 0.0])
    result = step.op("divide", [total, step.constant(0.0)], [NAN, NAN])
    assert found(step.evidence(root=result)).cause == cause


@pytest.mark.parametrize(("factor", "cause"), [(2.0, "bad-weights"), (0.0, "unknown")])
def test_a_scale_of_infinity_that_was_shaped_first(factor, cause):
    """As the weights of the classes are; with factors of 0 it is a mask."""
    step = StepByHand()
    x = step.leaf("input", [[1.0], [factor]])
    shaped = step.op("reshape", [step.constant([1.0, INF])], [[1.0, INF]])
    step.op("multiply", [x, shaped], [[1.0, INF], [factor, factor * INF]])
    assert found(step.evidence(root=shaped)).cause == cause


@pytest.mark.parametrize(("lower", "cause"), [(1e-8, "epsilon-underflow"), (1e-7, "log-of-zero")])
def test_upper_bound_of_a_clip_that_was_rounded_to_1_or_written_so(lower, cause):
    step = StepByHand()
    x = step.leaf("input", [0.5, 1.0])
    clipped = step.op("clip", [x, step.constant(lower), step.constant(1.0)], [0.5, 1.0])
    rest = step.op("subtract", [step.constant(1.0), clipped], [0.5, 0.0])
    root = step.op("log", [rest], [-0.7, -INF])
    assert found(step.evidence(root=root)).cause == cause
    # The label of the cross entropy that it belongs to is no mask.
    step.op("multiply", [compared_with_a_number(step), root], [-0.7, NAN])
    finding = found(step.evidence(root=root))
    expected = cause if lower == 1e-8 else "masked-branch"
    assert (finding.cause, finding.samples) == (expected, (1,))


@pytest.mark.parametrize(
    ("epsilon", "cause"), [(1e-12, "epsilon-underflow"), (None, "log-of-zero")]
)
def test_epsilon_that_is_absorbed(epsilon, cause):
    step = StepByHand()
    x = step.leaf("input", [0.5, 1.0])
    value = step.op("subtract", [step.constant(1.0), x], [0.5, 0.0])
    if epsilon is not None:
        # 1 + 1e-12 is 1, so that the difference is 0 again.
        above = step.op("add", [x, step.constant(epsilon)], [0.5, 1.0])
        value = step.op("subtract", [step.constant(1.0), above], [0.5, 0.0])
    finding = found(step.evidence(root=step.op("log", [value], [-0.7, -INF])))
    assert finding.cause == cause
    if epsilon is not None:
        assert finding.facts.lost == expressions.EpsilonAbsorbed(pytest.approx(1e-12), "float32")
        assert isinstance(finding.facts.pole, expressions.AtLogPole)


def backward_of(name, operands, value, **options):
    """A forward op, and its derivative, which is infinite in the first sample."""
    step = StepByHand()
    leaves = [step.leaf("input", operand, f"x{n}") for n, operand in enumerate(operands)]
    made = step.op(name, leaves, value)
    assert step.ops[-1].results == (made,)
    gradient = step.op(
        "sqrt_grad", [made], [INF, 1.0], phase="backward", differentiates=0, **options
    )
    return step.evidence(root=gradient, loss_finite=True)


SINGULAR = {
    "sqrt": ("sqrt", [[0.0, 4.0]], [0.0, 2.0], "1 / (2 * sqrt(0))"),
    "power": ("power", [[0.0, 4.0], [0.5, 0.5]], [0.0, 2.0], "0.5 * 0 ** (0.5 - 1)"),
    "arccos": ("arccos", [[-1.0, 0.1]], [3.14, 1.5], "-1 / sqrt(1 - (-1) ** 2)"),
}


@pytest.mark.parametrize("case", SINGULAR)
def test_value_is_finite_and_its_derivative_is_not(case):
    name, operands, value, derivative = SINGULAR[case]
    finding = found(backward_of(name, operands, value))
    assert (finding.cause, finding.samples, finding.op) == ("singular-gradient", (0,), name)
    assert finding.facts.derivative == derivative


@pytest.mark.parametrize(
    ("name", "operands", "value", "cause"),
    [
        ("log", [[0.0, 4.0]], [-INF, 1.4], "log-of-zero"),
        ("divide", [[-1.0, 1.0], [0.0, 4.0]], [-INF, 0.25], "division-by-zero"),
        ("log", [[4.0, 0.0]], [1.4, -INF], "unknown"),  # bad where the derivative is not
    ],
)
def test_a_pole_of_which_a_later_operation_makes_a_finite_number(name, operands, value, cause):
    step = StepByHand()
    leaves = [step.leaf("input", operand, f"x{n}") for n, operand in enumerate(operands)]
    made = step.op(name, leaves, value)
    step.op("exp", [made], np.exp(value))
    factor = step.constant([0.0, 1.0])
    bad = step.op("divide", [factor, leaves[-1]], [NAN, 1.0], phase="backward", differentiates=0)
    assert found(step.evidence(root=bad, loss_finite=True)).cause == cause


def test_derivative_of_an_unknown_function_has_to_be_all_of_it():
    of_a_norm = ("pdist", [[1.0, 4.0]], [1.0, 2.0])
    finding = found(backward_of(*of_a_norm, is_derivative=True))
    assert isinstance(finding.facts, expressions.SingularDerivative)
    assert found(backward_of(*of_a_norm)).cause == "unknown"


@pytest.mark.parametrize(
    ("called", "cause"), [("sqrt", "singular-gradient"), (None, "division-by-zero")]
)
def test_a_derivative_that_the_loss_is_computed_from(monkeypatch, called, cause):
    monkeypatch.setattr(walk, "callee", lambda span: called)
    step = StepByHand()
    x, at = step.leaf("input", [0.0, 4.0], "x"), Span("train.py", 1, 4, 1, 20, "loss")
    root = step.op("sqrt", [x], [0.0, 2.0], span=at, stack=(at,))
    bad = step.op("divide", [step.constant(0.5), root], [INF, 0.25], span=at, stack=(at,))
    assert found(step.evidence(root=bad)).cause == cause


def root_in_where(condition):
    step = StepByHand()
    x = step.leaf("input", [0.0, 4.0], "x")
    root = step.op("sqrt", [x], [0.0, 2.0])
    test = step.op("greater", [x, step.constant(condition)], [False, True], dtype="bool")
    step.op("where", [test, root, step.constant([0.0, 0.0])], [0.0, 2.0])
    bad = step.op("sqrt_grad", [root], [NAN, 1.0], phase="backward", differentiates=0)
    if condition < 0:
        step.arrays[test] = np.asarray([True, True])
    return step.evidence(root=bad, loss_finite=True)


def test_a_point_without_a_derivative_that_where_discards():
    finding = found(root_in_where(0.0))
    assert (finding.cause, finding.samples) == ("masked-branch", (0,))
    assert finding.facts == expressions.Discarded("inf", expressions.Leak.DERIVATIVE, 1, 2)
    assert found(root_in_where(-1.0)).cause == "singular-gradient"


def test_infinity_that_a_bounded_function_takes_is_an_overflow():
    step = StepByHand()
    x = step.leaf("input", [1.0, 90.0])
    steep = step.op("exp", [x], [2.7, INF])
    step.op("tanh", [steep], [0.99, 1.0])
    flat = step.constant([0.1, 0.0])
    bad = step.op("multiply", [flat, steep], [0.3, NAN], phase="backward", differentiates=0)
    assert found(step.evidence(root=bad, loss_finite=True)).cause == "overflow"


def test_division_by_0_after_the_backward_pass():
    step = StepByHand()
    x = step.leaf("weight", [0.0, 2.0])
    root = step.op("reciprocal", [x], [INF, 0.5], phase="backward")
    assert found(step.evidence(root=root)).cause == "division-by-zero"


def test_deviation_of_equal_numbers_is_no_count():
    step = StepByHand()
    drawn = step.op("rand", [], [1.0, 1.0])
    deviation = step.op("std", [drawn], 0.0)
    quotient = step.op("divide", [drawn, deviation], [NAN, NAN])
    step.arrays[drawn] = np.zeros(2, "float32")
    assert found(step.evidence(root=quotient)).cause == "division-by-zero"


def test_target_that_has_no_alignment_with_its_input():
    step = StepByHand()
    scores = step.leaf("input", np.zeros((4, 2, 3)))
    finding = found(step.evidence(root=step.op("ctc_loss", [scores], [1.0, INF, 2.0, 3.0])))
    assert (finding.cause, finding.samples) == ("bad-target", (1,))


def masked(mask_of):
    step = StepByHand()
    x = step.leaf("input", [1.0, 0.0], "x")
    log = step.op("log", [x], [0.0, -INF])
    mask = mask_of(step)
    step.op("multiply", [log, mask], [0.0, NAN])
    return step.evidence(root=log)


def compared_with_a_number(step):
    y = step.leaf("input", [1.0, 0.0], "y")
    return step.op("greater", [y, step.constant(0.5)], [1.0, 0.0])


def one_hot(step):
    y = step.leaf("target", [1.0, 0.0], "y")
    return step.op("equal", [y, step.constant([0.0, 1.0])], [1.0, 0.0])


def test_product_with_a_mask_and_with_a_one_hot_code():
    finding = found(masked(compared_with_a_number))
    assert (finding.cause, finding.samples) == ("masked-branch", (1,))
    assert finding.facts == expressions.Discarded("-inf", expressions.Leak.PRODUCT_WITH_0, 1, 2)
    assert found(masked(one_hot)).cause == "log-of-zero"


def scores(dtype="float32", **options):
    step = StepByHand(dtype)
    x = step.leaf("input", [[-INF, -INF], [0.0, 1.0]])
    root = step.op("softmax", [x], [[NAN, NAN], [0.3, 0.7]])
    return step.evidence(root=root, **options)


def test_row_of_scores_that_is_masked():
    finding = found(scores())
    assert (finding.cause, finding.samples) == ("fully-masked-row", (0,))


@pytest.mark.parametrize(
    ("power", "factor", "is_own", "is_mask"),
    [
        ([0.0, 0.0], [0.0, 0.0], True, True),
        ([-200.0, -300.0], [1.0, 1.0], True, False),
        ([0.0, 0.0], [0.0, 0.0], False, False),
    ],
    ids=["a mask", "their own underflow", "a mask of what is not summed"],
)
def test_exponentials_are_masked_by_a_factor(power, factor, is_own, is_mask):
    step = StepByHand()
    x = step.leaf("input", [power, [0.0, 0.0]])
    weights = step.op("exp", [x], np.exp(np.array([power, [0.0, 0.0]], "float32")))
    other = step.leaf("input", [factor, [1.0, 1.0]])
    product = step.op("multiply", [weights, other], [[0.0, 0.0], [1.0, 1.0]])
    total = step.op("sum", [product], [[0.0], [2.0]])
    divided = product if is_own else step.op("multiply", [other, other], [factor, [1.0, 1.0]])
    root = step.op("divide", [divided, total], [[NAN, NAN], [0.5, 0.5]])
    assert (found(step.evidence(root=root)).cause == "fully-masked-row") is is_mask


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_a_row_less_its_maximum_is_a_softmax_and_less_its_mean_is_not(kind):
    step = StepByHand()
    x = step.op("log", [step.leaf("input", [[0.0, 0.0], [1.0, 2.0]])], [[-INF, -INF], [0.0, 0.7]])
    reduced = step.op(kind, [x], [[-INF], [0.35]])
    root = step.op("subtract", [x, reduced], [[NAN, NAN], [-0.35, 0.35]])
    assert (found(step.evidence(root=root)).cause == "fully-masked-row") is (kind == "max")


def test_a_masked_row_is_one_of_the_function_that_the_user_calls(monkeypatch):
    monkeypatch.setattr(masked_rows, "callee", lambda span: "logsumexp")
    step = StepByHand()
    x = step.leaf("input", [[-INF, -INF], [0.0, 0.7]])
    reduced = step.op("max", [x], [[-INF], [0.7]])
    root = step.op("subtract", [x, reduced], [[NAN, NAN], [-0.7, 0.0]])
    assert found(step.evidence(root=root)).op == "logsumexp"


def test_the_batch_selects_bad_rows_of_an_array_that_is_not_in_it():
    step = StepByHand()
    table = step.constant([[1.0, 2.0], [3.0, 4.0], [5.0, NAN]])
    indices = step.leaf("input", [1, 2], "indices", dtype="int64")
    root = step.op("gather", [table, indices], [[3.0, 4.0], [5.0, NAN]])
    finding = found(step.evidence(root=root))
    assert (finding.cause, finding.samples) == ("bad-input", (1,))
    assert finding.facts == inputs.NonFiniteRows("nan", (2,), 1, 6)


def test_row_that_is_masked_by_the_range_of_float16():
    finding = found(scores("float16", finite_wider=lambda: True))
    assert (finding.cause, finding.mechanism) == ("half-overflow", "fully-masked-row")
    assert finding.facts == expressions.MaskOutOfRange("float16")


def leaf_root(role, array, **options):
    step = StepByHand()
    return step.evidence(leaf=step.leaf(role, array, "x"), **options)


ROLES = {
    "input": "bad-input",
    "target": "bad-target",
    "sample_weight": "bad-target",
    "weight": "bad-weights",
    "statistics": "bad-statistics",
    "optimizer": "bad-update",
    "metric": "unknown",
}


@pytest.mark.parametrize("role", ROLES)
def test_what_came_in_bad(role):
    finding = found(leaf_root(role, [[1.0, NAN], [2.0, 3.0], [1.0, 1.0]]))
    assert (finding.cause, finding.tensor) == (ROLES[role], "x")
    if role == "input":
        assert finding.samples == (0,)
        assert (finding.facts.kinds, finding.facts.feature) == (("nan",), 1)
    if role == "sample_weight":
        assert finding.op == "sample weight"


@pytest.mark.parametrize(
    ("bad", "kinds"), [([-INF, 0.0], ("-inf",)), ([-INF, INF, NAN], ("nan", "inf", "-inf"))]
)
def test_the_sign_of_infinite_values(bad, kinds):
    assert found(leaf_root("input", bad)).facts.kinds == kinds
    assert kind_of(np.array(bad)) == kinds[0]


def test_absurd_values_are_measured_against_healthy_batches():
    def evidence(ranges):
        step = StepByHand()
        x = step.leaf("input", [1e20, 1e25], "x")
        return step.evidence(root=step.op("square", [x], [INF, INF]), ranges=ranges)

    finding = found(evidence({"x": 1.0}))
    assert (finding.cause, finding.facts.has_large) == ("bad-input", True)
    assert found(evidence({"x": 1e21})).cause == "overflow"


def update(**options):
    step = StepByHand()
    gradient = step.leaf("weight", [1.0, 0.0], "gradient")
    norm = step.leaf("weight", [1.0, 0.0], "norm")
    root = step.op("divide", [gradient, norm], [1.0, NAN], phase="update", **options)
    return step.evidence(root=root, loss_finite=True, new_state={"dense/kernel": root})


def test_bad_update_has_the_reason_of_its_expression():
    finding = found(update())
    assert (finding.cause, finding.mechanism) == ("bad-update", "division-by-zero")
    assert finding.facts.names == ("dense/kernel",)
    reason = finding.facts.reason
    assert (reason.function, type(reason.facts)) == ("divide", expressions.ZeroDivisor)


def test_a_gradient_that_the_step_did_not_compute_was_given_to_the_optimizer():
    step = StepByHand()
    gradient, same = (step.constant([NAN, NAN]) for _ in range(2))
    here = Span("train.py", 7, 0, 7, 30, "<module>")
    root = step.op("copy", [same], [NAN, NAN], phase="update", stack=(), callers=(here,))
    given = {"root": root, "loss_finite": True, "new_state": {"dense/kernel": root}}
    finding = found(step.evidence(gradients={"dense/kernel": gradient}, **given))
    assert finding.facts.reason == new_state.GivenGradient("dense/kernel", "nan")
    assert (finding.cause, finding.span) == ("bad-update", here)
    assert found(step.evidence(gradients={"dense/kernel": root}, **given)).facts.reason is None


def test_source_of_a_library_is_not_repaired():
    finding = found(update(stack=()))
    assert (finding.cause, finding.mechanism) == ("bad-update", None)
    assert finding.facts.reason is not None


def test_every_rule_is_asked_once_and_the_last_one_matches_anything():
    assert len({rule.match for rule in ORDER}) == len(ORDER)
    assert ORDER[-1].cause == "unknown"
    evidence = unary("bessel", [1.0], [INF])
    assert ORDER[-1].match(dataclasses.replace(evidence, op=None)).cause == "unknown"
