"""The trainers of other libraries: how they make one step.

A step is made again by the trainer's own method, without the source of a loop. `hook_imported`
hooks the trainers that the program has imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from stayfinite.frameworks.torch.plain.trainers import huggingface, lightning, private
from stayfinite.frameworks.torch.plain.trainers.calls import TrainerCalls

_HOOKS: dict[str, Callable[[Any, TrainerCalls], None]] = {
    "transformers.trainer": huggingface.hook,
    "lightning.pytorch.loops.optimization.automatic": lightning.hook_automatic,
    "lightning.pytorch.loops.optimization.manual": lightning.hook_manual,
    "pytorch_lightning.loops.optimization.automatic": lightning.hook_automatic,
    "pytorch_lightning.loops.optimization.manual": lightning.hook_manual,
}
_hooked: set[str] = set()


def hook_imported(calls: TrainerCalls) -> None:
    """Hook each trainer that is imported and is not hooked yet.

    Raises:
        CannotGuardError: the release of the library lacks a name that is needed.
    """
    for name, hook in _HOOKS.items():
        if name in sys.modules and name not in _hooked:
            _hooked.add(name)
            hook(sys.modules[name], calls)


def start_by(launcher: str, command: Sequence[str]) -> None:
    """Have a launcher of Lightning start further processes of the script by `command`.

    Args:
        launcher: The module, which is imported.
        command: Runs the script.
    """
    private.set_command(sys.modules[launcher], command)
