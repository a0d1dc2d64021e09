"""One script in a process of its own, as a user runs it, in a folder that is thrown away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from zoo import warm
from zoo.case import BACKENDS
from zoo.pool import Pool

ROOT = Path(__file__).parents[1]
TIMEOUT_SECONDS = 120.0
# Scripts run side by side, and a small network is no faster on many threads.
_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)


@dataclass(frozen=True)
class Environment:
    """One of `case.ALL_BACKENDS`, the interpreter that has it, and how long a script may take.

    With `warm`, the modules of `zoo.warm` are forked from a process that has loaded the library.
    """

    backend: str
    python: str
    timeout: float = TIMEOUT_SECONDS
    warm: Pool | None = None


@dataclass(frozen=True)
class Ran:
    """How a process ended. `exit_code` is None if it was stopped for taking too long."""

    exit_code: int | None
    output: str
    seconds: float

    @property
    def last_line(self) -> str:
        """What it said last; on an error, that is the error."""
        lines = self.output.strip().splitlines()
        return lines[-1].strip()[:200] if lines else ""

    @property
    def trouble(self) -> str | None:
        """Why this is no ordinary end, or None if it is one."""
        if self.exit_code is None:
            return f"did not end within {self.seconds:.0f} s"
        return f"exit code {self.exit_code}: {self.last_line}" if self.exit_code else None


def environment(
    backend: str,
    python: str | None = None,
    timeout: float = TIMEOUT_SECONDS,
    warm: Pool | None = None,
) -> Environment:
    """The given interpreter, or the one that `make test` made for the backend, or this one."""
    made = ROOT / f".venv-test-{backend.removeprefix('plain-')}" / "bin" / "python"
    found = python or (str(made) if made.exists() else sys.executable)
    return Environment(backend, found, timeout, warm)


@contextmanager
def copied(script: Path) -> Iterator[Path]:
    """A copy of a script, alone in a folder of its own; what its run leaves goes with it."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        yield Path(shutil.copy(script, Path(folder).resolve()))


def run(arguments: Sequence[str], on: Environment, folder: Path) -> Ran:
    """`python ARGUMENTS` in `folder`, both streams together, and no longer than it may take."""
    if on.warm is not None and arguments[0] == "-m" and arguments[1] in warm.MODULES:
        return _run_warm(on.warm, arguments, on, folder)
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [on.python, *arguments],
            cwd=folder,
            env=_variables(on.backend, folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        exit_code: int | None = None
        try:
            with suppress(subprocess.TimeoutExpired):
                exit_code = process.wait(on.timeout)
        finally:
            _end(process)
        seconds = time.perf_counter() - began
        output.seek(0)
        return Ran(exit_code, output.read().decode("utf-8", errors="replace"), seconds)


def _run_warm(pool: Pool, arguments: Sequence[str], on: Environment, folder: Path) -> Ran:
    began = time.perf_counter()
    variables = _variables(on.backend, folder)
    with tempfile.NamedTemporaryFile() as output:
        exit_code = pool.run(
            on.python, on.backend, arguments, folder, variables, output.name, on.timeout
        )
        said = output.read().decode("utf-8", errors="replace")
        return Ran(exit_code, said, time.perf_counter() - began)


def _variables(backend: str, folder: Path) -> dict[str, str]:
    own = {
        "ZOO_BACKEND": backend,
        # A keras.json of whoever runs this would change what is trained.
        "KERAS_HOME": str(folder / ".keras"),
        # The stayfinite of this checkout, whatever is installed.
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src"))),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "COLUMNS": "200",
    }
    if backend in BACKENDS:
        own["KERAS_BACKEND"] = backend
    return os.environ | _ONE_THREAD | own


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and the workers that it started, if any are left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
