"""The weights of a loop as files that its modules load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from stayfinite.files.arrays import errors_of_the_disk
from stayfinite.frameworks.torch.plain.modules import NamedModule, unwrapped
from stayfinite.frameworks.torch.plain.sharded import local


def save_modules(roots: Sequence[NamedModule], others: Sequence[NamedModule], path: Path) -> None:
    """Write the state of the first of `roots` to `path`, and that of each other module beside it.

    The file of another module has its name: `last_good.encoder.safetensors`.
    """
    for number, each in enumerate([*roots, *others]):
        is_first = number == 0 and bool(roots)
        own = path if is_first else path.with_name(f"{path.stem}.{each.name}{path.suffix}")
        save_tensors(unwrapped(each.module).state_dict(), own)


def save_tensors(state: Mapping[str, object], path: Path) -> None:
    """Write the tensors of `state`; of sharded ones, the part that this process has.

    Raises:
        OSError: The file could not be written.
    """
    tensors = {k: local(v) for k, v in state.items() if isinstance(v, torch.Tensor)}
    # Weights that two names share are written twice.
    copies = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    with errors_of_the_disk(path):
        save_file(copies, path)
