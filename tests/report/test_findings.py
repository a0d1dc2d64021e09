"""Every fact has its sentences, and no two findings are told by the wrong one."""

from __future__ import annotations

import dataclasses
import enum
import typing

import numpy as np
import pytest

from stayfinite.diagnose.facts import Facts, expressions, inputs, new_state
from stayfinite.diagnose.finding import CauseName, Finding
from stayfinite.numerics import functions
from stayfinite.report.wording.arithmetic import arithmetic, pattern_clause
from stayfinite.report.wording.findings import message, outside
from stayfinite.report.wording.remedies import remedy

POLE = expressions.ZeroDivisor(is_nan=False, num_bad=1, size=8)
HALF = ("float16", 65504.0)


def findings(*several, cause: CauseName = "unknown", op="log", **options):
    return [Finding(cause=cause, facts=facts, op=op, **options) for facts in several]


SAID = {
    "`multiply` of 0 and an infinity is nan": (
        "multiply",
        expressions.Discarded("nan", expressions.Leak.PRODUCT_WITH_0, 2, 120),
    ),
    "`exp` is inf where it is masked, and 0 * inf is nan": (
        "exp",
        expressions.Discarded("inf", expressions.Leak.PRODUCT_WITH_0, 2, 120),
    ),
    "`power` of 0 with a negative exponent is infinite": (
        "power",
        expressions.ZeroDivisor(False, 1, 8),
    ),
    "`divide` by 0: 0 / 0 is nan": ("divide", expressions.ZeroDivisor(True, 1, 8)),
    "`log` of 0 is -inf": ("log", expressions.AtLogPole(0.0, 1, 8, "float32")),
    "the gradient of `sqrt` is infinite at 0": (
        "sqrt",
        expressions.AtSingularPoint(((0.0,),), "1 / (2 * sqrt(0))", float("inf")),
    ),
    "the gradient of `arctan2` has no value at (0, 0)": (
        "arctan2",
        expressions.AtSingularPoint(((0.0, 0.0),), "0 / (0 ** 2 + 0 ** 2)", float("nan")),
    ),
    "`sqrt` of -1, which is below 0, has no value": (
        "sqrt",
        expressions.OutsideDomain(-1.0, functions.Interval(0.0), 1, 8),
    ),
    "`arccos` of 1.0000002, which is outside [-1, 1], has no value": (
        "arccos",
        expressions.OutsideDomain(1 + 2**-22, functions.Interval(-1.0, 1.0), 1, 8),
    ),
    "`exp` of 12 leaves the range of float16; float32 has room for it": (
        "exp",
        expressions.OutOfRange(12.0, *HALF, 1, 8, float32_holds=True),
    ),
    "the epsilon of `divide` vanishes: 1e-12 is absorbed in float32": (
        "divide",
        expressions.VanishedEpsilon(expressions.EpsilonAbsorbed(1e-12, "float32"), POLE),
    ),
    "`divide` meets 0: a number that float32 can hold is 0 in float16": (
        "divide",
        expressions.VanishedEpsilon(expressions.Underflow("float16"), POLE),
    ),
    "the update of `w` and 1 more is nan: a number in it is inf, made by `power`": (
        "power",
        new_state.BadNewWeights(
            ("w", "b"), "nan", "multiply", 1, 8, new_state.HostNumber("inf", "power")
        ),
    ),
    "the update of `w` is nan: its gradient was inf when the optimizer was given it": (
        "multiply",
        new_state.BadNewWeights(
            ("w",), "nan", "multiply", 1, 8, new_state.GivenGradient("w", "inf")
        ),
    ),
    "`s` became inf while the loss was finite: `exp` of 99 leaves the range of float32": (
        "exp",
        new_state.BadNewStatistic(
            "s",
            "inf",
            1,
            8,
            new_state.Reason("exp", expressions.OutOfRange(99.0, "float32", 3.4e38, 1, 8)),
        ),
    ),
}


@pytest.mark.parametrize("said", SAID)
def test_message(said):
    op, facts = SAID[said]
    (finding,) = findings(facts, op=op)
    assert message(finding) == said


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        (functions.Interval(0.0), "below 0"),
        (functions.Interval(-1.0, 1.0), "outside [-1, 1]"),
        (functions.Interval(-1.0, 1.0, closed=False), "not inside (-1, 1)"),
        (functions.NoPositivePole(), "0 or a negative integer"),
        (None, "outside its domain"),
    ],
)
def test_domain(domain, words):
    assert outside(domain) == words


@pytest.mark.parametrize("pattern", inputs.ValuePattern)
def test_every_pattern_has_a_clause(pattern):
    assert pattern_clause(pattern).startswith("; ")


def examples(kind):
    """A value of an annotation; of a union each member, of an enumeration each entry."""
    origin = typing.get_origin(kind)
    if kind is int:
        return [3]
    if kind is float:
        return [2.5]
    if kind is str:
        return ["name"]
    if kind is bool:
        return [False, True]
    if kind is type(None):
        return [None]
    if kind is np.ndarray:
        return [np.full(3, np.nan)]
    if origin is typing.Literal:
        return list(typing.get_args(kind))
    if origin is tuple:
        return [tuple(examples(typing.get_args(kind)[0])[:1]), ()]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return list(kind)
    if dataclasses.is_dataclass(kind):
        return made(kind)
    return [example for member in typing.get_args(kind) for example in examples(member)]


def made(kind):
    """Instances of a dataclass that, together, have each example of each field."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: examples(hints[field.name]) for field in dataclasses.fields(kind)}
    longest = max((len(values) for values in fields.values()), default=1)
    return [
        kind(**{name: values[n % len(values)] for name, values in fields.items()})
        for n in range(longest)
    ]


@pytest.mark.parametrize("kind", typing.get_args(Facts), ids=lambda kind: kind.__name__)
def test_every_fact_has_plain_sentences(kind):
    causes = ("bad-weights", "bad-statistics", "bad-update")
    facts = made(kind)
    if kind is expressions.AtSingularPoint:
        facts = [dataclasses.replace(fact, points=((0.0,),)) for fact in facts]
    for cause in causes:
        for finding in findings(*facts, cause=cause, tensor="x"):
            for text in (message(finding), arithmetic(finding)):
                assert "None" not in text and "ValuePattern" not in text, text
                assert not text.endswith(".") and "  " not in text, text
            assert message(finding)
            assert remedy(finding) != ""
