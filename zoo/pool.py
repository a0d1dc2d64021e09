"""The warm processes of a score: as many as there are jobs, each used by one job at a time."""

from __future__ import annotations

import atexit
import json
import queue
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO


class WarmProcess:
    """One `python -m zoo.warm`; see there."""

    def __init__(self, python: str, variables: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "zoo.warm"],
            cwd=Path(__file__).parents[1],  # where `python -m` finds this package
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL,
            text=True,
        )
        atexit.register(self._end)

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        variables: Mapping[str, str],
        output: str,
        timeout: float,
    ) -> int | None:
        """The exit code of `python ARGUMENTS` in `folder`; None where the time was up.

        Raises:
            OSError: the process has ended.
        """
        request = {
            "arguments": list(arguments),
            "folder": str(folder),
            "variables": dict(variables),
            "output": output,
            "timeout": timeout,
        }
        to, of = _open(self._process.stdin), _open(self._process.stdout)
        to.write(json.dumps(request) + "\n")
        to.flush()
        line = of.readline()
        if not line:
            raise OSError(f"the warm process ended with {self._process.wait()}")
        code: int | None = json.loads(line)["exit_code"]
        return code

    def _end(self) -> None:
        # Leaving the context closes the pipes and waits for the process.
        with self._process:
            self._process.kill()


class Pool:
    """Warm processes by interpreter and backend, made when there is no idle one."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], queue.SimpleQueue[WarmProcess]] = {}

    def run(
        self,
        python: str,
        backend: str,
        arguments: Sequence[str],
        folder: Path,
        variables: Mapping[str, str],
        output: str,
        timeout: float,
    ) -> int | None:
        """As `WarmProcess.run`, in a process that nobody else is using."""
        idle = self._idle.setdefault((python, backend), queue.SimpleQueue())
        try:
            process = idle.get_nowait()
        except queue.Empty:
            process = WarmProcess(python, variables)
        code = process.run(arguments, folder, variables, output, timeout)
        idle.put(process)
        return code


def _open(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise OSError("the warm process has no pipe")
    return pipe
