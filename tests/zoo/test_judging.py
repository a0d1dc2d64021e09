"""Answers, right and wrong in one aspect, held against a case."""

from dataclasses import replace

import pytest

from tests.zoo.answers import CASE, RIGHT
from zoo.answer import Answer
from zoo.guarded import STAYFINITE
from zoo.judging import ASPECTS, claim_is_right, judge
from zoo.peers.asking import TELLS

FIX = RIGHT.fix


def judged(answer, case=CASE, tells=STAYFINITE.tells):
    return judge(case, "jax", answer, tells)


def test_right_in_everything():
    judgement = judged(RIGHT)
    assert judgement.right == dict.fromkeys(ASPECTS, True)
    assert judgement.misses == ()
    assert not judgement.false_fix and not judgement.other_fix


@pytest.mark.parametrize(
    "wrong, aspect, expected, received",
    [
        ({"step": 11}, "step", "12", "11"),
        ({"lines": (21,)}, "line", "20", "21"),
        ({"lines": ()}, "line", "20", "none of this script"),
        ({"cause": "overflow"}, "cause", "log-of-zero", "overflow: log of 0"),
        ({"rows": (3,)}, "rows", "1, 3", "3"),
        ({"rows": None}, "rows", "1, 3", "none named"),
        ({"fix": None}, "fix", "a verified source fix", "none"),
        (
            {"fix": replace(FIX, verified=False, holds=None)},
            "fix",
            "a verified source fix",
            "a source fix, not verified",
        ),
        ({"trouble": "exit code 0"}, "found", "a stop at the bad step", "exit code 0"),
    ],
)
def test_wrong_in_one_aspect(wrong, aspect, expected, received):
    judgement = judged(replace(RIGHT, **wrong))
    assert [name for name, right in judgement.right.items() if not right] == [aspect]
    (miss,) = judgement.misses
    assert (miss.aspect, miss.expected, miss.received) == (aspect, expected, received)


def test_one_of_several_named_lines_is_enough():
    assert judged(replace(RIGHT, lines=(3, 20, 40))).right["line"]


def test_fix_that_does_not_hold_is_wrong_and_false():
    fix = replace(FIX, holds=False, trouble="non-finite again, at step 13")
    judgement = judged(replace(RIGHT, fix=fix))
    assert judgement.false_fix
    assert judgement.right["fix"] is False
    assert "non-finite again" in judgement.misses[0].received


def test_another_value_is_wrong_where_an_exact_one_exists():
    fix = replace(FIX, same_value=False, difference="loss 1.46, twin 0.836")
    judgement = judged(replace(RIGHT, fix=fix))
    assert [name for name, right in judgement.right.items() if not right] == [
        "same value",
        "claims right",
    ]
    assert [(miss.expected, miss.received) for miss in judgement.misses] == [
        ("that of the twin", "loss 1.46, twin 0.836"),
        ("exact: loss 1.46, twin 0.836", "verified, exact"),
    ]


@pytest.mark.parametrize("value", ["bounded", "undefined"])
def test_any_bound_will_do_where_no_exact_value_exists(value):
    fix = replace(FIX, same_value=False, value=value, verified=value == "bounded")
    right = judged(replace(RIGHT, fix=fix), replace(CASE, value=value)).right
    assert "same value" not in right
    assert right["claims right"]


def test_value_that_cannot_be_compared_is_not_judged():
    fix = replace(FIX, same_value=None, difference="the twin has other weights")
    right = judged(replace(RIGHT, fix=fix)).right
    assert not {"same value", "claims right"} & set(right)


# What the tool says, whether it calls that verified, whether the value is that of the twin, and
# whether the claim is right if that value is exact, a bound, or stands for none.
@pytest.mark.parametrize(
    "value, verified, same, exact, bounded, undefined",
    [
        ("exact", True, True, True, True, True),
        ("exact", True, False, False, False, False),
        ("exact", True, None, None, None, None),
        ("bounded", True, True, False, True, False),
        ("bounded", True, False, False, True, False),
        ("changed", False, False, True, False, False),
        ("changed", False, True, False, False, False),
        ("changed", False, None, None, False, False),
        ("changed", True, False, False, False, False),
        ("undefined", False, False, False, False, True),
        ("undefined", True, True, False, False, False),
        (None, True, True, True, True, True),
        (None, True, False, False, True, False),
        (None, False, False, None, None, None),
    ],
)
def test_claims(value, verified, same, exact, bounded, undefined):
    fix = replace(FIX, value=value, verified=verified, same_value=same)
    kinds = {"exact": exact, "bounded": bounded, "undefined": undefined}
    assert {kind: claim_is_right(replace(CASE, value=kind), fix) for kind in kinds} == kinds


def test_fix_that_no_machine_can_apply_counts_if_it_is_verified():
    fix = replace(FIX, kind="setting", diff=None, holds=None)
    judgement = judged(replace(RIGHT, fix=fix))
    assert judgement.right["fix"]
    assert judgement.other_fix


def test_what_the_case_does_not_state_is_not_judged():
    judgement = judged(RIGHT, replace(CASE, rows=None, line=None, fix="none", value=None))
    assert set(judgement.right) == {"found", "step", "cause"}
    assert judgement.misses == ()


def test_not_stopped_is_wrong_in_everything_and_told_once():
    judgement = judged(Answer(False, 3.0))
    without_a_fix = [a for a in ASPECTS if a not in ("same value", "claims right")]
    assert judgement.right == dict.fromkeys(without_a_fix, False)
    assert [miss.received for miss in judgement.misses] == ["trained to the end"]


def test_peer_is_judged_by_what_it_speaks_of():
    judgement = judged(Answer(True, 3.0, step=12, lines=(20,)), tells=TELLS)
    assert judgement.right == {"found": True, "step": True, "line": True}
    assert judgement.misses == ()


def test_step_in_a_loop_that_nobody_counts_is_not_judged():
    judgement = judged(Answer(True, 3.0, step=None, lines=(20,)), tells=TELLS)
    assert set(judgement.right) == {"found", "line"}
