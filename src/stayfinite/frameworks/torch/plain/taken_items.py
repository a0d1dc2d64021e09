"""The items that the iterations of a loop took by `next(...)` or by loops inside its body."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stayfinite.frameworks.source_loops import SourceLoop, Statement
from stayfinite.frameworks.torch.plain.randomness import Generators
from stayfinite.frameworks.torch.plain.steps import Take
from stayfinite.frameworks.torch.plain.targets import bind


class TakenItem(NamedTuple):
    """What was drawn inside the body, and the random generators after it, if they are known."""

    value: object
    generators: Generators | None = None


def with_own(
    items: Mapping[str, Sequence[object]], loop: SourceLoop, values: Mapping[str, object]
) -> Mapping[str, Sequence[object]]:
    """The items of loops inside the body, and that of each name which the body itself takes."""
    return {**items, **{name: [values[name]] for name in loop.taken if name in values}}


def of_last_iteration(takes: list[Take], loop: SourceLoop) -> list[Take]:
    """Those after the last one that cannot be of the same iteration of `loop` as the next."""
    body = loop.node.body
    positions = [
        max((n for n, each in enumerate(body) if each.lineno <= take.statement.lineno), default=0)
        for take in takes
    ]
    for number in range(len(takes) - 1, 0, -1):
        before, after = positions[number - 1], positions[number]
        is_once = takes[number - 1].statement is takes[number].statement and not any(
            isinstance(node, Statement) for node in ast.walk(body[after])
        )
        if before > after or (before == after and is_once):
            return takes[number:]
    return takes


def items_of(takes: Sequence[Take]) -> dict[str, list[TakenItem]]:
    """By each name that is bound to `next(...)`, the items in their order; empty if unknown."""
    found: dict[str, list[TakenItem]] = {}
    for take in takes:
        bound = bind(take.statement.targets[0], take.item)
        if bound is None:
            return {}
        for name, value in bound.items():
            found.setdefault(name, []).append(TakenItem(value, take.generators))
    return found


def noted_items(
    taken: Mapping[str, Sequence[object]], known: dict[str, list[TakenItem]]
) -> dict[str, Sequence[TakenItem]]:
    """The items of an iteration as they were noted, which are taken away from `known`."""
    found: dict[str, Sequence[TakenItem]] = {}
    for name, items in taken.items():
        noted, known[name] = known.get(name, [])[: len(items)], known.get(name, [])[len(items) :]
        found[name] = noted if len(noted) == len(items) else [TakenItem(item) for item in items]
    return found


def part_of(items: Sequence[TakenItem], number: int, num_parts: int) -> Sequence[TakenItem]:
    """The items of one of several iterations that take as many."""
    size = len(items) // num_parts
    return items[number * size : (number + 1) * size]
