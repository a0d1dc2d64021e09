"""A tool asked about the whole zoo on one backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from zoo.answer import Answer
from zoo.case import Case
from zoo.collect import Zoo
from zoo.judging import Judgement, judge
from zoo.running import Environment, copied, run
from zoo.tool import Tool
from zoo.values import with_values


@dataclass(frozen=True)
class Innocent:
    """A training without a fault, under the tool. `plain_seconds` is its time under Python alone,
    None where that was not measured.
    """

    id: str
    kind: Literal["twin", "control"]
    backend: str
    answer: Answer
    plain_seconds: float | None = None

    @property
    def false_alarm(self) -> bool:
        """Whether the tool stopped what it should have let train."""
        return self.answer.stopped


@dataclass
class Score:
    """All that a tool made of the zoo on one backend, in the order of the names."""

    tool: Tool
    backend: str
    judgements: list[Judgement] = field(default_factory=list)
    innocents: list[Innocent] = field(default_factory=list)


Task = Callable[[], Judgement | Innocent]


def tasks(
    zoo: Zoo, tool: Tool, on: Environment, with_plain: bool, with_innocents: bool
) -> list[Task]:
    """One for each script of the zoo that this backend has."""
    found: list[Task] = []
    for case in zoo.cases:
        if on.backend not in case.backends:
            continue
        found.append(_Guilty(case, tool, on))
        if with_innocents and case.twin.exists():
            found.append(_Innocent(f"{case.id}_fixed", "twin", case.twin, tool, on, with_plain))
    for control in zoo.controls if with_innocents else ():
        if on.backend in control.backends:
            found.append(_Innocent(control.id, "control", control.path, tool, on, with_plain))
    return found


@dataclass(frozen=True)
class _Guilty:
    case: Case
    tool: Tool
    on: Environment

    def __call__(self) -> Judgement:
        answer = self.tool.ask(self.case.path, self.on)
        if self.tool.mend is not None:
            answer = self.tool.mend(self.case.path, self.on, answer)
        if "same value" in self.tool.tells:
            answer = with_values(self.case, self.on, answer)
        return judge(self.case, self.on.backend, answer, self.tool.tells)


@dataclass(frozen=True)
class _Innocent:
    id: str
    kind: Literal["twin", "control"]
    path: Path
    tool: Tool
    on: Environment
    with_plain: bool

    def __call__(self) -> Innocent:
        answer = self.tool.ask(self.path, self.on)
        seconds = None
        if self.with_plain:
            with copied(self.path) as copy:
                seconds = run([copy.name], self.on, copy.parent).seconds
        return Innocent(self.id, self.kind, self.on.backend, answer, seconds)


def score_all(
    zoo: Zoo,
    asked: Sequence[tuple[Tool, Environment]],
    num_jobs: int,
    with_plain: bool,
    with_innocents: bool,
    progress: Callable[[int, int, str], None],
) -> list[Score]:
    """Every tool on the backend beside it. `progress` hears how many of how many are done, and what
    came of the last.

    A task waits for its processes and does nothing else, so threads are enough.
    """
    scores = []
    todo: list[tuple[Score, Task]] = []
    for tool, on in asked:
        score = Score(tool, on.backend)
        scores.append(score)
        todo += [(score, task) for task in tasks(zoo, tool, on, with_plain, with_innocents)]
    progress(0, len(todo), "")
    with ThreadPoolExecutor(num_jobs) as pool:
        futures = {pool.submit(task): score for score, task in todo}
        try:
            for num_done, future in enumerate(as_completed(futures), start=1):
                score, result = futures[future], future.result()
                _add(score, result)
                progress(num_done, len(todo), f"{score.tool.name}, {score.backend}: {said(result)}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for score in scores:
        score.judgements.sort(key=lambda judgement: judgement.case.id)
        score.innocents.sort(key=lambda innocent: (innocent.kind, innocent.id))
    return scores


def _add(score: Score, result: Judgement | Innocent) -> None:
    if isinstance(result, Judgement):
        score.judgements.append(result)
    else:
        score.innocents.append(result)


def said(result: Judgement | Innocent) -> str:
    """One result in a line."""
    if isinstance(result, Judgement):
        wrong = [aspect for aspect, right in result.right.items() if not right]
        return f"{result.case.id}: {'wrong: ' + ', '.join(wrong) if wrong else 'all right'}"
    ended = result.answer.trouble or "trained to its end"
    return f"{result.id}: {'false alarm' if result.false_alarm else ended}"
