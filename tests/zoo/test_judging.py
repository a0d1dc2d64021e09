"""Answers, right and wrong in one aspect, held against a case."""

from dataclasses import replace

import pytest

from tests.zoo.answers import CASE, RIGHT
from zoo.answer import Answer
from zoo.guarded import STAYFINITE
from zoo.judging import ASPECTS, judge
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


def test_fix_that_no_machine_can_apply_counts_if_it_is_verified():
    fix = replace(FIX, kind="setting", diff=None, holds=None)
    judgement = judged(replace(RIGHT, fix=fix))
    assert judgement.right["fix"]
    assert judgement.other_fix


def test_what_the_case_does_not_state_is_not_judged():
    judgement = judged(RIGHT, replace(CASE, rows=None, line=None, fix="none"))
    assert set(judgement.right) == {"found", "step", "cause"}
    assert judgement.misses == ()


def test_not_stopped_is_wrong_in_everything_and_told_once():
    judgement = judged(Answer(False, 3.0))
    assert judgement.right == dict.fromkeys(ASPECTS, False)
    assert [miss.received for miss in judgement.misses] == ["trained to the end"]


def test_peer_is_judged_by_what_it_speaks_of():
    judgement = judged(Answer(True, 3.0, step=12, lines=(20,)), tells=TELLS)
    assert judgement.right == {"found": True, "step": True, "line": True}
    assert judgement.misses == ()


def test_step_in_a_loop_that_nobody_counts_is_not_judged():
    judgement = judged(Answer(True, 3.0, step=None, lines=(20,)), tells=TELLS)
    assert set(judgement.right) == {"found", "line"}
