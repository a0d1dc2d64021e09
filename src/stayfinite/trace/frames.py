"""Which frames are the user's own, and which expression a frame is at."""

from __future__ import annotations

import functools
import itertools
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from types import CodeType

from stayfinite.trace.trace import Span

_OURS = Path(__file__).resolve().parents[1]
_INSTALLED = tuple(
    Path(sysconfig.get_paths()[key]).resolve()
    for key in ("stdlib", "platstdlib", "purelib", "platlib")
)


@functools.cache
def is_user_file(filename: str) -> bool:
    """Whether code in `filename` is the user's: not of an installed library, not of stayfinite."""
    if filename.startswith("<") and not filename.startswith("<ipython"):
        return False
    path = Path(filename).resolve()
    if any(path.is_relative_to(folder) for folder in (_OURS, *_INSTALLED)):
        return False
    return not {"site-packages", "dist-packages"}.intersection(path.parts)


def span_at(code: CodeType, instruction: int) -> Span:
    """The expression that `code` was evaluating at byte offset `instruction` (`f_lasti`)."""
    positions = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
    line, end_line, column, end_column = positions or (None, None, None, None)
    line = line or code.co_firstlineno
    return Span(
        file=code.co_filename,
        line=line,
        column=column or 0,
        end_line=end_line or line,
        end_column=end_column or 0,
        function=code.co_qualname,
        code=code,
    )


def user_spans(frames: Iterable[tuple[CodeType, int]]) -> tuple[Span, ...]:
    """The user's expressions among `frames`, in the order given."""
    return tuple(_span_at(code, at) for code, at in frames if is_user_file(code.co_filename))


@functools.lru_cache(maxsize=4096)
def _span_at(code: CodeType, instruction: int) -> Span:
    return span_at(code, instruction)
