"""Lists, deques, dicts and sets of the user, which a step changes.

A replay buffer, or the log-probabilities of an episode, grow while a step is made. At the update
they hold what the step has added. The step made again adds as many items, which gives the number
that they had when it began. Afterwards they hold what they held at the update.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from stayfinite.frameworks.torch.plain.own_attributes import DEPTH, is_of_user, own_attributes

_MUTABLE = (list, dict, set, collections.deque, collections.defaultdict, collections.OrderedDict)
# Containers of more items are not searched for others, such as the lists of an episode in a dict.
_MAX_SEARCHED = 64


class Containers:
    """The lists, deques, dicts and sets that names and objects of the user hold.

    Args:
        values: What the names stand for.

    Attributes:
        known: The identities of those that hold what they held before the step.
    """

    def __init__(self, values: Iterable[object]) -> None:
        self._found: list[Any] = []
        # By the identity of a list: how many of its items the step has added.
        self._added: dict[int, int] = {}
        self.known: frozenset[int] = frozenset()
        self.look(values)

    def look(self, values: Iterable[object]) -> None:
        """Keep the containers that more values hold as well."""
        found = {id(each): each for each in self._found}
        for value in values:
            for container in _containers_in(value, DEPTH):
                found.setdefault(id(container), container)
        self._found = list(found.values())

    def add_as(self, known: Any, other: Any) -> None:
        """Keep `other` too, to which its step has added as many items as this one to `known`."""
        added = self._added.get(id(known))
        if added and type(other) is type(known) and all(other is not each for each in self._found):
            self._found.append(other)
            self._added[id(other)] = min(added, len(other))

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """In the block they begin as before the step; after it they are as they were."""
        with self._put_back():
            for container in self._found:
                for _ in range(self._added.get(id(container), 0)):
                    container.pop()
            yield

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """The block makes the step. What it adds to lists and deques was added before, too."""
        before = {id(each): list(each) for each in self._lists()}
        self._added = {}
        with self._put_back():
            try:
                yield
            finally:
                for each in self._lists():
                    if id(each) not in self.known:
                        self._added[id(each)] = _num_added(before[id(each)], list(each))

    @property
    def may_have_grown(self) -> bool:
        """Whether there is a list or deque that holds anything."""
        return any(self._lists())

    def _lists(self) -> list[Any]:
        return [each for each in self._found if isinstance(each, list | collections.deque)]

    @contextlib.contextmanager
    def _put_back(self) -> Iterator[None]:
        copies = [container.copy() for container in self._found]
        try:
            yield
        finally:
            for container, copy in zip(self._found, copies, strict=True):
                _fill(container, copy)


def _containers_in(value: Any, depth: int) -> Iterator[Any]:
    if type(value) in _MUTABLE:
        yield value
        if depth > 0 and not isinstance(value, set) and len(value) <= _MAX_SEARCHED:
            for held in value.values() if isinstance(value, dict) else value:
                yield from _containers_in(held, depth - 1)
    elif depth > 0 and type(value) is tuple and len(value) <= _MAX_SEARCHED:
        for held in value:
            yield from _containers_in(held, depth - 1)
    elif depth > 0 and is_of_user(type(value)):
        for held in own_attributes(value).values():
            yield from _containers_in(held, depth - 1)


def _num_added(before: list[object], after: list[object]) -> int:
    """How many items were appended: the longest part of `before` that `after` begins with."""
    for dropped in range(len(before) + 1):
        kept = before[dropped:]
        if len(kept) <= len(after) and all(a is b for a, b in zip(kept, after, strict=False)):
            return min(len(after) - len(kept), len(before))
    return 0


def _fill(container: Any, items: Any) -> None:
    """Make `container` hold `items`; it is not written to if it does."""
    now, wanted = _listed(container), _listed(items)
    if len(now) == len(wanted) and all(_is_same(a, b) for a, b in zip(now, wanted, strict=True)):
        return
    container.clear()
    (container.update if isinstance(container, dict | set) else container.extend)(items)


def _listed(container: Any) -> list[object]:
    return list(container.items() if isinstance(container, dict) else container)


def _is_same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    # Pairs of a dict are made anew by `items`.
    is_pair = type(one) is tuple and type(other) is tuple and len(one) == len(other) == 2
    return is_pair and one[0] is other[0] and one[1] is other[1]
