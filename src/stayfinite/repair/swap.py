"""Running the program with the patched code: live functions get it, and get their own code
again."""

from __future__ import annotations

import ast
import copy
import gc
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

from stayfinite.graph.running_loops import RunningLoop, loops_in, running_loops
from stayfinite.repair.codetree import Pair, inserted_imports, matched, pairs
from stayfinite.repair.errors import NotSwappableError, StaleSourceError
from stayfinite.repair.live import KnownFunctions, Matcher, is_file
from stayfinite.repair.patch import Patch
from stayfinite.repair.source import SourceFile, compile_module, future_flags


@dataclass(frozen=True)
class _Swap:
    function: FunctionType
    old: CodeType
    new: CodeType


@contextmanager
def swapped(
    patch: Patch,
    *,
    but_module_code: bool = False,
    known: KnownFunctions | None = None,
) -> Iterator[int]:
    """Every live function of the patched file runs the patched code inside this context.

    With `but_module_code`, changes of code that runs only once are left to the caller. `known`
    is for a search that tries several patches.

    The number of functions that were given other code is the value of the context. Calls that are
    already running go on with the old code; what a framework has traced or compiled before stays
    as it is, so clear its caches after entering and after leaving.

    Example:
        >>> with swapped(patch):
        ...     run_the_step_again()

    A loop that is made again from its source (`graph.running_loops`) runs the patched body.

    Raises:
        NotSwappableError: the change is in other code that runs only once, or no live function
            holds it.
        StaleSourceError: the running functions are not those of the original text.
    """
    if patch.is_empty:
        yield 0
        return
    functions = (known or KnownFunctions()).of(patch.original.path)
    loops = _loops(patch)
    is_free = but_module_code or any(_has_all_module_code(patch, loop) for loop in loops)
    swaps = _plan(patch, is_free, functions)
    globals_ = [swap.function.__globals__ for swap in swaps] + [loop.names for loop in loops]
    with ExitStack() as stack:
        for names in {id(names): names for names in globals_}.values():
            stack.enter_context(_imported(patch, names))
        for loop in loops:
            stack.enter_context(loop.patched(patch.source.tree))
        made = [pair for swap in swaps for pair in _versions(swap.new, swap.old)]
        stack.callback(_restore, swaps, made, _num_references(made))
        for swap in swaps:
            swap.function.__code__ = swap.new
        yield len(swaps)


def _loops(patch: Patch) -> list[RunningLoop]:
    """The running loops of the patched file."""
    wanted = Path(patch.original.path).resolve()
    return [loop for loop in running_loops() if is_file(loop.file, wanted)]


def _has_all_module_code(patch: Patch, loop: RunningLoop) -> bool:
    """Whether what a patch changes outside functions is in the body of `loop`."""
    return loop.is_of_module and _without(patch.original, loop) == _without(patch.source, loop)


def _without(source: SourceFile, loop: RunningLoop) -> list[str]:
    """The statements of a module, without imports, functions and the body of `loop`."""
    tree = copy.deepcopy(source.tree)
    loops = loops_in(tree)
    if loop.number < len(loops):
        loops[loop.number].body = []
    outside = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [ast.dump(statement) for statement in tree.body if not isinstance(statement, outside)]


def _plan(
    patch: Patch, but_module_code: bool, functions_of_file: list[FunctionType]
) -> list[_Swap]:
    """Which functions get which code. Nothing is changed yet."""
    by_filename: dict[str, list[FunctionType]] = {}
    for function in functions_of_file:
        by_filename.setdefault(function.__code__.co_filename, []).append(function)
    reached: set[tuple[str, int]] = set()
    swaps: list[_Swap] = []
    tree: list[Pair] = []
    stale: set[str] = set()
    for filename, functions in (by_filename or {patch.original.path: []}).items():
        flags = future_flags(functions[0].__code__) if functions else 0
        tree = _pairs_of(functions, patch, filename, flags)
        matcher = Matcher(tree)
        for function in functions:
            pair = matcher.pair_of(function)
            if pair is None:
                if matcher.is_other_version(function):
                    stale.add(function.__code__.co_qualname)
                continue
            reached.add(_identity(pair))
            if pair.old != pair.new:
                _require_same_cells(pair)
                swaps.append(_Swap(function, function.__code__, pair.new))
    for pair in tree:
        if pair.is_changed and not (but_module_code and not pair.is_function):
            _require_reached(pair, reached, stale, patch.original.path)
    return swaps


