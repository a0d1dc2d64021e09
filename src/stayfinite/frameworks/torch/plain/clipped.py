"""The norm that a loop clips its gradients by, in the place of a pass over them.

`clip_grad_norm_` has read every gradient. Its norm is that of the gradients of an update where
nothing can have been written to them since: where the code between both calls does nothing else. A
count of writes does not tell, as what writes to `gradient.data` is not counted.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch

# What code does between both calls: it keeps the norm, and finds the optimizer.
_TAKES_VALUES = ("LOAD_", "STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF")
_NOTHING = frozenset(("CACHE", "EXTENDED_ARG", "NOP", "POP_TOP", "PRECALL", "PUSH_NULL"))
_OWN = frozenset(("torch", "stayfinite"))


class Clip(NamedTuple):
    """One call of `clip_grad_norm_`.

    Attributes:
        gradients: Their identities.
        norm: Their norm before.
        frame_id: The identity of the frame that calls it.
        instruction: The instruction that this frame is at.
    """

    gradients: frozenset[int]
    norm: torch.Tensor
    frame_id: int
    instruction: int


class ClippedNorm:
    """The last norm that gradients were clipped by.

    Attributes:
        last: The call; None where `bound_of` knows nothing.
    """

    def __init__(self) -> None:
        self.last: Clip | None = None

    def clipped(
        self, gradients: Sequence[Any], norm: Any, kind: Any, largest: Any, innermost: FrameType
    ) -> None:
        """Gradients were clipped.

        Args:
            gradients: The gradients.
            norm: Their norm before.
            kind: The `p` of this norm.
            largest: What it was clipped to.
            innermost: The innermost frame.
        """
        self.last = None
        # With another norm, or factor, an element may be larger than the norm.
        if not (type(norm) is torch.Tensor and norm.is_cpu and norm.numel() == 1):
            return
        frame = _caller(innermost)
        if frame is not None and _is_at_least(1, kind) and _is_at_least(0, largest):
            identities = frozenset(map(id, gradients))
            self.last = Clip(identities, norm, id(frame), frame.f_lasti)

    def forget(self) -> None:
        """Something else may be written to the gradients."""
        self.last = None

    def bound_of(self, gradients: Sequence[torch.Tensor], innermost: FrameType) -> float | None:
        """A bound on the magnitude of every element of gradients that an optimizer is about to get.

        It is given once for each call of `clip_grad_norm_`.

        Args:
            gradients: The gradients.
            innermost: The innermost frame, in which the optimizer is applied.

        Returns:
            NaN or infinity where one may not be finite; None where the gradients may be others than
            those that were clipped.
        """
        clip, self.last = self.last, None
        frame = None if clip is None else _caller(innermost)
        if clip is None or frame is None or id(frame) != clip.frame_id:
            return None
        if not _is_next_call(frame.f_code, clip.instruction, frame.f_lasti):
            return None
        if not clip.gradients.issuperset(map(id, gradients)):
            return None
        return float(clip.norm.item())


def _caller(innermost: FrameType) -> FrameType | None:
    """The first frame outside of PyTorch, whose code writes to gradients as is known."""
    frame: FrameType | None = innermost
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if type(module) is not str or module.partition(".")[0] not in _OWN:
            return frame
        frame = frame.f_back
    return None


def _is_at_least(least: float, value: object) -> bool:
    """Whether a value is a number of at least `least`; NaN is not."""
    return isinstance(value, int | float) and value >= least


@functools.lru_cache(maxsize=256)
def _is_next_call(code: CodeType, first: int, second: int) -> bool:
    """Whether the call at `second` is reached from the one at `first` alone, and at once.

    A frame may be at an instruction, or at the caches that follow it.
    """
    instructions = list(dis.get_instructions(code))
    begin = max((n for n, each in enumerate(instructions) if each.offset <= first), default=-1)
    end = max((n for n, each in enumerate(instructions) if each.offset <= second), default=-1)
    between = instructions[begin + 1 : end + 1]
    if not between or any(each.is_jump_target for each in between):
        return False
    names = [each.opname for each in between[:-1]]
    return all(name in _NOTHING or name.startswith(_TAKES_VALUES) for name in names)
