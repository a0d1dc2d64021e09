"""Code of statements of a loop's body, which keep the file, the lines and columns of the loop."""

from __future__ import annotations
import __future__

import ast
import copy
from types import CodeType

from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.source_loops import SourceLoop, Statement
from stayfinite.frameworks.step import CannotRemakeError

# The variable of the loop that runs the body once, so that `break` and `continue` have one.
_ONCE = "__stayfinite_once__"

# The function `locals` under a name that no body binds.
LOCALS = "__stayfinite_locals__"

_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag


def once(statement: Statement, body: list[ast.stmt]) -> ast.For:
    """A loop in the place of `statement` that runs `body` once."""
    loop = ast.For(
        target=ast.Name(_ONCE, ast.Store()),
        iter=ast.Tuple([ast.Constant(None)], ast.Load()),
        body=body,
        orelse=[],
    )
    return ast.copy_location(loop, statement)


def module_code(loop: SourceLoop, statements: list[ast.stmt]) -> CodeType:
    """The code of `statements` where `loop` is, in no function."""
    module = ast.Module(statements, [])
    ast.fix_missing_locations(module)
    flags = loop.code.co_flags & _FUTURE
    code: CodeType = compile(module, loop.file, "exec", flags, dont_inherit=True)
    return code


def function_code(
    loop: SourceLoop, statement: Statement, names: tuple[str, ...], body: list[ast.stmt]
) -> CodeType:
    """The code of a function with the name of the one around `loop`.

    Args:
        loop: The loop.
        statement: Its AST, which may be that of a patched text.
        names: The parameters.
        body: The statements.

    Raises:
        CannotRemakeError: the body calls `super()` without arguments.
    """
    own = loop.code
    arguments = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
    body = [_WithoutYields().visit(copy.deepcopy(each)) for each in body]
    function = ast.FunctionDef(own.co_name, arguments, body, [])
    ast.copy_location(function, statement)
    inner: ast.stmt = function
    owner = own.co_qualname.rpartition(".")[0].rpartition(".")[2]
    if owner.isidentifier():
        # For the names that begin with two underscores in a class.
        inner = ast.copy_location(ast.ClassDef(owner, [], [], [function], []), statement)
    code = _code_named(module_code(loop, [inner]), own.co_name)
    if code.co_freevars:
        raise CannotRemakeError(WhyNot(Obstacle.BARE_SUPER))
    return code.replace(co_qualname=own.co_qualname)


def body_code(
    loop: SourceLoop, statement: Statement, names: tuple[str, ...], body: list[ast.stmt]
) -> CodeType:
    """The code of a function that runs `body` once and returns its locals.

    Args:
        loop: The loop, in a function.
        statement: Its AST, which may be that of a patched text.
        names: The parameters, `LOCALS` among them.
        body: The statements.

    Raises:
        CannotRemakeError: the body calls `super()` without arguments.
    """
    end = ast.Return(ast.Call(ast.Name(LOCALS, ast.Load()), [], []))
    return function_code(loop, statement, names, [once(statement, body), end])


class _WithoutYields(ast.NodeTransformer):
    """Has statements such as `yield loss` compute their value only: nobody draws from the body."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        """Replace the yield by its value."""
        if isinstance(node.value, ast.Yield):
            nothing = ast.copy_location(ast.Constant(None), node.value)
            node.value = node.value.value or nothing
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """A function inside the body may be a generator of its own."""
        return node


def _code_named(code: CodeType, name: str) -> CodeType:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    for each in inner:
        if each.co_name == name:
            return each
    return _code_named(inner[0], name)
