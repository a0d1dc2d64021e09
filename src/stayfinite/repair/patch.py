"""A file before and after its repair, and the difference as users and tools read it."""

from __future__ import annotations

import difflib
import io
import re
from dataclasses import dataclass

from stayfinite.repair.edit import Edit
from stayfinite.repair.source import SourceFile

_MARK = "\ufeff"
_BOUND = re.compile(r"(?<![\w.])1e-(\d+)(?![\w.])")
_TIMES_TIGHTER = 8
_MOST_DIGITS = 200  # of the smallest positive number of float64, with room for its root


@dataclass(frozen=True)
class Patch:
    """`original` and the repaired `source` of one file.

    Further edits are made against `source`: find the next expression there.

    Example:
        >>> patch = Patch.start(source).then(edit)
        >>> print(patch.diff("train.py"))
    """

    original: SourceFile
    source: SourceFile

    @classmethod
    def start(cls, source: SourceFile) -> Patch:
        """The patch of `source` that changes nothing yet."""
        return cls(source, source)

    def then(self, edit: Edit) -> Patch:
        """This patch and `edit` after it.

        Raises:
            ValueError: `edit` was made for another version of the file.
        """
        if edit.source != self.source:
            raise ValueError(f"the edit is not of the present text of {self.source.path}")
        return Patch(self.original, self.source.with_text(edit.apply()))

    def line_now(self, line: int) -> int | None:
        """The line that the unchanged line `line` of the original is now; None for another."""
        before, after = _lines(self.original), _lines(self.source)
        blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
        at = line - 1
        return next((b.b + at - b.a + 1 for b in blocks if b.a <= at < b.a + b.size), None)

    def with_tighter_bounds(self) -> Patch | None:
        """This patch with each small bound that it adds, as `1e-12`, far smaller; None without any.

        The bounds are for runs in float64.
        """
        before = self.original.text.splitlines(keepends=True)
        after = self.source.text.splitlines(keepends=True)
        blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        text = "".join(
            "".join(after[low:high])
            if kind == "equal"
            else _with_tighter_bounds("".join(after[low:high]), "".join(before[first:last]))
            for kind, first, last, low, high in blocks
        )
        if text == self.source.text:
            return None
        return Patch(self.original, self.source.with_text(text))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is changed."""
        return self.original.text == self.source.text

    def diff(self, path: str | None = None) -> str:
        """The change as a unified diff, `path` in its header (default: the path of the file).

        `patch -p0 < file` and `git apply -p0` take it. Line endings are those of the file.
        """
        name = path or self.original.path
        if any(character.isspace() for character in name):
            name += "\t"  # ends a name that has spaces in it
        lines = difflib.unified_diff(
            _lines(self.original), _lines(self.source), name, name, lineterm="\n"
        )
        end = "\n\\ No newline at end of file\n"
        return "".join(line if line.endswith("\n") else line + end for line in lines)


def _lines(source: SourceFile) -> list[str]:
    """The lines as diff tools split them: at line feeds only, with a byte order mark shown."""
    text = (_MARK if source.encoding == "utf-8-sig" else "") + source.text
    return list(io.StringIO(text, newline="\n"))


def _with_tighter_bounds(text: str, before: str) -> str:
    """`text`, which replaces the text `before`, with its new bounds far smaller."""
    kept = set(_BOUND.findall(before))

    def tighter(bound: re.Match[str]) -> str:
        if bound[1] in kept:
            return bound[0]
        return f"1e-{min(_TIMES_TIGHTER * int(bound[1]), _MOST_DIGITS)}"

    return _BOUND.sub(tighter, text)
