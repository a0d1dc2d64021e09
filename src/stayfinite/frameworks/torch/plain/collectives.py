"""What a step that is made in one process alone has in the place of the calls to other processes.

The methods of the groups are replaced. A function of `torch.distributed` may be known by a name of
the program, and others of them call it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stayfinite.frameworks.attributes import replaced
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.torch.plain import private

# Those that leave a process with its own values, as for the mean of a loss in a log, or of its
# gradients; with others a process needs what the others have.
_LEFT_OUT = ("allreduce", "allreduce_coalesced", "barrier", "monitored_barrier", "reduce")


@dataclass
class LeftOut:
    """What was left out.

    Attributes:
        largest: The number of elements of the largest tensor that was to be reduced.
    """

    largest: int = 0

    def note(self, arguments: Sequence[Any]) -> None:
        """Note the tensors of a call."""
        tensors = arguments[0] if arguments and isinstance(arguments[0], list) else ()
        sizes = [each.numel() for each in tensors if isinstance(each, torch.Tensor)]
        self.largest = max(self.largest, *sizes, 0)


@contextlib.contextmanager
def without_collectives() -> Iterator[LeftOut]:
    """Inside the block, no other process is sent or asked for anything."""
    left_out = LeftOut()

    def done(group: object, *args: Any, **kwargs: Any) -> _Done:
        left_out.note(args)
        return _Done()

    groups = torch.distributed.ProcessGroup
    with contextlib.ExitStack() as stack:
        for names, instead in ((_LEFT_OUT, done), (private.NEEDING_OTHERS, _not_alone)):
            for name in names:
                if hasattr(groups, name):
                    stack.enter_context(replaced(groups, name, instead))
        yield left_out


class _Done:
    """The handle of a call that was left out."""

    def wait(self, *args: Any) -> bool:
        """It is over."""
        return True

    def is_completed(self) -> bool:
        """It is over."""
        return True


def _not_alone(*args: Any, **kwargs: Any) -> None:
    raise CannotRemakeError(WhyNot(Obstacle.VALUES_FROM_PROCESSES))
