"""Interprets the user's functions: Python values are computed, tensors become nodes.

Code that is not understood does not end the run: an unknown call is a leaf with its recorded value,
an unknown statement binds its names to unknown values.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from stayfinite.repair.extraction.expressions import value_of
from stayfinite.repair.extraction.run import GivesUpError, Run
from stayfinite.repair.extraction.statements import returned
from stayfinite.repair.extraction.values import Frame, Pending, Tensor
from stayfinite.repair.formula import Node

_MAX_DEPTH = 40


@dataclass
class Interpreter(Run):
    """One run over a function and what it calls, and what that returned."""

    returned: object = None

    def roots(self) -> list[Node]:
        """What the run gave to `add_loss`, what it returned, then what it gave to other code."""
        values = (*self.sinks, self.returned, *self.given_away)
        return list(dict.fromkeys(node for value in values for node in tensors_in(value)))

    def evaluate(self, expression: ast.expr, frame: Frame) -> object:
        """The value of an expression."""
        self.count()
        value = value_of(self, expression, frame)
        self.remember(expression, value)
        return value

    def call(self, frame: Frame) -> object:
        """What the body of `frame` returns.

        Raises:
            GivesUpError: the functions call each other too deeply, or take too long.
        """
        if _depth(frame) > _MAX_DEPTH:
            raise GivesUpError("the functions call each other too deeply")
        body = frame.body
        if isinstance(body, ast.Lambda):
            with self.moment(frame, body):
                return self.evaluate(body.body, frame)
        statements = [s for s in body.body if not frame.skipped or ast.dump(s) not in frame.skipped]
        return returned(self, statements, frame)


def _depth(frame: Frame) -> int:
    depth = 0
    caller = frame.caller
    while caller is not None:
        depth += 1
        caller = caller.moment.frame.caller
    return depth


def tensors_in(value: object) -> list[Node]:
    """The nodes of the tensors in what a function returns."""
    if isinstance(value, Pending):
        value = value.tensor
    if isinstance(value, Tensor):
        return [value.node]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return [node for item in value for node in tensors_in(item)]
    return []
