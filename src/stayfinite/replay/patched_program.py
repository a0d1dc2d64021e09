"""Run a program with a patched copy of one of its files; the file itself is not changed."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from stayfinite.errors import UsageError
from stayfinite.repair.source import SourceFile

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")
_DIGITS = 9


@dataclass
class PatchedFile:
    """A file of the program and the text that is run in its place.

    Attributes:
        path: The resolved path of the file.
        source: The patched text.
        was_run: Whether the patched text has been run.
    """

    path: Path
    source: SourceFile
    was_run: bool = False

    @property
    def content(self) -> bytes:
        """The patched text, encoded as the file is."""
        return self.source.text.encode(self.source.encoding)

    def in_place(self, named: str) -> None:
        """Have this process run the patched text wherever the file is imported or run.

        Args:
            named: The path of the script as the program will see it.
        """
        sys.meta_path.insert(0, _PatchedFinder(self))
        for name in {str(self.path), named, str(Path(named).resolve())}:
            if Path(name).resolve() == self.path:
                # TensorFlow compiles functions from the lines of their source.
                self.source.run_as(name)


def patched_file(diff: str, script: str) -> PatchedFile:
    """The file that a diff of an incident is of, with the diff applied to a copy in memory.

    It is the script where the diff fits its text, else the file that the diff names. So a script
    that was moved or renamed is patched, whether or not the original is still there.

    Args:
        diff: A unified diff of one file.
        script: The script, which the diff may name by another path.

    Raises:
        UsageError: there is no such file, or it is not the text that the diff was made of.
    """
    lines = _lines(diff)
    if len(lines) < 3 or not lines[0].startswith("--- "):
        raise UsageError("--change source: the diff of the incident is damaged")
    named, beside = Path(lines[0][4:].rstrip("\r\n").rstrip("\t")), Path(script)
    with contextlib.suppress(OSError, SyntaxError, ValueError):
        found = _patched(beside, lines[2:])
        if found is not None:
            return found
    path = beside if not named.is_file() and named.name == beside.name else named
    try:
        found = _patched(path, lines[2:])
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"--change source: {path}: {error}; run it where the script ran") from None
    if found is None:
        raise UsageError(
            f"--change source: {path} is not the text that the diff was made of; it may have been "
            "changed since, so run replay without this change"
        )
    return found


def _patched(path: Path, diff: list[str]) -> PatchedFile | None:
    """The file with the hunks of a diff; None where one does not fit.

    Raises:
        OSError: it cannot be read.
        SyntaxError: its declared encoding is unknown.
        ValueError: it is not text.
    """
    source = SourceFile.read(path)
    text = _applied(source.text, diff)
    return None if text is None else PatchedFile(path.resolve(), source.with_text(text))


def _applied(text: str, diff: list[str]) -> str | None:
    """`text` with the hunks of a diff; None where one does not fit."""
    mark = "\ufeff"
    before = _lines(text)
    after: list[str] = []
    position = 0
    for line in diff:
        kind, content = line[:1], line[1:].removeprefix(mark)
        hunk = _HUNK.match(line)
        if hunk is not None:
            if len(hunk[1]) > _DIGITS:
                return None
            # A hunk without old lines names the line after which it begins.
            start = int(hunk[1]) - (hunk[2] != "0")
            if not position <= start <= len(before):
                return None
            after += before[position:start]
            position = start
        elif kind == "+":
            after.append(content)
        elif kind == "\\":  # the line before has no line feed
            after = [*after[:-1], after[-1].removesuffix("\n")] if after else after
        else:
            if position >= len(before) or before[position].rstrip("\r\n") != content.rstrip("\r\n"):
                return None
            if kind == " ":
                after.append(before[position])
            position += 1
    return "".join([*after, *before[position:]])


def _lines(text: str) -> list[str]:
    """The lines as diff tools see them: split at line feeds only."""
    return list(io.StringIO(text, newline="\n"))


class _PatchedFinder(importlib.abc.MetaPathFinder):
    """Finds the module of the patched file where Python would find it, with another loader."""

    def __init__(self, patched: PatchedFile) -> None:
        self._patched = patched

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or not spec.has_location or spec.origin is None:
            return None
        if Path(spec.origin).resolve() != self._patched.path:
            return None
        spec.loader = _PatchedLoader(fullname, spec.origin, self._patched)
        return spec


class _PatchedLoader(SourceFileLoader):
    """Loads a module from a text, and never from its cached bytecode."""

    def __init__(self, name: str, path: str, patched: PatchedFile) -> None:
        super().__init__(name, path)
        self._patched = patched

    def get_code(self, fullname: str) -> CodeType:
        source = self._patched.source
        source.run_as(self.path)
        self._patched.was_run = True
        return compile(source.text, self.path, "exec", dont_inherit=True)
