"""A statement of PyTorch in float32, outside of the `torch.autocast` around it.

Inside of `autocast`, products of matrices cast their operands to half precision again.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from stayfinite.repair.edit import Replacement
from stayfinite.repair.edit_facts import ComputedInFloat32, WidePart
from stayfinite.repair.rewrites.site import Site, Template
from stayfinite.repair.scope import Scope

_STATEMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)
_NUMBERS = frozenset({"float", "int", "len", "round", "bool"})
_METHODS_OF_NUMBERS = frozenset({"item", "size", "dim", "numel"})
_INDENT = "    "


def without_autocast(site: Site) -> Iterator[Template]:
    """The statement around the operation in a block without `autocast`, with float32 operands."""
    around = (n for n in site.source.ancestors(site.node) if isinstance(n, ast.stmt))
    statement = next(around, None)
    torch = next((n for n in site.scope.names if site.scope.path_of_name(n) == "torch"), None)
    if site.api.family != "torch" or torch is None or not isinstance(statement, _STATEMENTS):
        return
    operands = [] if statement.value is None else list(_operands(site, statement.value))
    if not operands or not _is_alone(site, statement):
        return
    starts = site.source.line_starts
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    outer = site.source.text[starts[first - 1] : site.source.range_of(statement)[0]]
    block = f"{outer}with {torch}.autocast({operands[0].id}.device.type, enabled=False):"
    pieces = [
        Replacement(starts[first - 1], starts[first - 1], block + site.source.newline + _INDENT)
    ]
    pieces += [
        Replacement(starts[n - 1], starts[n - 1], _INDENT) for n in range(first + 1, last + 1)
    ]
    pieces += [site.replace(operand, site.calls.float32(operand.id)) for operand in operands]
    does = ComputedInFloat32(WidePart.STATEMENT_WITHOUT_AUTOCAST)
    yield site.rewrite("island", does, pieces)


def is_number(scope: Scope, call: ast.Call) -> bool:
    """Whether a call gives a number of Python, as `math.sqrt(width)` and `x.size(0)`."""
    path = scope.path(call.func)
    if path is not None:
        return path.rpartition(".")[0] == "math"
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in _METHODS_OF_NUMBERS
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    return name in _NUMBERS and name not in scope.taken


def _is_alone(site: Site, statement: ast.stmt) -> bool:
    """Whether no other statement is on its lines, and no text goes over several of them."""
    source = site.source
    start, end = source.range_of(statement)
    before = source.text[source.line_starts[statement.lineno - 1] : start]
    behind = source.text[end:].partition("\n")[0].strip()
    texts = (n for n in ast.walk(statement) if isinstance(n, ast.Constant | ast.JoinedStr))
    is_one_line = all(text.lineno == text.end_lineno for text in texts)
    return not before.strip() and (not behind or behind.startswith("#")) and is_one_line


def _operands(site: Site, node: ast.expr) -> Iterator[ast.Name]:
    """The variables of the program that go into `node` as tensors."""
    if isinstance(node, ast.Name):
        is_known = site.scope.path_of_name(node.id) is not None or hasattr(builtins, node.id)
        if not is_known and node.id not in ("self", "cls"):
            yield node
    elif isinstance(node, ast.BinOp):
        yield from _operands(site, node.left)
        yield from _operands(site, node.right)
    elif isinstance(node, ast.UnaryOp):
        yield from _operands(site, node.operand)
    elif isinstance(node, ast.Subscript | ast.Attribute):
        yield from _operands(site, node.value)
    elif isinstance(node, ast.Call) and not is_number(site.scope, node):
        if isinstance(node.func, ast.Attribute):
            yield from _operands(site, node.func.value)
        for argument in node.args:
            yield from _operands(site, argument)
