"""Outcomes of the same tests without and with the guard, and what differs."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """One test in one process. `stops` are the causes of the incidents that happened in it."""

    test: str
    outcome: str
    message: str = ""
    num_guarded_steps: int = 0
    stops: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """A test that ended otherwise under guard."""

    test: str
    bare: str
    guarded: str
    message: str
    stops: tuple[str, ...]

    @property
    def is_stop(self) -> bool:
        """Whether the guard stopped a non-finite step of this test, which is what it is for."""
        return bool(self.stops) and "NonFiniteError" in self.message


@dataclass(frozen=True)
class Comparison:
    """All tests of one backend, run twice."""

    num_passed_in_both: int = 0
    num_skipped_in_both: int = 0
    num_failed_in_both: int = 0
    num_tests_with_guarded_steps: int = 0
    num_guarded_steps: int = 0
    failed_in_both: dict[str, list[str]] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    unguarded: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def unexplained(self) -> list[Difference]:
        """The differences that are not the guard's own stop at a non-finite step."""
        return [d for d in self.differences if not d.is_stop]


def read(path: Path) -> dict[str, Outcome]:
    """What the plugin wrote, by test; empty if no test came to an end."""
    if not path.exists():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        outcome = Outcome(**json.loads(line))
        outcome = dataclasses.replace(
            outcome, stops=tuple(outcome.stops), notes=tuple(outcome.notes)
        )
        found[outcome.test] = outcome
    return found


def compare(bare: dict[str, Outcome], guarded: dict[str, Outcome]) -> Comparison:
    """What of `bare` is not the same in `guarded`. A test that is in one only, differs."""
    differences, same = [], []
    for test in sorted(bare | guarded):
        before = bare.get(test, Outcome(test, "not run"))
        after = guarded.get(test, Outcome(test, "not run"))
        if before.outcome == after.outcome:
            same.append(before)
            continue
        message = after.message or before.message
        differences.append(Difference(test, before.outcome, after.outcome, message, after.stops))
    failed = [o for o in same if o.outcome in ("failed", "not collected")]
    return Comparison(
        num_passed_in_both=sum(o.outcome == "passed" for o in same),
        num_skipped_in_both=sum(o.outcome == "skipped" for o in same),
        num_failed_in_both=len(failed),
        num_tests_with_guarded_steps=sum(o.num_guarded_steps > 0 for o in guarded.values()),
        num_guarded_steps=sum(o.num_guarded_steps for o in guarded.values()),
        failed_in_both=_by_reason(failed, guarded),
        differences=tuple(differences),
        unguarded={o.test: o.notes for o in guarded.values() if o.notes},
    )


def _by_reason(failed: list[Outcome], guarded: dict[str, Outcome]) -> dict[str, list[str]]:
    """Tests that failed in both, by what they said; both messages where they are not the same."""
    reasons: dict[str, list[str]] = {}
    for before in failed:
        after = guarded[before.test].message
        said = before.message
        reason = said if said == after else f"{said} (under guard: {after})"
        reasons.setdefault(reason, []).append(before.test)
    return reasons
