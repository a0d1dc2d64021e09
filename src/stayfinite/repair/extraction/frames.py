"""From a live function to a frame that can be interpreted, and its arguments."""

from __future__ import annotations

import ast
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stayfinite.graph.code_owner import is_user_file
from stayfinite.graph.running_loops import RunningLoop, loops_in
from stayfinite.graph.source import Definition, definition
from stayfinite.repair.extraction.values import (
    Body,
    Closure,
    Frame,
    Pending,
    SourceOrigin,
    named_number,
)
from stayfinite.repair.source import SourceFile


@dataclass(frozen=True)
class Patched:
    """The text of a file before and after an edit that adds and removes no function and no loop."""

    before: SourceFile
    after: SourceFile

    def body(self, node: Body) -> Body:
        """The function or loop of the text before, in the text after."""
        old, new = (
            [n for n in ast.walk(source.tree) if isinstance(n, Body)]
            for source in (self.before, self.after)
        )
        return new[old.index(node)]


def frame_of(
    function: types.FunctionType,
    caller: SourceOrigin | None,
    patched: Patched | None,
    sources: dict[str, SourceFile],
) -> Frame:
    """A frame of a live function, without arguments. `sources` are the files read so far.

    Raises:
        LookupError: it has no source.
    """
    code = function.__code__
    source = _source(code.co_filename, patched, sources)
    node: Body | None = definition(ast.walk(source.tree), code)
    if node is None:
        raise LookupError(f"{code.co_qualname} is not in {source.path}")
    if patched is not None and patched.before is source:
        source, node = patched.after, patched.body(node)
    cells: dict[str, object] = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:
            cells[name] = Pending(name)  # not bound yet, or no longer
    return Frame(source, node, {}, function.__globals__, cells, code, None, caller)


def frame_of_loop(
    loop: RunningLoop, patched: Patched | None, sources: dict[str, SourceFile]
) -> Frame:
    """A frame for the body of a running loop, without the values of its names.

    Raises:
        LookupError: it has no source.
    """
    source = _source(loop.file, patched, sources)
    loops = loops_in(source.tree)
    if loop.number >= len(loops):
        raise LookupError(f"{source.path} has no loop number {loop.number}")
    node: Body = loops[loop.number]
    if patched is not None and patched.before is source:
        source, node = patched.after, patched.body(node)
    return Frame(source, node, {}, loop.names, {}, skipped=loop.left_out)


def _source(path: str, patched: Patched | None, sources: dict[str, SourceFile]) -> SourceFile:
    """The file at `path`, in the text before an edit of it."""
    try:
        source = sources.get(path)
        if source is None:
            source = sources[path] = SourceFile.of(path)
        if patched is not None and patched.before.path == source.path:
            source = patched.before
        assert source.tree is not None
    except (OSError, SyntaxError, UnicodeError) as error:
        raise LookupError(str(error)) from error
    return source


def user_function(called: object) -> types.FunctionType | None:
    """The plain function behind what is called, if it is one of the user's."""
    if isinstance(called, types.MethodType):
        called = called.__func__
    called = getattr(called, "__wrapped__", called) if not isinstance(called, type) else called
    if not isinstance(called, types.FunctionType):
        return None
    return called if is_user_file(called.__code__.co_filename) else None


def bound(
    function: Definition,
    positional: Sequence[object],
    named: Mapping[str, object],
    defaults: Sequence[object],
    named_defaults: Mapping[str, object],
) -> dict[str, object]:
    """The parameters of a function with the arguments of a call; the missing ones are unknown."""
    arguments = function.args
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
    found: dict[str, object] = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    found.update(named_defaults)
    found.update(zip(names, positional, strict=False))
    extra = {}
    for name, value in named.items():
        if name in names or any(name == one.arg for one in arguments.kwonlyargs):
            found[name] = value
        else:
            extra[name] = value
    if arguments.vararg is not None:
        found[arguments.vararg.arg] = tuple(positional[len(names) :])
    if arguments.kwarg is not None:
        found[arguments.kwarg.arg] = extra
    for one in (*names, *(a.arg for a in arguments.kwonlyargs)):
        found[one] = named_number(found.get(one, Pending(one)), one)
    return found


def num_required(called: object) -> int:
    """How many arguments a call has to pass by position; 1 where it is not known."""
    if isinstance(called, Closure):
        arguments = called.function.args
        return len(arguments.posonlyargs) + len(arguments.args) - len(called.defaults)
    function = user_function(called)
    if function is None:
        return 1
    return function.__code__.co_argcount - len(function.__defaults__ or ())
