"""What a training does after a bad step, by its policy."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stayfinite.frameworks import base
from stayfinite.frameworks.failure import Failure, Resumption
from stayfinite.guard.collector import without_full_collections
from stayfinite.guard.policy import Policy
from stayfinite.incident import Incident, Intervention
from stayfinite.live_line import LiveLine

if TYPE_CHECKING:
    from stayfinite.explanation.proved import Explained

# An explanation takes seconds. A skipped step needs none, and the other policies end.
MAX_EXPLAINED_SKIPS = 3
MAX_INTERVENTIONS = 100


@dataclass(frozen=True)
class Decision:
    """The incident of a bad step, and how the training goes on.

    Attributes:
        incident: The incident.
        resumption: None where the training ends.
        reason: Why it ends under a policy that could have let it go on.
    """

    incident: Incident
    resumption: Resumption | None = None
    reason: str | None = None


class Measures:
    """The policy of one training, and what it has done so far.

    Args:
        rebuild: Has every training of the program compiled again.

    Attributes:
        policy: The policy in force.
        made: One intervention for each bad step after which the training went on.
    """

    def __init__(self, rebuild: Callable[[], None]) -> None:
        self.policy = Policy()
        self.made: list[Intervention] = []
        self._rebuild = rebuild
        self._last_bad: int | None = None
        self._num_in_a_row = 0
        self._num_skips = 0

    def begin(self) -> list[Intervention]:
        """Begin a `fit`; returns the list that its interventions are added to."""
        self._num_in_a_row, self._last_bad = 0, None
        self.made = []
        return self.made

    def decide(self, failure: Failure, say: Callable[[str], None]) -> Decision:
        """Explain the bad step as far as the policy needs it; returns how the training goes on.

        `say` is called with a line before an explanation, which takes seconds.
        """
        goes_on = self._goes_on_after(failure.bad.step)
        if goes_on and self.policy.name == "skip":
            return self._skip(failure, say)
        explained = self._explained(failure, say)
        if goes_on and explained.interruption is not None:
            return _interrupted(explained)
        if goes_on and self.policy.name == "repair":
            return self._repair(failure, explained)
        if goes_on and self.policy.name == "rollback":
            return self._roll_back(failure, explained)
        return Decision(explained.incident, reason=self._limit())

    def _limit(self) -> str | None:
        """The limit that ends the training; None under the policy that always ends it."""
        from stayfinite.report.wording import interventions

        if not self.policy.may_go_on:
            return None
        if self._num_in_a_row >= self.policy.max_bad_steps:
            return interventions.too_many_in_a_row(self._num_in_a_row)
        return interventions.too_many(len(self.made))

    def _goes_on_after(self, step: int) -> bool:
        """Count the bad step `step`; whether the policy and its limits let the training go on."""
        follows = self._last_bad is not None and step - self._last_bad in (0, 1)
        self._num_in_a_row = self._num_in_a_row + 1 if follows else 1
        self._last_bad = step
        if self.policy.name != "skip" and len(self.made) >= MAX_INTERVENTIONS:
            return False
        return self.policy.may_go_on and self._num_in_a_row < self.policy.max_bad_steps

    def _skip(self, failure: Failure, say: Callable[[str], None]) -> Decision:
        from stayfinite.report.wording import interventions

        self._num_skips += 1
        if self._num_skips > MAX_EXPLAINED_SKIPS:
            incident = _unexplained(failure)
        else:
            explained = self._explained(failure, say)
            if explained.interruption is not None:
                return _interrupted(explained)
            incident = explained.incident
        return self._made(incident, failure, Resumption(), interventions.SKIPPED)

    def _repair(self, failure: Failure, explained: Explained) -> Decision:
        from stayfinite.report.wording import interventions

        incident = explained.incident
        if incident.fix is None or explained.repair is None:
            return Decision(incident, reason=interventions.NO_SOURCE_FIX)
        if not explained.repair():
            return Decision(incident, reason=interventions.NOT_IN_PLACE)
        self._rebuild()
        action = interventions.repaired(incident)
        return self._made(
            incident, failure, Resumption(failure.bad), action, diff=incident.fix.diff
        )

    def _roll_back(self, failure: Failure, explained: Explained) -> Decision:
        from stayfinite.report.wording import interventions

        incident, remedy = explained.incident, explained.remedy
        if remedy is None:
            return Decision(incident, reason=interventions.NO_REMEDY)
        if remedy.again is not None:
            resumption = Resumption(failure.bad, remedy.again.state, is_whole=True)
            action = interventions.made_again_from(remedy.again.first)
            first = remedy.again.first
            return self._made(incident, failure, resumption, action, resumed_from=first)
        if remedy.change is None and not remedy.samples:
            action = interventions.made_again(incident)
            return self._made(incident, failure, Resumption(failure.bad), action)
        if remedy.change is None:
            batch = base.framework_of(failure.subject).batch(failure.subject, failure.bad.data)
            data = failure.subject.without_samples(batch, remedy.samples)
            again = dataclasses.replace(failure.bad, data=data)
            action = interventions.left_out(remedy.samples)
            return self._made(incident, failure, Resumption(again), action)
        make = failure.subject.lasting(remedy.change)

        def change() -> None:
            make()
            self._rebuild()

        earlier = remedy.earlier
        state, step = (None, failure.bad.step) if earlier is None else (earlier.state, earlier.step)
        resumption = Resumption(failure.bad, state, change)
        action = interventions.rolled_back(incident, step)
        return self._made(incident, failure, resumption, action, resumed_from=step)

    @without_full_collections()
    def _explained(self, failure: Failure, say: Callable[[str], None]) -> Explained:
        # Imported here because a finite training does not need the explanation.
        from stayfinite.explanation.pipeline import explain_failure
        from stayfinite.explanation.stage import ExplanationProgress
        from stayfinite.report.wording import interventions
        from stayfinite.report.wording.progress import progress

        if self.policy.may_go_on:
            say(interventions.working(failure.bad.step))
        at, began = ExplanationProgress(), time.perf_counter()

        def line(width: int) -> str:
            return progress(at.stage, at.num_runs, time.perf_counter() - began, width)

        with LiveLine(sys.stderr, line):
            explained = explain_failure(failure, at)
        if explained.interruption is not None:
            say(explained.interruption)
        return explained

    def _made(
        self,
        incident: Incident,
        failure: Failure,
        resumption: Resumption,
        action: str,
        *,
        diff: str | None = None,
        resumed_from: int | None = None,
    ) -> Decision:
        """Note the intervention, in the incident and its folder, too."""
        from stayfinite.report import folder

        bad = failure.bad
        made = Intervention(
            policy=self.policy.name,
            step=bad.step,
            epoch=bad.epoch,
            batch=bad.batch,
            cause=incident.cause.name,
            action=action,
            resumed_from=bad.step if resumed_from is None else resumed_from,
            diff=diff,
        )
        self.made.append(made)
        incident = dataclasses.replace(incident, intervention=made)
        kept = incident.kept.incident
        return Decision(folder.finish(Path(kept), incident) if kept else incident, resumption)


def _interrupted(explained: Explained) -> Decision:
    from stayfinite.report.wording import interventions

    return Decision(explained.incident, reason=interventions.INTERRUPTED)


def _unexplained(failure: Failure) -> Incident:
    from stayfinite.report import assemble

    return assemble.unexplained(failure)
