"""The body of a helper in the place of its call, so that a formula over both can be written there.

`p = chance(net, x)` hides the logits that the body of `chance` reads. With that body in its place,
the lines after it can have `log_sigmoid(logits)`. The helper stays for its other callers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stayfinite.graph.source import Definition
from stayfinite.repair.extraction import Extraction, ExtractionError, Frame, SourceOrigin
from stayfinite.repair.extraction.formulas import as_constant
from stayfinite.repair.extraction.values import named_number
from stayfinite.repair.formula import Node, name_of, replaced, walk
from stayfinite.repair.scope import bound_names
from stayfinite.repair.source import SourceFile
from stayfinite.repair.writing.changes import CannotChangeError, Changes, is_conditional
from stayfinite.repair.writing.text import needed, precedence
from stayfinite.repair.writing.visible import is_free, meaning, same_value

_MAX_STATEMENTS = 4
_STATEMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return)
# What has names of its own, or is not evaluated in the order of the lines.
_REFUSED = (
    *(ast.Lambda, ast.NamedExpr, ast.comprehension, ast.Await, ast.Yield, ast.YieldFrom),
    *(ast.Starred, ast.JoinedStr),
)


@dataclass(frozen=True)
class Inlined:
    """An extraction of the text without a call of a helper, and the formula to be written there.

    `source` is the file with the call.
    """

    source: SourceFile
    extraction: Extraction
    rewritten: Node


def with_bodies(extraction: Extraction, rewritten: Node) -> Iterator[Inlined]:
    """The body of each helper that reads a leaf of `rewritten`, in the place of its call."""
    seen: set[ast.AST] = set()
    for leaf in walk(rewritten):
        origins = extraction.origins.get(leaf, ()) if leaf.op == "leaf" else ()
        caller = origins[0].moment.frame.caller if origins else None
        if caller is None or caller.expression in seen:
            continue
        seen.add(caller.expression)
        body = _body(origins[0].moment.frame, caller)
        if body is None:
            continue
        aliases = {
            str(node.attribute("name")): body.text(first.expression)
            for node, (first, *_) in extraction.origins.items()
            if node.op == "leaf"
            and first.moment.frame.caller is not None
            and first.moment.frame.caller.expression is caller.expression
            and first.text == node.attribute("name")
        }
        renamed = body.renamed(extraction.root)
        changes = body.changes()
        try:
            inlined = extraction.edited(changes.source, changes.after, aliases, renamed)
        except (CannotChangeError, ExtractionError):
            continue
        if inlined is not None:
            for old, new in renamed.items():
                rewritten = replaced(rewritten, old, new)
            yield Inlined(changes.source, inlined, rewritten)


@dataclass(frozen=True)
class _Body:
    """The statements of a helper, and what its names are at the place of its call."""

    source: SourceFile
    caller: SourceOrigin
    statements: tuple[ast.Assign, ...]
    result: ast.expr
    texts: Mapping[str, str]
    given: Mapping[str, ast.expr]

    def renamed(self, root: Node) -> dict[Node, Node]:
        """The numbers of the formula that have the name of a parameter, as the caller has them."""
        found: dict[Node, Node] = {}
        for constant in walk(root):
            expression = self.given.get(name_of(constant) or "")
            if expression is None:
                continue
            number = constant.attribute("value")
            if isinstance(expression, ast.Name | ast.Attribute):
                number = named_number(number, self.source.text_of(expression))
            plain = as_constant(number)
            if plain is not None:
                found[constant] = plain
        return found

    def text(self, node: ast.expr | ast.stmt) -> str:
        """An expression or assignment of the helper in the names of the caller."""
        start, end = self.source.range_of(node)
        found, position = "", start
        names = [x for x in ast.walk(node) if isinstance(x, ast.Name) and x.id in self.texts]
        for name in sorted(names, key=lambda x: (x.lineno, x.col_offset)):
            first, last = self.source.range_of(name)
            new = self.texts[name.id]
            if precedence(new) < needed(self.source.parents.get(name), name):
                new = f"({new})"
            found, position = found + self.source.text[position:first] + new, last
        return found + self.source.text[position:end]

    def changes(self) -> Changes:
        """The edit with the statements before that of the call, and the result in its place."""
        expression = self.caller.expression
        assert isinstance(expression, ast.expr)
        text = self.text(self.result)
        source = self.caller.source
        if precedence(text) < needed(source.parents.get(expression), expression):
            text = text if source.is_grouped(expression) else f"({text})"
        return Changes(source, expression, text, tuple(map(self.text, self.statements)))


def _body(frame: Frame, caller: SourceOrigin) -> _Body | None:
    """The body of `frame`, if it can stand in the place of its call."""
    function, call, source = frame.body, caller.expression, frame.source
    if not isinstance(function, ast.FunctionDef) or not isinstance(call, ast.Call):
        return None
    if source is not caller.source or function.decorator_list or frame.outer is not None:
        return None
    if not isinstance(caller.moment.statement, _STATEMENTS) or is_conditional(source, call):
        return None
    split = _split(source, function)
    arguments = None if split is None else _arguments(source, function, call)
    if split is None or arguments is None:
        return None
    statements, result = split
    texts = _texts(frame, caller, [*statements, result], arguments)
    if texts is None:
        return None
    return _Body(source, caller, statements, result, texts, arguments)


def _split(
    source: SourceFile, function: ast.FunctionDef
) -> tuple[tuple[ast.Assign, ...], ast.expr] | None:
    """The assignments of a helper and what it returns; None for any other body."""
    body = function.body
    if ast.get_docstring(function, clean=False) is not None:
        body = body[1:]
    *first, last = body
    if not isinstance(last, ast.Return) or last.value is None:
        return None
    statements = [each for each in first if isinstance(each, ast.Assign)]
    if len(statements) < len(first) or len(first) > _MAX_STATEMENTS:
        return None
    result = last.value
    while statements and isinstance(result, ast.Name):
        # `p = f(x)` before `return p`.
        before = statements[-1]
        [target] = before.targets if len(before.targets) == 1 else [None]
        if not isinstance(target, ast.Name) or target.id != result.id:
            break
        result = before.value
        statements.pop()
    parts: list[ast.expr | ast.stmt] = [*statements, result]
    for part in parts:
        text = source.text_of(part)
        if "\n" in text or "#" in text or any(isinstance(x, _REFUSED) for x in ast.walk(part)):
            return None
    return tuple(statements), result


def _arguments(
    source: SourceFile, function: ast.FunctionDef, call: ast.Call
) -> dict[str, ast.expr] | None:
    """The expression that each parameter stands for; None where that is not simply written."""
    arguments = function.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        return None
    names = [one.arg for one in arguments.args]
    given: list[ast.expr] = list(call.args)
    if isinstance(source.parents.get(function), ast.ClassDef):
        if not isinstance(call.func, ast.Attribute):
            return None
        given.insert(0, call.func.value)
    if len(given) > len(names) or any(isinstance(one, ast.Starred) for one in given):
        return None
    defaults = arguments.defaults
    found = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            found[one.arg] = default
    found.update(zip(names, given, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None:
            return None
        found[keyword.arg] = keyword.value
    wanted = {*names, *(one.arg for one in arguments.kwonlyargs)}
    return found if found.keys() == wanted else None


def _texts(
    frame: Frame,
    caller: SourceOrigin,
    parts: list[ast.Assign | ast.expr],
    given: dict[str, ast.expr],
) -> dict[str, str] | None:
    """What to write for the names of a helper at the place of its call; None where that fails."""
    source = frame.source
    names = [x for part in parts for x in ast.walk(part) if isinstance(x, ast.Name)]
    loads = [x.id for x in names if isinstance(x.ctx, ast.Load)]
    stored = {x.id for x in names if not isinstance(x.ctx, ast.Load)}
    if stored & given.keys():
        return None
    texts: dict[str, str] = {}
    for name, expression in given.items():
        text = source.text_of(expression)
        if "\n" in text or (loads.count(name) > 1 and not _is_simple(expression)):
            return None
        texts[name] = text
    body = caller.moment.frame.body
    own = set(dict(bound_names(body))) if isinstance(body, Definition) else set[str]()
    for name in sorted(stored):
        free = [
            word
            for word in (name, *(f"{name}_{number}" for number in range(2, 5)))
            if word not in own and is_free(caller.moment, word)
        ]
        if not free:
            return None
        texts[name] = free[0]
    for name in set(loads) - texts.keys():
        if not same_value(meaning(frame, name), _meant(caller, name)):
            return None
    return texts


def _meant(caller: SourceOrigin, name: str) -> object:
    moment = caller.moment
    return moment.scope[name] if name in moment.scope else meaning(moment.frame, name)


def _is_simple(expression: ast.expr) -> bool:
    """Whether an argument may be written more than once."""
    while isinstance(expression, ast.Attribute):
        expression = expression.value
    return isinstance(expression, ast.Name | ast.Constant)
