"""A training in a process of its own, forked from one that has loaded Keras and computed nothing.

The child writes one byte into a pipe for each step (`s`) and for each access to the folder of its
checkpoints (`c`) or incidents (`i`), so its parent can act at a moment that it chooses.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from zoo.forked import run_and_end

CHECKPOINTS, INCIDENTS = "checkpoints", "stayfinite-out"
STEP, CHECKPOINT_ACCESS, INCIDENT_ACCESS = "s", "c", "i"
_SCRIPT = str(Path(__file__).with_name("script.py"))
_TIMEOUT = 300.0


@dataclass(frozen=True)
class Plan:
    """What a child does.

    Attributes:
        bad_step: The step that is not finite; None for none.
        raise_after: Steps after which a callback raises; None for none.
        slowness: Seconds that each access to one of the folders takes longer.
        max_file_bytes: Largest size of a file; None for no limit.
        run_file: Name of the run file.
    """

    bad_step: int | None = None
    raise_after: int | None = None
    slowness: float = 0.0
    max_file_bytes: int | None = None
    run_file: str = "run.json"


@dataclass(frozen=True)
class Ended:
    """A child that has ended.

    `counts` has the number of each byte, `acted` is whether the parent has acted, `exit_code` is
    negative for a signal and None where the time was up.
    """

    exit_code: int | None
    counts: Counter[str]
    acted: bool
    printed: str


@dataclass(frozen=True)
class Moment:
    """When a parent acts: `delay` seconds after the `number`-th byte `kind`."""

    kind: str
    number: int
    delay: float


class Child:
    """One training in `folder`, started at once."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._printed = folder / f"printed-{time.monotonic_ns()}.txt"
        self._pipe, other_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._pipe)
            _become(folder, plan, other_end, self._printed)
        os.close(other_end)

    def wait(self, moment: Moment | None = None, act: Callable[[int], None] | None = None) -> Ended:
        """Wait for its end; at `moment`, call `act` with the number of the process."""
        counts: Counter[str] = Counter()
        acted, until = False, time.monotonic() + _TIMEOUT
        while time.monotonic() < until:
            if not select.select([self._pipe], [], [], 1.0)[0]:
                continue
            data = os.read(self._pipe, 1 if not acted and act is not None else 4096)
            if not data:
                break
            counts.update(data.decode())
            if moment is None or act is None or acted:
                continue
            if counts[moment.kind] >= moment.number:
                time.sleep(moment.delay)
                act(self.pid)
                acted = True
        else:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self._pipe)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        printed = self._printed.read_text(encoding="utf-8", errors="replace")
        return Ended(code if time.monotonic() < until else None, counts, acted, printed)


def _become(folder: Path, plan: Plan, progress: int, printed: Path) -> NoReturn:
    """Run the training in this process, and end it."""

    def program() -> int:
        os.setsid()
        # A job in the background ignores it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        output = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(output, stream)
        if plan.max_file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (plan.max_file_bytes,) * 2)
        _watch_folders(folder, progress, plan.slowness)
        return _run(plan, progress)

    run_and_end(program)


def _run(plan: Plan, progress: int) -> int:
    from stayfinite.cli import main

    settings = {
        "progress": progress,
        "bad_step": plan.bad_step,
        "raise_after": plan.raise_after,
    }
    return main(
        ["run", "--keep", INCIDENTS, "--json", plan.run_file, _SCRIPT, json.dumps(settings)]
    )


def _watch_folders(folder: Path, progress: int, slowness: float) -> None:
    """Report each access to the folders of checkpoints and incidents, and make it slower."""
    kinds = {
        os.fspath(folder / CHECKPOINTS): CHECKPOINT_ACCESS,
        os.fspath(folder / INCIDENTS): INCIDENT_ACCESS,
    }

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if not event.startswith(("open", "os.", "shutil.")) or not arguments:
            return
        path = arguments[0]
        if not isinstance(path, str | os.PathLike):
            return
        name = os.path.join(folder, os.fspath(path))  # noqa: PTH118 - much faster, for each event
        for begin, kind in kinds.items():
            if name.startswith(begin):
                os.write(progress, kind.encode())
                time.sleep(slowness)

    sys.addaudithook(hook)
