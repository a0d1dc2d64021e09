"""A name for what a call gives, so that a rewritten formula can read it in another place.

`p = softmax(net(x))` hides the logits: the network cannot be called twice. With a line `logits =
net(x)` before it, the lines after it can have `log_softmax(logits)`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.repair.extraction import Extraction, ExtractionError, Moment, SourceOrigin
from stayfinite.repair.extraction.syntax import place_of
from stayfinite.repair.formula import Node, walk
from stayfinite.repair.source import SourceFile
from stayfinite.repair.writing.changes import CannotChangeError, Changes, is_conditional
from stayfinite.repair.writing.visible import is_free

_PROBABILITIES = ("sigmoid", "softmax", "log_sigmoid", "log_softmax")
_STATEMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return)


def with_names(extraction: Extraction, rewritten: Node) -> Iterator[tuple[SourceFile, Extraction]]:
    """For each leaf of `rewritten` that can be given a name, the file and the extraction with it.

    The file is that without the name.
    """
    for leaf in walk(rewritten):
        changes = _naming(extraction, leaf) if leaf.op == "leaf" else None
        if changes is None:
            continue
        try:
            named = extraction.edited(changes.source, changes.after)
        except (CannotChangeError, ExtractionError):
            continue
        if named is not None:
            yield changes.source, named


def _naming(extraction: Extraction, leaf: Node) -> Changes | None:
    """The edit that names the value of a leaf where it is computed."""
    origins = [o for o in extraction.origins.get(leaf, ()) if isinstance(o.expression, ast.Call)]
    if len(origins) != 1 or not _may_move(extraction, origins[0]):
        return None
    [origin] = origins
    expression = origin.expression
    assert isinstance(expression, ast.Call)
    name = _name(extraction, leaf, origin.moment)
    return Changes(origin.source, expression, name, (f"{name} = {origin.text}",))


def _may_move(extraction: Extraction, origin: SourceOrigin) -> bool:
    """Whether a call is evaluated once, and can stand in a line before its statement."""
    source, statement = origin.source, origin.moment.statement
    if place_of(source, origin.expression) in extraction.pure_calls or "\n" in origin.text:
        return False
    if not isinstance(statement, _STATEMENTS) or statement.value is origin.expression:
        return False
    return not is_conditional(source, origin.expression)


def _name(extraction: Extraction, leaf: Node, moment: Moment) -> str:
    users = [node.op for node in walk(extraction.root) if leaf in node.operands]
    words = ["logits"] if any(op in _PROBABILITIES for op in users) else []
    words += ["outputs", *(f"outputs_{number}" for number in range(2, 9))]
    return next((word for word in words if is_free(moment, word)), words[-1])
