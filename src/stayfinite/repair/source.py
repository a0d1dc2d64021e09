"""A Python file as text that can be cut at the positions its syntax tree names.

Syntax trees and code objects count columns in UTF-8 bytes; text is cut by characters. This is the
only place that converts.
"""

from __future__ import annotations
import __future__

import ast
import functools
import io
import keyword
import linecache
import operator
import re
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import TypeVar

_NEWLINE = re.compile(r"\r\n|\r|\n")  # what the tokenizer splits on; str.splitlines does more
_SPACE = " \t\f\r\n\\"
_LAST_WORD = re.compile(r"\w+\Z")

Node = ast.expr | ast.stmt
T = TypeVar("T")


def parse(text: str, filename: str) -> ast.Module:
    """The syntax tree of `text`; its warnings were shown when the program began."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text, filename=filename)


# The bits of `co_flags` that stand for future statements.
_FUTURE = functools.reduce(
    operator.or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)


def future_flags(code: CodeType) -> int:
    """The future statements that `code` was compiled with, as a flag of `compile`.

    A notebook keeps those of an earlier cell, which the text of a later cell does not show.
    """
    return code.co_flags & int(_FUTURE)


def compile_module(code: str | ast.Module, filename: str, flags: int = 0) -> CodeType:
    """The code of a module, with its own future statements and those of `flags`; no warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled: CodeType = compile(code, filename, "exec", flags, dont_inherit=True)
    return compiled


def _restore(table: dict[str, T], key: str, value: T | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value


# Files of which another text is running than that on disk, by the `co_filename` of the code.
_RUNNING: dict[str, SourceFile] = {}


@dataclass(frozen=True)
class TextSpan:
    """A range of source as in `code.co_positions()`: lines from 1, columns in UTF-8 bytes."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class SourceFile:
    """One version of a file: its path, its text as decoded (newlines kept), its encoding.

    Example:
        >>> source = SourceFile("train.py", "y = sqrt(x)\\n")
        >>> source.text_of(source.tree.body[0].value)
        'sqrt(x)'
    """

    path: str
    text: str
    encoding: str = "utf-8"

    @classmethod
    def read(cls, path: str | Path) -> SourceFile:
        """Read `path` as Python would: byte order mark and coding cookie are obeyed.

        Raises:
            OSError: the file cannot be read.
            SyntaxError: its declared encoding is unknown.
        """
        data = Path(path).read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return cls(str(path), data.decode(encoding), encoding)

    def run_as(self, filename: str) -> None:
        """Have this be the source of the running code whose `co_filename` is `filename`."""
        _RUNNING[filename] = self
        lines = list(io.StringIO(self.text, newline=None))
        # Without a time of the file, `linecache` does not read it again.
        linecache.cache[filename] = (len(self.text), None, lines, filename)

    @contextmanager
    def running_as(self, filenames: Iterable[str]) -> Iterator[None]:
        """This is the source of the running code of `filenames` inside the block."""
        names = list(filenames)
        sources = {name: _RUNNING.get(name) for name in names}
        lines = {name: linecache.cache.get(name) for name in names}
        for name in names:
            self.run_as(name)
        try:
            yield
        finally:
            for name in names:
                _restore(_RUNNING, name, sources[name])
                _restore(linecache.cache, name, lines[name])

    @classmethod
    def of(cls, filename: str) -> SourceFile:
        """The source of code whose `co_filename` is `filename`: a file, else what `linecache` has.

        Notebooks and interactive sessions keep the text of a cell in `linecache` only. A file of
        which a patch is running is the patched one.

        Raises:
            OSError: there is no source.
            SyntaxError: the declared encoding of the file is unknown.
        """
        if filename in _RUNNING:
            return _RUNNING[filename]
        try:
            return cls.read(filename)
        except (OSError, ValueError) as error:
            lines = linecache.getlines(filename)
            if not lines:
                raise OSError(f"no source for {filename}") from error
            return cls(filename, "".join(lines))

    def with_text(self, text: str) -> SourceFile:
        """The same file with other text."""
        return SourceFile(self.path, text, self.encoding)

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of the whole file."""
        return parse(self.text, self.path)

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parent of every node but the module."""
        nodes = ast.walk(self.tree)
        return {child: node for node in nodes for child in ast.iter_child_nodes(node)}

    @cached_property
    def newline(self) -> str:
        """The line ending of the file, judged by its first line."""
        found = _NEWLINE.search(self.text)
        return found.group() if found else "\n"

    @cached_property
    def line_starts(self) -> list[int]:
        """The index in `text` at which each line begins."""
        return [0, *(match.end() for match in _NEWLINE.finditer(self.text))]

    def index(self, line: int, column: int) -> int:
        """The index in `text` of a position (line from 1, column in bytes).

        Raises:
            ValueError: the file has no such position.
        """
        if not 1 <= line <= len(self.line_starts):
            raise ValueError(f"{self.path} has {len(self.line_starts)} lines, received line {line}")
        start = self.line_starts[line - 1]
        end = self.line_starts[line] if line < len(self.line_starts) else len(self.text)
        # UnicodeDecodeError, for a column inside a character, is a ValueError too.
        return start + len(self.text[start:end].encode()[:column].decode())

    def span(self, start: int, end: int) -> TextSpan:
        """The span of `text[start:end]`."""
        positions = []
        for index in (start, end):
            line = bisect_right(self.line_starts, index)
            positions += [line, len(self.text[self.line_starts[line - 1] : index].encode())]
        return TextSpan(*positions)

    def range_of(self, node: Node) -> tuple[int, int]:
        """Where `node` begins and ends in `text`."""
        if node.end_lineno is None or node.end_col_offset is None:
            raise ValueError("the node has no end position")
        start = self.index(node.lineno, node.col_offset)
        return start, self.index(node.end_lineno, node.end_col_offset)

    def text_of(self, node: Node) -> str:
        """The text of `node` as the user wrote it, without parentheses around it."""
        start, end = self.range_of(node)
        return self.text[start:end]

    def grouped_range(self, node: Node) -> tuple[int, int]:
        """As `range_of`, with the parentheses that only group `node`.

        Parentheses behind a comment are not seen; that is safe, they then stay where they are.
        """
        start, end = self.range_of(node)
        while True:
            before = self.text[:start].rstrip(_SPACE)
            after = len(self.text) - len(self.text[end:].lstrip(_SPACE))
            if not (before.endswith("(") and self.text.startswith(")", after)):
                return start, end
            caller = before[:-1].rstrip(_SPACE)
            word = _LAST_WORD.search(caller)
            if word and not keyword.iskeyword(word.group()):
                return start, end  # f(x): the parentheses belong to the call
            if not word and caller.endswith((")", "]", "}", '"', "'")):
                return start, end  # f(x)(y), f[0](y)
            start, end = len(before) - 1, after + 1

    def is_grouped(self, node: Node) -> bool:
        """Whether the user put parentheses around `node`."""
        return self.grouped_range(node) != self.range_of(node)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The parents of `node`, innermost first, up to the module."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def expressions_around(self, node: ast.AST) -> Iterator[ast.expr]:
        """The expressions that hold `node` in the same statement and function, innermost first."""
        for parent in self.ancestors(node):
            if isinstance(parent, ast.stmt | ast.Lambda):
                return
            if isinstance(parent, ast.expr):
                yield parent
