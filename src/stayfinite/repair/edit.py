"""A change of one version of a file, as pieces of text to put in the place of others."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from stayfinite.repair.edit_facts import EditFact, TemplateFact
from stayfinite.repair.source import SourceFile


@dataclass(frozen=True, order=True)
class Replacement:
    """Put `text` in the place of `[start:end]`; an insertion where both are equal."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Edit:
    """One proposed repair of `source`.

    `kind` names the rewrite, and `num_places` says how many expressions are changed in the same
    way.
    """

    source: SourceFile
    kind: str
    replacements: tuple[Replacement, ...]
    num_places: int = 1

    def apply(self) -> str:
        """The text of the file after the edit."""
        return apply(self.source.text, self.replacements)


@dataclass(frozen=True, kw_only=True)
class TemplateEdit(Edit):
    """A proposed repair by a template: what it does, and the function of its places."""

    does: EditFact
    function: str | None = None

    @property
    def fact(self) -> TemplateFact:
        """What it does, without the text of the file."""
        return TemplateFact(self.does, self.num_places, self.function)


def overlap(replacements: Iterable[Replacement]) -> bool:
    """Whether two of the pieces touch the same text, or insert at the same place."""
    ordered = sorted(replacements)
    return any(
        right.start < left.end or right.start == left.start for left, right in pairwise(ordered)
    )


def apply(text: str, replacements: Iterable[Replacement]) -> str:
    """`text` with all pieces replaced; positions are those of the original text."""
    ordered = sorted(replacements)
    if overlap(ordered):
        raise ValueError("the replacements overlap")
    for piece in reversed(ordered):
        text = text[: piece.start] + piece.text + text[piece.end :]
    return text


def insert_imports(source: SourceFile, node: ast.AST, lines: Iterable[str]) -> list[Replacement]:
    """Add import lines behind the last import above the code that holds `node`."""
    wanted = list(lines)
    if not wanted:
        return []
    start = _import_place(source, node)
    text = "".join(line + source.newline for line in wanted)
    return [Replacement(start, start, text)]


def _import_place(source: SourceFile, node: ast.AST) -> int:
    """Behind the last import above the code that holds `node`, else before the first statement."""
    body = source.tree.body
    top = next((n for n in (node, *source.ancestors(node)) if n in body), None)
    above = body[: body.index(top)] if isinstance(top, ast.stmt) else []
    heads = [s for s in above if isinstance(s, ast.Import | ast.ImportFrom) or _is_text(s)]
    if heads:
        line = heads[-1].end_lineno or heads[-1].lineno
    else:
        decorators: list[ast.expr] = getattr(body[0], "decorator_list", [])
        line = min([body[0].lineno, *(decorator.lineno for decorator in decorators)]) - 1
    return source.line_starts[line]


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a bare string, such as the docstring."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
