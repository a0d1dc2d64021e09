"""The user's code around an eager update, as a function that can be called again.

The innermost frame that both records the gradients and makes the update has the step: the loop in
it around the update, up to the statement with it, or else the call of its function. A run of it
may be another step, so its loss and gradients are compared with those of training.
"""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType, FunctionType
from typing import Any

from stayfinite.frameworks.frames import user_frames
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.source_loops import SourceLoop, innermost_loop
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.tensorflow.call_arguments import CallArguments, call_arguments
from stayfinite.frameworks.tensorflow.eager_body import EagerBody
from stayfinite.frameworks.tensorflow.guard_sentinel import VariableValues
from stayfinite.frameworks.tensorflow.random_draws import EagerDraw
from stayfinite.frameworks.tensorflow.step_notes import EagerNotes
from stayfinite.frameworks.tensorflow.watching import applied_by


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
        body: The body of the loop, where that is the step.
        draws: The random numbers that the step drew.
        assigned: The variables that it assigned, with their values before.
    """

    function: Callable[..., Any]
    name: str
    described: str
    data: CallArguments
    code: CodeType | None = None
    lines: tuple[int, int] = (0, 0)
    body: EagerBody | None = None
    draws: tuple[EagerDraw, ...] = ()
    assigned: VariableValues = field(default_factory=VariableValues)

    def holds(self, places: Sequence[Place]) -> bool:
        """Whether an earlier update at these places belongs to the same step."""
        first, last = self.lines
        return any(code is self.code and first <= line < last for code, line in places)


# The code and the line of a frame.
Place = tuple[CodeType, int]


def places_now() -> tuple[Place, ...]:
    """The places of the user's frames that are running."""
    return tuple((frame.f_code, frame.f_lineno) for frame in user_frames(sys._getframe(1)))


def eager_call(notes: EagerNotes) -> EagerCall:
    """The step that makes an update now.

    Args:
        notes: What was noted of it.
    """
    frames = list(user_frames(sys._getframe(1)))
    codes = [frame.f_code for frame in frames]
    only_applies = applied_by()
    if only_applies is not None and only_applies.code in codes:
        frames = frames[codes.index(only_applies.code) + 1 :]
    unknown: EagerCall | None = None
    for frame in notes.around(frames):
        loop = _loop_around(frame, notes)
        if loop is not None:
            return _of_loop(frame, loop, notes)
        if frame.f_code.co_name == "<module>":
            break
        try:
            return _of_function(frame, notes)
        except CannotRemakeError as error:
            # A loop around the call of this function may be one that can.
            unknown = unknown or _unknown(frame.f_code.co_name, error.why)
    obstacle = Obstacle.NO_LOOP_NOR_FUNCTION if frames else Obstacle.NO_CODE_OF_PROGRAM
    return unknown or _unknown("step", WhyNot(obstacle))


def _loop_around(frame: FrameType, notes: EagerNotes) -> SourceLoop | None:
    """The innermost loop around the update that records the gradients, too."""
    loop = innermost_loop(frame.f_code, frame.f_lineno, in_header=False)
    while loop is not None and notes.is_recording and not notes.readings(frame, loop):
        loop = innermost_loop(frame.f_code, loop.line, in_header=False, around=loop)
    return loop


def _unknown(name: str, why: WhyNot) -> EagerCall:
    def run() -> None:
        raise CannotRemakeError(why)

    return EagerCall(run, name, name, call_arguments(run, (), {}))


def _of_loop(frame: FrameType, loop: SourceLoop, notes: EagerNotes) -> EagerCall:
    body = EagerBody(frame, loop, frame.f_lineno, notes.readings(frame, loop))
    name, lines = frame.f_code.co_name, (loop.first_line, frame.f_lineno)
    draws = tuple(body.draws_of(notes, frame))
    assigned = notes.assigned_in(frame, body.first_line, frame.f_lineno)
    data = body.data()
    return EagerCall(
        body.run, name, body.described, data, frame.f_code, lines, body, draws, assigned
    )


def _of_function(frame: FrameType, notes: EagerNotes) -> EagerCall:
    """The call that runs `frame`.

    Raises:
        CannotRemakeError: it is not known how to make it again.
    """
    code = frame.f_code
    function = _function_of(code, frame.f_locals)
    if function is None:
        raise CannotRemakeError(WhyNot(Obstacle.FUNCTION_NOT_FOUND, code.co_name))
    named = code.co_varnames[: code.co_argcount]
    only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR):
        raise CannotRemakeError(WhyNot(Obstacle.FUNCTION_TAKES_ANY, code.co_name))
    missing = [name for name in (*named, *only) if name not in frame.f_locals]
    if missing:
        raise CannotRemakeError(WhyNot(Obstacle.ARGUMENT_DELETED, missing[0], of=code.co_name))
    args = tuple(frame.f_locals[name] for name in named)
    keywords = {name: frame.f_locals[name] for name in only}

    described, lines = f"a call of {code.co_name}", (code.co_firstlineno, frame.f_lineno)
    draws = tuple(draw for draw in notes.draws if id(frame) in draw.lines)
    data = call_arguments(function, args, keywords).given_as()
    assigned = notes.assigned_in(frame, *lines)
    return EagerCall(
        function, code.co_name, described, data, code, lines, draws=draws, assigned=assigned
    )


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
