"""The modules that a training loop trains, found when they are needed, and their names.

A healthy training registers nothing for its modules. Those that own the parameters of an optimizer
are found among the objects of the garbage collector.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from stayfinite.frameworks.torch.plain import private_modules

T = TypeVar("T")

# What wrappers put in front of the names of the module inside: `torch.compile`, data parallel.
_WRAPPERS = ("_orig_mod.", "module.")


@dataclass(frozen=True)
class NamedModule:
    """An outermost module under the name that the user has for it."""

    name: str
    module: torch.nn.Module


def living(kind: type[T]) -> list[T]:
    """Every live object of a class."""
    things = gc.get_objects()
    # Not isinstance: it asks proxies for their class, which may run code of the user.
    kinds = {each for each in set(map(type, things)) if issubclass(each, kind)}
    return [thing for thing in things if type(thing) in kinds]


def owners(
    parameters: Iterable[torch.Tensor], modules: Sequence[torch.nn.Module]
) -> list[torch.nn.Module]:
    """The outermost of `modules` that own one of `parameters`."""
    wanted = {id(parameter) for parameter in parameters}
    found = [m for m in modules if any(id(p) in wanted for p in m.parameters())]
    inner = {id(child) for module in found for child in module.modules() if child is not module}
    return [module for module in found if id(module) not in inner]


def named(modules: Sequence[torch.nn.Module], names: Mapping[str, object]) -> list[NamedModule]:
    """`modules` under the names among `names` that stand for them, else that of their class."""
    by_id = {id(value): name for name, value in names.items()}
    inside = {
        id(inner): name
        for name, value in names.items()
        if isinstance(value, torch.nn.Module)
        for inner in value.children()
    }
    taken: set[str] = set()
    found = []
    for module in modules:
        name = by_id.get(id(module)) or inside.get(id(module)) or _class_name(module)
        while name in taken:
            name += "_"
        taken.add(name)
        found.append(NamedModule(name, module))
    return found


def plain_name(name: str) -> str:
    """The name of a parameter without what wrappers put in front of it."""
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The user's module inside `torch.compile` and data parallel."""
    while True:
        inner: Any = private_modules.compiled_module(module)
        if inner is None and _is_parallel(module):
            inner = getattr(module, "module", None)
        if not isinstance(inner, torch.nn.Module):
            return module
        module = inner


def _is_parallel(module: torch.nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn.parallel")


def _class_name(module: torch.nn.Module) -> str:
    return type(unwrapped(module)).__name__.lower()


def modules_in(names: dict[str, object]) -> Iterable[torch.nn.Module]:
    """The modules that names stand for, and those that objects of the user hold."""
    for value in names.values():
        if issubclass(type(value), torch.nn.Module):
            yield value
        elif hasattr(value, "__dict__") and not isinstance(value, type):
            for held in list(vars(value).values()):
                if issubclass(type(held), torch.nn.Module):
                    yield held


def outermost(modules: Iterable[torch.nn.Module]) -> list[torch.nn.Module]:
    """Those with tensors that are inside no other."""
    found = list({id(module): module for module in modules}.values())
    inner = {id(child) for module in found for child in module.modules() if child is not module}
    return [module for module in found if id(module) not in inner and _has_tensors(module)]


def _has_tensors(module: torch.nn.Module) -> bool:
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())
