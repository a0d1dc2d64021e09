"""Count the tensors of a file in a process of its own.

HDF5 is a library in C. On some damaged files it never returns, or ends the process.
"""

from __future__ import annotations

import dataclasses
import json
import operator
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stayfinite.errors import UsageError
from stayfinite.files import limits

if TYPE_CHECKING:
    from stayfinite.checkpoints.counting import TensorCount


def counts_of(path: Path) -> list[TensorCount]:
    """`stayfinite.verify`, in another process where the system has `fork`.

    Raises:
        UsageError: As `stayfinite.verify`, and where the process ended or took too long.
    """
    from stayfinite.checkpoints.counting import TensorCount, verify

    if sys.platform == "win32":
        return verify(path)
    answer, status = _forked(lambda: _answer(path))
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        reason = (
            "reading it takes too long"
            if number == signal.SIGXCPU
            else f"reading it ended the process ({signal.Signals(number).name})"
        )
        raise UsageError(f"{path}: cannot be read as a {path.suffix} file: {reason}")
    if status:
        raise RuntimeError(f"{path}: the process that reads it ended with {status}")
    found = json.loads(answer)
    if isinstance(found, str):
        raise UsageError(found)
    return [TensorCount(*count) for count in found]


def _answer(path: Path) -> str:
    """The counts as JSON, or the message of the error."""
    from stayfinite.checkpoints.counting import TensorCount, verify

    values = operator.attrgetter(*(field.name for field in dataclasses.fields(TensorCount)))
    try:
        _limit_time(path)
        # `dataclasses.astuple` copies each value, which takes seconds for 100,000 tensors.
        return json.dumps(list(map(values, verify(path))))
    except UsageError as error:
        return json.dumps(str(error))


def _limit_time(path: Path) -> None:
    import resource

    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        return  # it cannot be read at all
    seconds = min(limits.SECONDS + size // limits.BYTES_A_SECOND, sys.maxsize)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _forked(work: Callable[[], str]) -> tuple[bytes, int]:
    """Run `work` in a forked process; its result, and how the process ended."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns where libraries have threads; none of them is used in `work`.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as file:
                file.write(work().encode())
        except BaseException:
            # The caller's own code must not run twice, whatever happens here.
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        answer = file.read()
    return answer, os.waitpid(child, 0)[1]
