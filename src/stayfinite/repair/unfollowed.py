"""Uses of an object at which it is not known who calls it: hooks, libraries, computed names.

A search for the readers of a network follows it by the text of the program. Here that ends.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stayfinite.graph.graph import Span
from stayfinite.repair.object_names import Place, last_name
from stayfinite.repair.other_readers import called_at_all, places_of_made, program_of
from stayfinite.repair.same_objects import ObjectPlaces, given
from stayfinite.repair.source import SourceFile

# A hook may be set on a part of the network, under any name.
_HOOKS = frozenset(
    "register_forward_hook register_full_backward_hook register_module_forward_hook"
    " register_module_full_backward_hook".split()
)
# Callables of libraries that call no network by themselves, or give what stands for it.
_KNOWN = frozenset(
    "AveragedModel DataParallel DistributedDataParallel FullyShardedDataParallel Model ModuleDict"
    " ModuleList Sequential add append bind clone_model compile copy deepcopy dict enumerate extend"
    " fit fully_shard functional_call id insert isinstance iter len list load_model load_state_dict"
    " parametrize prepare print prune reversed save save_model script set setup spectral_norm"
    " summary tuple type validate watch weight_norm zip".split()
)
_OF_CLASS = re.compile(r"(\w*)\.\w+")


@dataclass(frozen=True)
class UnfollowedUse:
    """The text of a use that cannot be followed, with its file and line."""

    text: str
    path: str
    line: int


def unfollowed_calls(calls: Sequence[Span]) -> UnfollowedUse | None:
    """A use that cannot be followed of what is called at `calls`; None where there is none."""
    program = program_of([span.file for span in calls])
    return _first(program, program.same(called_at_all(program, calls)))


def unfollowed_object(source: SourceFile, made: ast.expr) -> UnfollowedUse | None:
    """A use that cannot be followed of what the program makes at `made`."""
    program, places = places_of_made(source, made)
    return _first(program, places)


def _first(program: ObjectPlaces, places: set[Place]) -> UnfollowedUse | None:
    for source in program.sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and _is_unfollowed(program, places, source, node):
                text = source.text_of(node).splitlines()[0]
                return UnfollowedUse(text, Path(source.path).name, node.lineno)
    return None


def _is_unfollowed(
    program: ObjectPlaces, places: set[Place], source: SourceFile, call: ast.Call
) -> bool:
    name = last_name(call.func)
    if name in _HOOKS:
        return True
    if name == "getattr" and len(call.args) > 1:
        is_known = isinstance(call.args[1], ast.Constant)
        return not is_known and _may_hold(program, places, source, call.args[0])
    if name == "globals":
        return any(" in " in place for place in places)
    names = program.names
    if not name or name in _KNOWN or name in names.functions or name in names.classes:
        return False
    if isinstance(call.func, ast.Attribute):
        receiver = names.place(source, call.func.value)
        if receiver is not None and receiver in places:
            return False  # a method of the network
    return not places.isdisjoint(_given(program, source, call))


def _given(program: ObjectPlaces, source: SourceFile, call: ast.Call) -> Iterator[Place]:
    """The objects that a call is given as they are, or in a display of them."""
    for argument in given(call):
        if not isinstance(argument, ast.Call):
            yield from program.places(source, argument)


def _may_hold(
    program: ObjectPlaces, places: set[Place], source: SourceFile, owner: ast.expr
) -> bool:
    """Whether an attribute of an object may be one of `places`."""
    if program.names.module(source, owner) is not None:
        return False
    classes = {found[1] for place in places if (found := _OF_CLASS.fullmatch(place)) is not None}
    if not classes:
        return False
    of_owner = program.same(program.places(source, owner))
    known = {place.removeprefix("self of ") for place in of_owner if place.startswith("self of ")}
    return not known or "" in classes or not known.isdisjoint(classes)
