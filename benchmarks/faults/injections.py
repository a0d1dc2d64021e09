"""All injections on the backend of `KERAS_BACKEND`, one line of JSON each.

`python -m benchmarks.faults.injections NUM SEED [KIND...]`. This process loads Keras and computes
nothing, so that each training can be forked from it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import IO

import keras  # noqa: F401 - loaded here once, for all trainings

from benchmarks.faults import numbers, processes
from benchmarks.faults.kinds import NUMBERS, PROCESSES
from benchmarks.faults.result import Result


def main(num: int, seed: int, only: list[str]) -> None:
    """Print a line for each injection."""
    answers = os.fdopen(os.dup(1), "w")
    # What the frameworks say is no answer.
    os.dup2(2, 1)

    def is_chosen(name: str) -> bool:
        return not only or any(text in name for text in only)

    of_numbers = [kind for kind in NUMBERS if is_chosen(kind.name)]
    of_processes = [kind for kind in PROCESSES if is_chosen(kind.name)]
    if of_numbers:
        _forked(lambda: numbers.results(of_numbers, num, seed), answers)
    if of_processes:
        _print(processes.results(of_processes, num, seed), answers)


def _forked(results: Callable[[], Iterator[Result]], answers: IO[str]) -> None:
    child = os.fork()
    if child == 0:
        try:
            _print(results(), answers)
            os._exit(0)
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            os._exit(1)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise SystemExit(1)


def _print(results: Iterator[Result], answers: IO[str]) -> None:
    for result in results:
        answers.write(json.dumps(dataclasses.asdict(result)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
