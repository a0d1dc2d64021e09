"""Cells of IPython and of notebooks: their numbers, and the text of those that `%%time` runs.

A cell has a file name, as `/tmp/ipykernel_7/883622951.py` or `<ipython-input-3-0a1b2c>`, and its
text is in `linecache`. One that begins with `%%time` is compiled as `<timed exec>`, without text.
"""

from __future__ import annotations

import ast
import functools
import linecache
import re
import sys
from pathlib import Path
from typing import NamedTuple, Protocol, cast

# What a cell is called whose code is timed: of one expression, of anything else.
TIMED = ("<timed eval>", "<timed exec>")
_MAGIC = re.compile(r"\s*%%time\b[^\n]*\n")
_MAGIC_OF_A_LINE = re.compile(r"^[ \t]*%time\b", re.MULTILINE)
_NUMBER = re.compile(r"In ?\[(\d+)\]")
_NUMBER_IN_NAME = re.compile(r"\bipython-input-(\d+)-")


class _Compiler(Protocol):
    def format_code_name(self, name: str) -> tuple[str, str] | None: ...


class _History(Protocol):
    input_hist_raw: list[str]


class _Shell(Protocol):
    """What is used of the `InteractiveShell` of IPython."""

    compile: _Compiler
    history_manager: _History
    execution_count: int

    def transform_cell(self, raw_cell: str) -> str: ...


class TimedCell(NamedTuple):
    """A cell that is timed: its number, its text below the line `%%time`, the lines above that."""

    number: int
    text: str
    num_lines_above: int


def cell_name(filename: str) -> str | None:
    """`Cell In [3]` for the file name of a cell; None for another file.

    The number is that of the last time that the cell was run, as a notebook shows it.
    """
    number = _number(filename)
    return None if number is None else f"Cell In [{number}]"


def num_lines_above(filename: str) -> int:
    """Lines of the cell of `filename` above the one that its code counts as the first."""
    timed = _timed_cell() if filename in TIMED else None
    return 0 if timed is None else timed.num_lines_above


def keep_timed_text() -> bool:
    """Put the text of the cell that is timed into `linecache`; False where there is none."""
    timed = _timed_cell()
    if timed is None:
        return False
    lines = timed.text.splitlines(keepends=True)
    for name in TIMED:
        # Without a time of the file, `linecache` does not look for one.
        linecache.cache[name] = (len(timed.text), None, lines, name)
    return True


def in_ipython() -> bool:
    """Whether a cell or a line of IPython is at work."""
    return _shell() is not None


def _number(filename: str) -> int | None:
    if filename in TIMED:
        timed = _timed_cell()
        return None if timed is None else timed.number
    shell = _shell()
    found = None
    # IPython 7 has no such method.
    if shell is not None and hasattr(shell.compile, "format_code_name"):
        found = shell.compile.format_code_name(filename)
    number = _NUMBER.fullmatch(found[1]) if found else _NUMBER_IN_NAME.search(filename)
    if number is not None:
        return int(number[1])
    return None if shell is None or Path(filename).exists() else _number_by_text(shell, filename)


def _number_by_text(shell: _Shell, filename: str) -> int | None:
    """The number of the newest input that has the text of `filename`."""
    text = "".join(linecache.getlines(filename)).splitlines()
    inputs = shell.history_manager.input_hist_raw
    for number in range(len(inputs) - 1, 0, -1):
        if text and shell.transform_cell(inputs[number]).splitlines() == text:
            return number
    return None


def _shell() -> _Shell | None:
    """The shell of this process, if it is one of IPython."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else cast("_Shell | None", ipython.get_ipython())


def _timed_cell() -> TimedCell | None:
    """The cell of the code that is called `<timed exec>`."""
    shell = _shell()
    return None if shell is None else _newest_timed_cell(shell.execution_count)


@functools.lru_cache(maxsize=1)
def _newest_timed_cell(_execution_count: int) -> TimedCell | None:
    """The newest that defines a function: all have one name, and a step is made of functions.

    Where none defines one, the newest, unless a single line was timed after it.
    """
    shell = _shell()
    assert shell is not None
    newest: TimedCell | None = None
    line_was_timed = False
    inputs = shell.history_manager.input_hist_raw
    for number in range(len(inputs) - 1, 0, -1):
        magic = _MAGIC.match(inputs[number])
        if magic is None:
            line_was_timed |= _MAGIC_OF_A_LINE.search(inputs[number]) is not None
            continue
        text = shell.transform_cell(inputs[number][magic.end() :])
        timed = TimedCell(number, text, magic[0].count("\n"))
        if _defines_function(text):
            return timed
        if not line_was_timed:
            newest = newest or timed
    return newest


def _defines_function(text: str) -> bool:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    try:
        return any(isinstance(node, kinds) for node in ast.walk(ast.parse(text)))
    except SyntaxError:
        return False
