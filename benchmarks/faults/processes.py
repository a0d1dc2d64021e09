"""Processes killed, interrupted and hindered in writing, and new ones that go on after them.

Every process makes the same training. What it leaves is judged when it has ended; the next one
goes on in the same folder, and the last one has to end with the bits of a training that nothing
has disturbed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults import child, files
from benchmarks.faults.child import CHECKPOINTS, INCIDENTS, Child, Ended, Moment, Plan
from benchmarks.faults.disks import Disk
from benchmarks.faults.kinds import ProcessFault
from benchmarks.faults.result import Result

NUM_STEPS = 40
_NON_FINITE = 3
_INTERRUPTED = 130
_START = re.compile(r"goes on from \S+ after (\d+) steps|had ended after (\d+) steps")
_BYTES = {
    "step": child.STEP,
    "checkpoints": child.CHECKPOINT_ACCESS,
    "incidents": child.INCIDENT_ACCESS,
}
_SIGNALS = {
    "SIGKILL": signal.SIGKILL,
    "SIGTERM": signal.SIGTERM,
    "SIGINT": signal.SIGINT,
}


@dataclass(frozen=True)
class Reference:
    """What processes do that nothing disturbs: their result, and how often they use a folder."""

    result: str
    accesses: dict[str, int]


def results(kinds: Sequence[ProcessFault], num: int, seed: int) -> Iterator[Result]:
    """The injections of `kinds`, of about `num` of all kinds."""
    reference = _reference()
    for kind in kinds:
        generator = random.Random(f"{seed} {kind.name}")
        number = max(1, round(kind.share * num / 500))
        if kind.ends_the_run:
            while number > 0:
                made = list(_chain(kind, generator, reference, number))
                yield from made
                number -= max(1, len(made))
        else:
            for _ in range(number):
                yield _hindered(kind, generator, reference)


def _reference() -> Reference:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ended = _clean(folder)
        result = (folder / "result.json").read_text(encoding="utf-8")
        shutil.rmtree(folder / CHECKPOINTS)
        failed = Child(folder, Plan(bad_step=5)).wait()
    if (ended.exit_code, failed.exit_code) != (0, _NON_FINITE):
        raise RuntimeError(f"the undisturbed processes failed:\n{ended.printed}\n{failed.printed}")
    return Reference(
        result,
        {
            "checkpoints": ended.counts[child.CHECKPOINT_ACCESS],
            "incidents": failed.counts[child.INCIDENT_ACCESS],
        },
    )


def _clean(folder: Path) -> Ended:
    return Child(folder, Plan()).wait()


def _chain(
    kind: ProcessFault, generator: random.Random, reference: Reference, number: int
) -> Iterator[Result]:
    """Up to `number` processes that end at a fault, each going on after the last, and one more."""
    folder = Path(tempfile.mkdtemp())
    results: list[Result] = []
    start = 0
    while len(results) < number and start < NUM_STEPS - 8:
        plan, moment = _drawn(kind, generator, reference, start)
        act = _sender(kind)
        ended = Child(folder, plan).wait(moment, act)
        done = start + ended.counts[child.STEP]
        if plan.bad_step is not None:
            # Where flags are read late, steps are made after the bad one, and count for nothing.
            done = min(done, plan.bad_step)
        start = files.newest_checkpoint(folder / CHECKPOINTS)
        if _ended_by_itself(ended, plan, has_acted=act is None or ended.acted):
            continue
        damaged = _damaged(folder)
        result = Result(
            kind.name,
            num_damaged=len(damaged),
            num_lost=done - start,
            right_exit=_is_right(ended.exit_code, kind),
            detail=f"{plan} {moment}: {damaged}, exit code {ended.exit_code}",
        )
        if not result.right_exit:
            result = dataclasses.replace(result, detail=result.detail + ended.printed[-2000:])
        results.append(result)
    last = _clean(folder)
    went_on = last.exit_code == 0 and _start(last) == start
    same = _is_result(folder, reference)
    shutil.rmtree(folder)
    for result in results:
        detail = result.detail if same else result.detail + last.printed[-2000:]
        yield dataclasses.replace(result, went_on=went_on, same_bits=same, detail=detail)


def _drawn(
    kind: ProcessFault, generator: random.Random, reference: Reference, start: int
) -> tuple[Plan, Moment | None]:
    """A plan and a moment for a process that begins after `start` steps."""
    left = NUM_STEPS - start
    if kind.action == "callback raises":
        return Plan(raise_after=generator.randrange(1, left)), None
    delay = generator.choice((0.0, generator.uniform(0, 0.01)))
    if kind.when == "step":
        return Plan(), Moment(child.STEP, generator.randrange(1, min(left, 20)), delay)
    most = reference.accesses[kind.when]
    moment = Moment(_BYTES[kind.when], generator.randrange(1, max(2, most // 2)), delay)
    if kind.when == "checkpoints":
        return Plan(), moment
    # An explanation takes longer than the files.
    delay = generator.choice((0.0, generator.uniform(0, 0.02), generator.uniform(0, 1)))
    moment = Moment(_BYTES[kind.when], generator.randrange(1, most + 1), delay)
    return Plan(bad_step=start + generator.randrange(2, min(left, 12))), moment


def _sender(kind: ProcessFault) -> Callable[[int], None] | None:
    number = _SIGNALS.get(kind.action)
    return None if number is None else lambda process: os.kill(process, number)


def _ended_by_itself(ended: Ended, plan: Plan, *, has_acted: bool) -> bool:
    """Whether a process came to its end before the fault, or Python ignored the signal."""
    if not has_acted:
        return True
    if "explanation interrupted" in ended.printed:
        return False
    by_itself = 0 if plan.bad_step is None else _NON_FINITE
    is_over = "read: stayfinite rule" in ended.printed or plan.bad_step is None
    return ended.exit_code == by_itself and (is_over or "Exception ignored in" in ended.printed)


def _is_right(exit_code: int | None, kind: ProcessFault) -> bool:
    """Whether a process that a fault ended has one of the exit codes that are documented."""
    if kind.action not in _SIGNALS:
        return exit_code == 1
    if kind.action == "SIGINT" and exit_code == _INTERRUPTED:
        return True  # before the script began, or a second time
    if kind.action == "SIGINT" and kind.when == "incidents" and exit_code == _NON_FINITE:
        return True  # Ctrl-C ends the explanation, and the report has what was known
    return exit_code == -_SIGNALS[kind.action]


def _start(ended: Ended) -> int:
    found = _START.search(ended.printed)
    return 0 if found is None else int(found[1] or found[2])


def _hindered(kind: ProcessFault, generator: random.Random, reference: Reference) -> Result:
    """A process that has to go on in spite of the fault, and one after it without the fault."""
    folder = Path(tempfile.mkdtemp())
    bad_step = generator.randrange(3, NUM_STEPS - 5) if kind.when == "incidents" else None
    plan, moment, act, disk = Plan(bad_step=bad_step), None, None, None
    name = CHECKPOINTS if kind.when == "checkpoints" else INCIDENTS
    number = generator.randrange(1, reference.accesses[kind.when] + 1)
    moment = Moment(_BYTES[kind.when], number, generator.uniform(0, 0.003))
    others: list[Child] = []
    match kind.action:
        case "slow disk":
            plan = dataclasses.replace(plan, slowness=generator.uniform(0.001, 0.02))
        case "disk full":
            size = 4096 * generator.randrange(1, 20)
            disk = Disk(folder / name, size)
            if not disk.is_mounted:
                plan = dataclasses.replace(plan, max_file_bytes=size + 4096)
        case "read-only":
            disk = Disk(folder / name)
            act = _ignoring_process(disk.make_read_only)
        case "folder deleted":
            act = _ignoring_process(lambda: shutil.rmtree(folder / name, ignore_errors=True))
        case "two runs":
            others = [Child(folder, dataclasses.replace(plan, run_file="other.json"))]
            time.sleep(generator.choice((0.0, generator.uniform(0, 1))))
    ended = Child(folder, plan).wait(moment, act)
    codes = [ended.exit_code, *(other.wait().exit_code for other in others)]
    damaged = _damaged(folder)
    if kind.action == "folder deleted":
        # The deletion goes file by file beside the run; a file that it took is not damaged.
        damaged = [why for why in damaged if FileNotFoundError.__name__ not in why]
    expected = 0 if bad_step is None else _NON_FINITE
    noticed = None
    if bad_step is not None:
        noticed = _noticed(folder / "run.json", ended, bad_step)
    same = True
    if bad_step is None:
        same = _is_result(folder, reference)
        (folder / "result.json").unlink(missing_ok=True)
    if disk is not None:
        disk.mend()
    last = _clean(folder)
    same = same and _is_result(folder, reference)
    result = Result(
        kind.name,
        has_effect=None if bad_step is None else True,
        noticed=noticed,
        num_late=None if bad_step is None else 0,
        num_damaged=len(damaged),
        went_on=last.exit_code == 0,
        right_exit=all(code == expected for code in codes),
        same_bits=same,
        detail=f"{plan} {moment}: {damaged}, exit codes {codes}",
    )
    if not (result.right_exit and same and result.went_on):
        result = dataclasses.replace(
            result, detail=result.detail + ended.printed[-3000:] + last.printed[-2000:]
        )
    if disk is not None:
        disk.delete()
    shutil.rmtree(folder, ignore_errors=True)
    return result


def _ignoring_process(act: Callable[[], None]) -> Callable[[int], None]:
    return lambda process: act()


def _noticed(run_file: Path, ended: Ended, bad_step: int) -> bool:
    """Whether the run file has the step that was bad, explained in spite of the fault."""
    incidents = json.loads(run_file.read_text(encoding="utf-8"))["incidents"]
    steps = [incident["where"]["step"] for incident in incidents]
    causes = [incident["cause"]["name"] for incident in incidents]
    return (steps, causes) == ([bad_step - _start(ended)], ["bad-target"])


def _damaged(folder: Path) -> list[str]:
    return [
        *files.damaged_checkpoints(folder / CHECKPOINTS),
        *files.damaged_incidents(folder / INCIDENTS),
        *files.damaged_model(folder / "model.weights.h5"),
        *files.damaged_json(folder / "run.json"),
        *files.damaged_json(folder / "other.json"),
    ]


def _is_result(folder: Path, reference: Reference) -> bool:
    path = folder / "result.json"
    return path.exists() and path.read_text(encoding="utf-8") == reference.result
