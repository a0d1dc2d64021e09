"""The code of the body of a loop: compiled anew from the AST of its file, or of a patched text.

The name, the lines and the columns of the file are kept.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from types import CodeType

from stayfinite.frameworks.loop_code import body_code, function_code, module_code, once
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.patched_loop import PatchedLoop
from stayfinite.frameworks.source_loops import Statement, taken_names
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.torch.plain.data import Iteration

# The function in the place of `next`, for a name whose items are known.
TAKE = "__stayfinite_take__"


class BodyCode:
    """Compiles the body of a loop, and single statements of it.

    Args:
        source: The loop.

    Attributes:
        left_out: The statements that are not run again, as `ast.dump` gives them.
    """

    def __init__(self, source: PatchedLoop) -> None:
        self.loop = source.loop
        self.left_out: frozenset[str] = frozenset()
        self._source = source
        # The names bound to `next(...)` whose items are known.
        self._next_names: frozenset[str] = frozenset()
        # The code of the whole body, for a text of the file and the names of its parameters.
        self._known: tuple[ast.Module | None, tuple[str, ...], CodeType] | None = None

    def take(self, names: frozenset[str]) -> None:
        """Have the names that are bound to `next(...)` take items by `TAKE`."""
        if names != self._next_names:
            self._next_names, self._known = names, None

    def leave_out(self, statements: list[ast.stmt]) -> None:
        """Have the code of the whole body do without more statements, which have been run."""
        self.left_out |= {ast.dump(statement) for statement in statements}
        self._known = None

    def leave_none_out(self) -> None:
        """Have the code of the whole body do all of it again."""
        self.left_out, self._known = frozenset(), None

    def statement(self) -> Statement:
        """The loop.

        Raises:
            CannotRemakeError: its source is not there.
        """
        return self._source.statement()

    def statements(self) -> list[ast.stmt]:
        """The statements of the body that are run."""
        return [s for s in self.statement().body if ast.dump(s) not in self.left_out]

    def of_module(self) -> CodeType:
        """The whole body, as code of a module."""
        return self._whole((), lambda: self.compiled([once(self.statement(), self._body())]))

    def of_function(self, names: tuple[str, ...]) -> CodeType:
        """The whole body as a function with `names` as parameters, which returns its locals."""
        return self._whole(
            names, lambda: body_code(self.loop, self.statement(), names, self._body())
        )

    def function(self, names: tuple[str, ...], body: list[ast.stmt]) -> CodeType:
        """The code of a function of the name of the user's, with `names` as parameters.

        Raises:
            CannotRemakeError: the body needs the class that its function is defined in.
        """
        return function_code(self.loop, self.statement(), names, body)

    def compiled(self, statements: list[ast.stmt]) -> CodeType:
        """Statements as code of a module."""
        return module_code(self.loop, statements)

    def _whole(self, names: tuple[str, ...], make: Callable[[], CodeType]) -> CodeType:
        tree = self._source.tree
        if self._known is None or self._known[0] is not tree or self._known[1] != names:
            self._known = tree, names, make()
        return self._known[2]

    def _body(self) -> list[ast.stmt]:
        taker = _Taker(self._next_names)
        return [taker.visit(copy.deepcopy(each)) for each in self.statements()]


class _Taker(ast.NodeTransformer):
    """Has names bound to `next(...)` take the items that training had.

    Args:
        names: Those names.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        """Replace the call, if each name is known."""
        names = taken_names(node)
        if names and self._names.issuperset(names):
            node.value = ast.copy_location(_taken_by(node.targets[0]), node.value)
        return node


def _taken_by(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Tuple | ast.List):
        return ast.Tuple([_taken_by(element) for element in target.elts], ast.Load())
    assert isinstance(target, ast.Name)
    return ast.Call(ast.Name(TAKE, ast.Load()), [ast.Constant(target.id)], [])


def taking(iteration: Iteration) -> Callable[[str], object]:
    """Returns the next item for a name each time that it is called."""
    left = {name: list(draws) for name, draws in iteration.taken.items()}

    def take(name: str) -> object:
        if not left.get(name):
            raise CannotRemakeError(WhyNot(Obstacle.MORE_ITEMS_AGAIN, name))
        return iteration.take(left[name].pop(0))

    return take
