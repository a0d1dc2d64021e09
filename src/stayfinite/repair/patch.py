"""A file before and after its repair, and the difference as users and tools read it."""

from __future__ import annotations

import difflib
import io
from dataclasses import dataclass

from stayfinite.repair.edit import Edit
from stayfinite.repair.source import SourceFile

_MARK = "\ufeff"


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
