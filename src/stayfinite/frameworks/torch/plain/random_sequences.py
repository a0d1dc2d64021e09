"""Positions in the sequences of the Mersenne Twister, which PyTorch, NumPy and Python draw from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

# So many blocks of 624 numbers are looked through, in less than a second.
_MAX_BLOCKS = 100_000
_BLOCK = 624

# The state of PyTorch's generator: `left` numbers of the block are left before the next one is
# made, and `next` is the place of the next number in it.
_TORCH = np.dtype(
    {
        "names": ["left", "next", "key"],
        "formats": ["<i4", "<u8", ("<u8", _BLOCK)],
        "offsets": [8, 16, 24],
        "itemsize": 5056,
    }
)


class SequencePlace(NamedTuple):
    """A place in a sequence: the block, and how many of its numbers have been drawn."""

    block: np.ndarray
    drawn: int


def advanced(state: Any, since: Any, until: Any) -> Any:
    """`state` advanced by so many numbers as `until` is after `since`, all of one sequence.

    None where that is not known. What a generator keeps beside its place, as the second of two
    normal numbers, stays that of `state`.

    Args:
        state: The state of a generator of PyTorch, NumPy or Python.
        since: Another state of it.
        until: A later one.
    """
    places = [_place(each) for each in (state, since, until)]
    first, end, now = places
    if first is None or end is None or now is None:
        return None
    number = _distance(end, now)
    return None if number is None else _with_place(state, _after(first, number))


def is_same_place(state: Any, other: Any) -> bool:
    """Whether the next number is the same; also for generators of other kinds."""
    first, second = _place(state), _place(other)
    if first is None or second is None:
        is_array = isinstance(state, torch.Tensor) and isinstance(other, torch.Tensor)
        return bool(torch.equal(state, other)) if is_array else bool(state == other)
    return first.drawn == second.drawn and np.array_equal(first.block, second.block)


def _place(state: Any) -> SequencePlace | None:
    match state:
        case torch.Tensor() if state.device.type == "cpu" and state.nbytes == _TORCH.itemsize:
            held = state.numpy().view(_TORCH)[0]
            return SequencePlace(held["key"].astype(np.uint32), _BLOCK + 1 - int(held["left"]))
        case ("MT19937", block, int(drawn), *_):
            return SequencePlace(np.asarray(block, np.uint32), drawn)
        case (3, tuple(numbers), _):
            return SequencePlace(np.array(numbers[:-1], np.uint32), numbers[-1])
    return None


def _with_place(state: Any, place: SequencePlace) -> Any:
    if isinstance(state, torch.Tensor):
        moved = state.clone()
        held = moved.numpy().view(_TORCH)[0]
        held["key"], held["next"], held["left"] = place.block, place.drawn, _BLOCK + 1 - place.drawn
        return moved
    if state[0] == "MT19937":
        return (state[0], place.block, place.drawn, *state[3:])
    return (state[0], (*place.block.tolist(), place.drawn), state[2])


def _distance(first: SequencePlace, later: SequencePlace) -> int | None:
    """How many numbers are drawn from one place to a later one."""
    sequence, number = _Sequence(first), 0
    for _ in range(_MAX_BLOCKS):
        place = sequence.place()
        if np.array_equal(place.block, later.block):
            return number + later.drawn - place.drawn if later.drawn >= place.drawn else None
        number += sequence.draw(_BLOCK + 1 - place.drawn)
    return None


def _after(place: SequencePlace, number: int) -> SequencePlace:
    sequence = _Sequence(place)
    sequence.draw(number)
    return sequence.place()


class _Sequence:
    """The sequence from a place on."""

    def __init__(self, place: SequencePlace) -> None:
        self._source = np.random.MT19937(0)
        state: Any = {"key": place.block, "pos": place.drawn}
        self._source.state = {"bit_generator": "MT19937", "state": state}

    def place(self) -> SequencePlace:
        """Where it is now."""
        state = self._source.state["state"]
        return SequencePlace(state["key"], int(state["pos"]))

    def draw(self, number: int) -> int:
        """Draw so many numbers; returns how many."""
        if number:
            self._source.random_raw(number, output=False)
        return number
