"""Where the user's frames are, at each batch that is drawn and at each update.

This is needed in every step of a training, so what stays the same of a position is found once.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from types import CodeType, FrameType

from stayfinite.frameworks.frames import is_user_code, values_of
from stayfinite.frameworks.source_bindings import read_first
from stayfinite.frameworks.source_loops import SourceLoop, innermost_loop


@dataclass(frozen=True, eq=False)
class Spot:
    """A position in code, with what is the same each time it is reached.

    Attributes:
        line: The line.
        at: The innermost loop whose body or header is there.
        around: The innermost loop whose body is there.
        in_header: Whether the next item of `at` is drawn there.
        wanted: The names of `at` that are wanted there, with those that the rest of its body needs.
        changing: Those of them that the rest of an iteration may give another value.
    """

    line: int
    at: SourceLoop | None
    around: SourceLoop | None
    in_header: bool
    wanted: tuple[str, ...]
    changing: tuple[str, ...]


# One of the user's frames, and where it is.
Position = tuple[FrameType, Spot]


@dataclass(frozen=True, eq=False)
class _Code:
    """Code with its spots by instruction; it is kept, so that no other gets its identity.

    Attributes:
        code: The code.
        is_user: Whether it is the user's.
        is_module: Whether it is that of a module, and of no statement in a string.
        spots: By instruction.
    """

    code: CodeType
    is_user: bool
    is_module: bool
    spots: dict[int, Spot] = field(default_factory=dict)


# By identity, since the hash of a code object is computed from all of it each time.
_CODES: dict[int, _Code] = {}
_MAX_CODES = 4096


def positions_of(innermost: FrameType | None) -> list[Position]:
    """The positions of the user's frames from `innermost` on, outwards, up to that of a module.

    A loop around the import of a module, or around a run of it, does not make the steps inside.
    """
    found = []
    frame = innermost
    while frame is not None:
        code = frame.f_code
        known = _CODES.get(id(code))
        if known is None:
            known = _known(code)
        if known.is_user:
            instruction = frame.f_lasti
            spot = known.spots.get(instruction)
            if spot is None:
                spot = known.spots[instruction] = _spot(code, instruction)
            found.append((frame, spot))
            if known.is_module:
                break
        frame = frame.f_back
    return found


def items_at(position: Position) -> tuple[int, int, tuple[int, ...]]:
    """The frame, the spot and what the loop around it is at, each by its identity."""
    frame, spot = position
    targets = () if spot.around is None else spot.around.targets
    return id(frame), id(spot), tuple(map(id, values_of(frame, targets).values()))


def outside_loop(position: Position) -> Position:
    """A position as if its innermost loop were not there, from now on each time it is reached.

    A loop whose iterations only apply one optimizer after another makes no step.
    """
    frame, spot = position
    known = _CODES.get(id(frame.f_code))
    if known is None or spot.around is None:
        return position
    code, line = frame.f_code, spot.line
    around = innermost_loop(code, line, in_header=False, around=spot.around, may_yield=True)
    outside = known.spots[frame.f_lasti] = _spot_in(code, line, around, around)
    return frame, outside


def _known(code: CodeType) -> _Code:
    is_module = code.co_name == "<module>" and not code.co_filename.startswith("<string")
    known = _Code(code, is_user_code(code), is_module)
    # Whether a name such as `<string>` is of the user can change.
    if known.is_user or not code.co_filename.startswith("<"):
        if len(_CODES) >= _MAX_CODES:
            _CODES.clear()
        _CODES[id(code)] = known
    return known


def _spot(code: CodeType, instruction: int) -> Spot:
    line = _line(code, instruction)
    at = innermost_loop(code, line, in_header=True, may_yield=True)
    around = innermost_loop(code, line, in_header=False, may_yield=True)
    return _spot_in(code, line, at, around)


def _spot_in(code: CodeType, line: int, at: SourceLoop | None, around: SourceLoop | None) -> Spot:
    if at is None:
        return Spot(line, at, around, False, (), ())
    rest, _ = read_first(at.tail(line), frozenset())
    wanted = tuple(dict.fromkeys((*at.wanted, *sorted(rest & at.bound))))
    # A function may write to a global, and an inner one to a variable that it shares.
    may_change = at.bound | {*code.co_cellvars, *code.co_freevars} | (rest & {*at.targets})
    if at.counted is not None and at.is_in_branch(line):
        may_change = may_change | {at.counted[0]}  # which iterations the next update is of
    changing = tuple(name for name in wanted if at.is_of_module or name in may_change)
    return Spot(line, at, around, at.is_in_header(line), wanted, changing)


def _line(code: CodeType, instruction: int) -> int:
    position = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
    return (position[0] if position else None) or code.co_firstlineno
