"""A patch that stays in the running program until it ends."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from stayfinite.repair.live import functions_of
from stayfinite.repair.patch import Patch

# Left when the program ends, while the interpreter can still run what leaves it.
_ENTERED = ExitStack()
atexit.register(_ENTERED.close)


def put_in_place(patch: Patch, in_place: Callable[[], AbstractContextManager[object]]) -> None:
    """Have the program run the patched code from now on, with the patched text as its source.

    What was compiled before has to be compiled again by the caller. The file stays as it is.

    Args:
        patch: The patch.
        in_place: The context in which the program runs the patched code.

    Raises:
        NotSwappableError: the program cannot run it.
        StaleSourceError: the running functions are not those of the original text.
    """
    names = filenames(patch)
    _ENTERED.enter_context(in_place())
    for name in names:
        patch.source.run_as(name)


def filenames(patch: Patch) -> set[str]:
    """The names by which running code calls the file of a patch."""
    path = patch.original.path
    return {path, *(function.__code__.co_filename for function in functions_of(path))}
