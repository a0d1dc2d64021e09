"""An answer held against what is true of the case."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.answer import Answer, ProposedFix
from zoo.case import Case

ASPECTS = ("found", "step", "line", "cause", "rows", "fix", "same value", "claims right")


@dataclass(frozen=True)
class Miss:
    """One aspect that was wrong, in words."""

    aspect: str
    expected: str
    received: str


@dataclass(frozen=True)
class Judgement:
    """`right` has an entry for each aspect that is judged: those the case states and the tool
    speaks of. `false_fix`: a fix was called verified, and the training does not hold with it.
    """

    case: Case
    backend: str
    answer: Answer
    right: dict[str, bool]
    misses: tuple[Miss, ...]

    @property
    def false_fix(self) -> bool:
        """Whether a fix was called verified with which the training is non-finite all the same."""
        return self.answer.fix is not None and self.answer.fix.holds is False

    @property
    def other_fix(self) -> bool:
        """Whether a fix that counts is of another kind than the expert's."""
        fix = self.answer.fix
        return bool(self.right.get("fix") and fix and fix.kind != self.case.fix)


def judge(case: Case, backend: str, answer: Answer, tells: frozenset[str]) -> Judgement:
    """Every aspect that can be judged. Of a training that nobody stopped, all are wrong."""
    misses = [miss for miss in _misses(case, backend, answer) if miss.aspect in tells]
    wrong = {miss.aspect for miss in misses}
    judged = [aspect for aspect in ASPECTS if aspect in _stated(case, answer) & tells]
    right = {aspect: answer.stopped and aspect not in wrong for aspect in judged}
    misses = [miss for miss in misses if miss.aspect in right]
    if not answer.stopped:  # once is enough to say so
        misses = [Miss("found", "a stop at the bad step", answer.trouble or "trained to the end")]
    return Judgement(case, backend, answer, right, tuple(misses))


def _stated(case: Case, answer: Answer) -> set[str]:
    stated = {"found", "step", "cause"}
    if answer.stopped and answer.step is None:
        stated.remove("step")  # a loop of the user's own, in which nobody counts
    fix = answer.fix
    return stated | {
        aspect
        for aspect, given in (
            ("same value", fix and fix.same_value is not None and case.value == "exact"),
            ("claims right", fix and claim_is_right(case, fix) is not None),
            ("line", case.line is not None),
            ("rows", case.rows is not None),
            ("fix", case.fix != "none"),
        )
        if given
    }


def _misses(case: Case, backend: str, answer: Answer) -> list[Miss]:
    misses = []
    if answer.trouble is not None:
        misses.append(Miss("found", "a stop at the bad step", answer.trouble))
    step = case.step_on(backend)
    if answer.step != step:
        misses.append(Miss("step", str(step), str(answer.step)))
    if case.line not in answer.lines:
        lines = ", ".join(map(str, answer.lines)) or "none of this script"
        misses.append(Miss("line", str(case.line), lines))
    if answer.cause != case.cause:
        misses.append(Miss("cause", case.cause, f"{answer.cause}: {answer.said}"))
    if answer.rows != case.rows:
        misses.append(Miss("rows", _rows(case.rows), _rows(answer.rows)))
    if not _is_proved(case, answer):
        misses.append(Miss("fix", f"a verified {case.fix} fix", _fix(answer)))
    fix = answer.fix
    if fix is not None and fix.same_value is False:
        misses.append(Miss("same value", "that of the twin", str(fix.difference)))
    if fix is not None and claim_is_right(case, fix) is False:
        misses.append(Miss("claims right", f"{case.value}: {_value(fix)}", claimed(fix)))
    return misses


def claim_is_right(case: Case, fix: ProposedFix) -> bool | None:
    """Whether what the tool says about the value of a source fix is true; None if it says nothing
    or if that cannot be judged.

    "Verified" alone says that the fix has the exact value, or bounds one that is infinite.
    """
    if case.value is None or fix.diff is None:
        return None
    if fix.value == "undefined":
        return case.value == "undefined" and not fix.verified
    if fix.value == "bounded":
        return case.value == "bounded"
    if fix.value == "changed":
        if fix.verified or case.value != "exact":
            return False
        return None if fix.same_value is None else not fix.same_value
    if fix.value is None and not fix.verified:
        return None
    if fix.value is None and case.value == "bounded":
        return True
    return fix.same_value


def claimed(fix: ProposedFix) -> str:
    """What the tool says about the value of a fix."""
    return ", ".join(filter(None, ("verified" if fix.verified else "not verified", fix.value)))


def _value(fix: ProposedFix) -> str:
    if fix.same_value is None:
        return f"not comparable, {fix.difference}"
    return "the value of the twin" if fix.same_value else str(fix.difference)


def _is_proved(case: Case, answer: Answer) -> bool:
    """Whether there is a fix that was called verified and, if it is a diff, held when trained.

    Where the formula has no value, no fix can be verified: the guard of the expert then counts.
    """
    fix = answer.fix
    if fix is None or fix.holds is False:
        return False
    is_guard = case.value == fix.value == "undefined" and fix.diff is not None
    return fix.verified or is_guard


def _rows(rows: tuple[int, ...] | None) -> str:
    return "none named" if rows is None else ", ".join(map(str, rows)) or "none"


def _fix(answer: Answer) -> str:
    if answer.fix is None:
        return "none"
    if answer.fix.holds is False:
        return f"verified, but does not hold: {answer.fix.trouble}"
    return f"a {answer.fix.kind} fix, not verified"
