"""The user's code around an eager update, as a function that can be called again.

The innermost loop around the update is the step, up to the statement with the update; without a
loop it is the function that makes the update. What either reads has the values that it has at the
update, so a run of it may be another step; loss and gradients are compared with those of training.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import inspect
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import keras

from stayfinite.frameworks.source_loops import SourceLoop, innermost_loop
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.tensorflow.call_arguments import CallArguments, call_arguments, is_array
from stayfinite.graph.code_owner import is_user_file


@dataclass(frozen=True)
class EagerCall:
    """A step, and the data of the present one.

    Attributes:
        function: Makes the step once more; it takes what `data` calls it with.
        name: What it is called: that of the function around the update.
        described: What is run, for messages.
        data: The arguments.
        code: The code that holds the update; None where that is not known.
        lines: The first line of the step, and that of the update.
    """

    function: Callable[..., Any]
    name: str
    described: str
    data: CallArguments
    code: CodeType | None = None
    lines: tuple[int, int] = (0, 0)

    def holds(self, places: Sequence[Place]) -> bool:
        """Whether an earlier update at these places belongs to the same step."""
        first, last = self.lines
        return any(code is self.code and first <= line < last for code, line in places)


# The code and the line of a frame.
Place = tuple[CodeType, int]


def places_now() -> tuple[Place, ...]:
    """The places of the user's frames that are running."""
    found: list[Place] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_user_file(frame.f_code.co_filename):
            found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(found)


def eager_call() -> EagerCall:
    """The step that makes an update now: that of the innermost frame of the user's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return _unknown("step", "no code of the program makes the update")
    loop = innermost_loop(frame.f_code, frame.f_lineno, in_header=False)
    if loop is not None:
        return _of_loop(frame, loop)
    if frame.f_code.co_name == "<module>":
        return _unknown("step", "the update is in no loop and in no function")
    return _of_function(frame)


def _unknown(name: str, reason: str) -> EagerCall:
    def run() -> None:
        raise CannotRemakeError(reason)

    return EagerCall(run, name, name, call_arguments(run, (), {}))


def _of_loop(frame: FrameType, loop: SourceLoop) -> EagerCall:
    name = frame.f_code.co_name
    body = [s for s in loop.node.body if s.lineno <= frame.f_lineno]
    code = compile(ast.Module(body, []), loop.file, "exec", dont_inherit=True)
    held = {**frame.f_globals, **frame.f_locals}

    def run(**values: Any) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, {**held, **values})

    names = sorted({*loop.targets, *loop.read})
    batch = {n: held[n] for n in names if n in held and _has_arrays(held[n])}
    described = f"the loop at {Path(loop.file).name}:{loop.line}"
    lines = loop.first_line, frame.f_lineno
    return EagerCall(run, name, described, call_arguments(run, (), batch), frame.f_code, lines)


def _of_function(frame: FrameType) -> EagerCall:
    code = frame.f_code
    function = _function_of(code, frame.f_locals)
    if function is None:
        return _unknown(code.co_name, f"the function {code.co_name}() is not found")
    named = code.co_varnames[: code.co_argcount]
    only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR):
        reason = f"the function {code.co_name}() takes any number of arguments, or yields"
        return _unknown(code.co_name, reason)
    missing = [name for name in (*named, *only) if name not in frame.f_locals]
    if missing:
        reason = f"the function {code.co_name}() has deleted its argument {missing[0]}"
        return _unknown(code.co_name, reason)
    args = tuple(frame.f_locals[name] for name in named)
    keywords = {name: frame.f_locals[name] for name in only}

    def run(*args: Any, **keywords: Any) -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            return function(*args, **keywords)

    data = call_arguments(function, args, keywords)
    lines = code.co_firstlineno, frame.f_lineno
    return EagerCall(run, code.co_name, f"a call of {code.co_name}", data, code, lines)


def _function_of(code: CodeType, values: Mapping[str, Any]) -> FunctionType | None:
    """The function that runs `code`, with the free variables that the frame has."""
    for found in gc.get_referrers(code):
        if type(found) is FunctionType and found.__code__ is code:
            cells = zip(code.co_freevars, found.__closure__ or (), strict=True)
            if all(values.get(name) is _content(cell) for name, cell in cells):
                return found
    return None


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None


def _has_arrays(value: Any) -> bool:
    return any(is_array(leaf) for leaf in keras.tree.flatten(value))
