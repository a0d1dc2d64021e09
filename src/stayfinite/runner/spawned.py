"""Functions that a program has called in processes of their own, each under the guard.

`torch.multiprocessing.spawn` starts a new interpreter for each process. It imports the script,
which trains nothing by that, and calls the function that it was sent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from stayfinite.runner.run import GuardedRun
from stayfinite.runner.session import RunOptions


@dataclass(frozen=True)
class SpawnedFunction:
    """What a new process calls in the place of a function of the program.

    Attributes:
        function: The function.
        target: The script or the module that was run.
        is_module: Whether it is a module.
        options: Those of the run.
    """

    function: Callable[..., object]
    target: str
    is_module: bool
    options: RunOptions

    def __call__(self, rank: int, *args: object) -> None:
        """Call the function under the guard.

        Raises:
            SystemExit: with code 3, a bad step has ended it.
            BaseException: what it raises.
        """
        call = SpawnedCall(self.function, (rank, *args), self.target, self.is_module)
        code = GuardedRun(call, **self.options, is_spawned=True)()
        if code:
            sys.exit(code)


@dataclass(frozen=True)
class SpawnedCall:
    """One call of a function of the program, as a `Program` of `session.py`."""

    function: Callable[..., object]
    args: tuple[object, ...]
    target: str
    is_module: bool

    def execute(self) -> None:
        """Call it."""
        self.function(*self.args)
