"""The names of the tensors and modules of a step of a loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from stayfinite.frameworks.torch.plain.modules import NamedModule, plain_name
from stayfinite.graph.graph import Role


class SubjectNames:
    """Names that are unique over all modules of a step.

    Args:
        roots: The outermost modules that own the parameters of the optimizer.
        others: Outermost modules that take part in the step beside them.

    Attributes:
        tensors: Parameters and buffers of all modules, each once, with name and role.
        paths: The qualified name of each module, by its identity.
    """

    def __init__(self, roots: Sequence[NamedModule], others: Sequence[NamedModule]) -> None:
        self._modules = [*roots, *others]
        self.tensors = list(self._named_tensors())
        self.paths = {
            id(module): path for root in self._modules for path, module in self._paths(root)
        }

    def _named_tensors(self) -> Iterator[tuple[str, torch.Tensor, Role]]:
        seen: set[int] = set()
        for root in self._modules:
            prefix = self._prefix(root)
            kinds: tuple[tuple[Role, Any], ...] = (
                ("weight", root.module.named_parameters()),
                ("statistics", root.module.named_buffers()),
            )
            for role, tensors in kinds:
                for name, tensor in tensors:
                    if id(tensor) not in seen:
                        seen.add(id(tensor))
                        yield prefix + plain_name(name), tensor, role

    def _prefix(self, root: NamedModule) -> str:
        """Nothing for a single module, whose names are then those of its `state_dict`."""
        return "" if len(self._modules) == 1 else f"{root.name}."

    def _paths(self, root: NamedModule) -> Iterator[tuple[str, torch.nn.Module]]:
        prefix = self._prefix(root)
        for name, module in root.module.named_modules():
            path = plain_name(f"{name}.").rstrip(".")
            yield (f"{prefix}{path}" if path else root.name), module


def is_of_user(buffer: torch.Tensor, roots: Sequence[NamedModule]) -> bool:
    """Whether a buffer belongs to a module that is not of PyTorch."""
    for root in roots:
        for module in root.module.modules():
            if any(own is buffer for own in module.buffers(recurse=False)):
                return not type(module).__module__.startswith("torch.nn")
    return True