def _pairs_of(functions: list[FunctionType], patch: Patch, filename: str, flags: int) -> list[Pair]:
    """The file compiled in the way in which `functions` were compiled."""
    whole = pairs(patch, filename, flags)
    if not any(map(Matcher(whole).is_other_version, functions)):
        return whole

    def num_matches(tree: list[Pair]) -> int:
        return sum(Matcher(tree).pair_of(function) is not None for function in functions)

    return max(whole, pairs(patch, filename, flags, by_statement=True), key=num_matches)


def _identity(pair: Pair) -> tuple[str, int]:
    return pair.old.co_qualname, pair.old.co_firstlineno


def _require_reached(pair: Pair, reached: set[tuple[str, int]], stale: set[str], path: str) -> None:
    """A changed function must exist, or be made anew by a live function around it."""
    around: Pair | None = pair
    while around is not None:
        if around.is_function and _identity(around) in reached:
            return
        if around.old.co_qualname in stale:
            raise StaleSourceError(
                f"{path} has changed since {around.name} was loaded, so the repair of its text"
                " cannot be tried"
            )
        around = around.outer
    if not pair.is_function:
        raise NotSwappableError(
            f"the change is in the code of {pair.name}, which runs once, when it is loaded"
        )
    raise NotSwappableError(f"the program holds no function {pair.name} of {path}")


def _require_same_cells(pair: Pair) -> None:
    if pair.old.co_freevars != pair.new.co_freevars:
        changed = ", ".join(sorted(set(pair.old.co_freevars) ^ set(pair.new.co_freevars)))
        raise NotSwappableError(
            f"the repair changes which variables {pair.name} takes from around it: {changed}"
        )


@contextmanager
def _imported(patch: Patch, names: dict[str, object]) -> Iterator[None]:
    """The names of the inserted imports, bound in `names`."""
    bound: dict[str, object] = {}
    module = ast.Module(body=inserted_imports(patch), type_ignores=[])
    exec(compile_module(module, patch.original.path), bound)
    del bound["__builtins__"]
    taken = [name for name, value in bound.items() if names.get(name, value) is not value]
    if taken:
        raise NotSwappableError(f"{', '.join(taken)} already means something else in the module")
    added = {name: value for name, value in bound.items() if name not in names}
    names.update(added)
    try:
        yield
    finally:
        for name, value in added.items():
            if names.get(name) is value:
                del names[name]


def _restore(
    swaps: list[_Swap], made: list[tuple[CodeType, CodeType]], num_before: list[int]
) -> None:
    """Give all old code back, also to functions that patched code has made in the meantime.

    These are looked for among all objects of the program, if anything refers to patched code that
    did not before the swap.
    """
    for swap in swaps:
        swap.function.__code__ = swap.old
    if _num_references(made) == num_before:
        return
    made_by = {id(new): old for new, old in made}
    for thing in gc.get_referrers(*(new for new, _ in made)):
        if type(thing) is FunctionType and (old := made_by.get(id(thing.__code__))) is not None:
            thing.__code__ = old


def _num_references(made: list[tuple[CodeType, CodeType]]) -> list[int]:
    return [sys.getrefcount(new) for new, _ in made]


def _versions(new: CodeType, old: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The code objects inside a function, patched and original."""
    yield new, old
    for old_code, new_code in matched(old, new):
        yield from _versions(new_code, old_code)
