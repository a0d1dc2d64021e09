"""Texts of expressions, and how tightly they bind."""

from __future__ import annotations

import ast
from dataclasses import dataclass

COMPARE, SUM, PRODUCT, SIGN, POWER, ATOM = range(1, 7)
LEVELS: dict[type[ast.AST], int] = {
    ast.Add: SUM,
    ast.Sub: SUM,
    ast.Mult: PRODUCT,
    ast.Div: PRODUCT,
    ast.FloorDiv: PRODUCT,
    ast.Mod: PRODUCT,
    ast.MatMult: PRODUCT,
    ast.Pow: POWER,
}
_ATOMS = ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.Constant


@dataclass(frozen=True)
class Text:
    """A text and how tightly its outermost operator binds."""

    text: str
    level: int

    def at(self, level: int) -> str:
        """The text where an operator of `level` is next to it."""
        return self.text if self.level >= level else f"({self.text})"


def precedence_of(tree: ast.expr) -> int:
    """How tightly the outermost operator of an expression binds."""
    if isinstance(tree, ast.BinOp):
        return LEVELS.get(type(tree.op), COMPARE)
    if isinstance(tree, ast.UnaryOp):
        return SIGN
    if isinstance(tree, ast.Compare):
        return COMPARE
    return ATOM if isinstance(tree, _ATOMS) else 0


def precedence(text: str) -> int:
    """How tightly the outermost operator of a text binds."""
    return precedence_of(ast.parse(text, mode="eval").body)


def needed(parent: ast.AST | None, child: ast.AST) -> int:
    """The least precedence that a text needs in the place of `child`, not in parentheses."""
    if isinstance(parent, ast.BinOp):
        level = LEVELS.get(type(parent.op), COMPARE)
        if isinstance(parent.op, ast.Pow):
            return ATOM if child is parent.left else SIGN
        return level if child is parent.left else level + 1
    if isinstance(parent, ast.UnaryOp):
        return COMPARE if isinstance(parent.op, ast.Not) else SIGN
    if isinstance(parent, ast.Attribute | ast.Await):
        return ATOM
    if isinstance(parent, ast.Subscript):
        return ATOM if child is parent.value else 0
    if isinstance(parent, ast.Call):
        return ATOM if child is parent.func else 0
    if isinstance(parent, ast.Compare | ast.Starred):
        return SUM
    if isinstance(parent, ast.BoolOp | ast.IfExp | ast.NamedExpr):
        return COMPARE
    return 0


def opposite(text: Text, is_product: bool) -> Text:
    """The text with its sign changed, before the first factor of a product."""
    if is_product and text.level == PRODUCT and text.text[0] != "-":
        return Text(f"-{text.text}", PRODUCT)
    return Text(f"-{text.at(SIGN)}", SIGN)
