"""Two versions of a file as compiled code, matched function by function."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

from stayfinite.repair.errors import NotSwappableError, StaleSourceError
from stayfinite.repair.patch import Patch
from stayfinite.repair.source import SourceFile, compile_module


@dataclass(frozen=True)
class Pair:
    """One code object before and after, and the pair of the code around it."""

    old: CodeType
    new: CodeType
    outer: Pair | None
    is_changed: bool

    @property
    def is_function(self) -> bool:
        """Whether it is the code of a function, rather than of a module or a class."""
        return bool(self.old.co_flags & inspect.CO_OPTIMIZED)

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return _name(self.old)


def pairs(patch: Patch, filename: str, flags: int = 0, *, by_statement: bool = False) -> list[Pair]:
    """All code of the file, compiled under `filename`; the module first.

    Args:
        patch: The edit.
        filename: The `co_filename` of the running functions.
        flags: Their future statements: see `future_flags`.
        by_statement: Compile as a notebook does, one statement of the module at a time. A function
            then has other code for a call such as `K.exp(x)`, as its module does not import `K`.

    Raises:
        NotSwappableError: the functions of the two versions do not correspond.
        StaleSourceError: the original does not compile any more.
    """

    def compiled(tree: ast.Module) -> CodeType:
        return compile_module(_without_imports(tree) if by_statement else tree, filename, flags)

    try:
        old = compiled(patch.original.tree)
    except (SyntaxError, ValueError) as error:
        raise StaleSourceError(f"{filename} does not compile: {error}") from error
    new = compiled(patch.source.tree)
    # An inserted import changes the code of the module, and nothing that must be run again.
    plain = compiled(_without(patch.source, inserted_imports(patch)))
    return list(_walk(old, new, None, _differs(old, plain)))


def _without_imports(tree: ast.Module) -> ast.Module:
    """The module without its imports, which decide how calls in its functions are compiled."""
    return ast.Module([s for s in tree.body if not isinstance(s, ast.Import | ast.ImportFrom)], [])


def inserted_imports(patch: Patch) -> list[ast.stmt]:
    """The top-level imports that the patch has added."""
    known = [ast.dump(statement) for statement in _imports(patch.original)]
    return [statement for statement in _imports(patch.source) if ast.dump(statement) not in known]


def _imports(source: SourceFile) -> list[ast.stmt]:
    return [s for s in source.tree.body if isinstance(s, ast.Import | ast.ImportFrom)]


def _without(source: SourceFile, statements: list[ast.stmt]) -> ast.Module:
    body = [statement for statement in source.tree.body if statement not in statements]
    return ast.Module(body=body, type_ignores=[])


def _walk(old: CodeType, new: CodeType, outer: Pair | None, is_changed: bool) -> Iterator[Pair]:
    pair = Pair(old, new, outer, is_changed)
    yield pair
    for old_code, new_code in matched(old, new):
        yield from _walk(old_code, new_code, pair, _differs(old_code, new_code))


def matched(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]]:
    """The code inside a code object before and after.

    A comprehension or lambda of a function may be gone in `new`, which never makes it.

    Raises:
        NotSwappableError: the functions of the two do not correspond.
    """
    olds, news = _nested(old), _nested(new)
    if [code.co_name for code in olds] == [code.co_name for code in news]:
        return list(zip(olds, news, strict=True))
    kept: list[tuple[CodeType, CodeType]] = []
    waiting = list(news)
    for code in olds:
        if waiting and code.co_name == waiting[0].co_name and not _differs(code, waiting[0]):
            kept.append((code, waiting.pop(0)))
        elif not code.co_name.startswith("<"):
            break
    else:
        if not waiting and old.co_flags & inspect.CO_OPTIMIZED:
            return kept
    raise NotSwappableError(f"the repair changes which functions are defined in {_name(old)}")


def _name(code: CodeType) -> str:
    return "the module" if code.co_name == "<module>" else f"`{code.co_qualname}`"


def _nested(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _differs(first: CodeType, second: CodeType) -> bool:
    """Whether two code objects differ in what they do, functions inside them left aside."""
    return _content(first) != _content(second)


def _content(code: CodeType) -> tuple[object, ...]:
    constants = [
        "code" if isinstance(constant, CodeType) else (type(constant), repr(constant))
        for constant in code.co_consts
    ]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_code, constants, names
