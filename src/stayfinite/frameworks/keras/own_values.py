"""What an eager step sets beside its variables: attributes of the user's objects, random numbers.

A weight that grows with a counter, or noise of NumPy, is another one in each run of a step.
A compiled step reads both only while it is traced.
"""

from __future__ import annotations

import collections
import contextlib
import operator
import random
import weakref
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import CodeType
from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.keras import plain_values, source_values
from stayfinite.frameworks.keras.subject import KerasSubject
from stayfinite.frameworks.subject import Subject
from stayfinite.graph.code_owner import is_user_file

# Steps in which it is looked at whether a step draws from the generators of Python and NumPy.
_NUM_PROBED = 3
# Bytes: a larger array is data.
_MAX_BYTES = 2**16
_MAX_ITEMS = 1000
# Objects of the user that an attribute of such an object holds.
_DEPTH = 3
# Set once by the first call, with the weights.
_OF_KERAS = frozenset({"built"})
_PLAIN = (int, float, complex, str, bytes, bool, type(None), np.generic)
_MISSING = object()


@dataclass(frozen=True)
class _NotedValue:
    """The value of an attribute, and its content where that may change in place."""

    value: object
    content: Any = None


@dataclass(frozen=True)
class Noted:
    """What the values were. `random` has the states of the generators of Python and NumPy."""

    attributes: list[dict[str, _NotedValue]]
    random: tuple[Any, Any] | None


class OwnValues:
    """Attributes that the user's methods name: of a model, its layers, losses, metrics, optimizers.

    Args:
        subject: The model is not kept alive.
    """

    def __init__(self, subject: KerasSubject) -> None:
        found = _Objects()
        for part in _parts(subject):
            found.add(part, _DEPTH)
        self._objects = [(weakref.ref(each), names) for each, names in found.named.values()]
        self._last: Noted | None = None
        self._last_step = -1
        self._num_begun = 0
        self._is_drawn = False

    def begin(self, step: int, *, always: bool) -> None:
        """Note what is there before the step `step`, whose data are drawn.

        Args:
            step: Its number.
            always: Whether to note the generators also where no step drew from them.
        """
        is_probing = self._num_begun < _NUM_PROBED
        self._num_begun += 1
        before = None if self._last is None else self._last.random
        wants = always or is_probing or self._is_drawn
        self._last = self.noted(with_random=wants)
        self._last_step = step
        if is_probing and before is not None and self._last.random is not None:
            self._is_drawn = self._is_drawn or not _same_random(before, self._last.random)

    def restore_before(self, step: int) -> None:
        """Have everything as it was before the step `step`, if that is the last one."""
        if self._last is not None and self._last_step == step:
            self.restore(self._last)

    def noted(self, *, with_random: bool) -> Noted:
        """What is there now."""
        attributes = []
        for reference, names in self._objects:
            owner = reference()
            present = {} if owner is None else vars(owner)
            held = {n: present[n] for n in names if n in present}
            attributes.append({n: _NotedValue(v, _content(v)) for n, v in held.items()})
        states = (random.getstate(), np.random.get_state()) if with_random else None
        return Noted(attributes, states)

    def restore(self, noted: Noted) -> None:
        """Have everything as it was when `noted` was made."""
        for (reference, names), before in zip(self._objects, noted.attributes, strict=True):
            owner = reference()
            if owner is not None:
                _restore(vars(owner), names, before)
        if noted.random is not None:
            random.setstate(noted.random[0])
            np.random.set_state(noted.random[1])

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Everything is after the block as it was before it."""
        noted = self.noted(with_random=True)
        try:
            yield
        finally:
            self.restore(noted)


def of_subject(subject: Subject) -> OwnValues | None:
    """What a step of `subject` sets; None if it is no model of Keras."""
    return OwnValues(subject) if isinstance(subject, KerasSubject) else None


def kept(subject: Subject) -> AbstractContextManager[None]:
    """What a step of `subject` sets is after the block as it was before it."""
    own = of_subject(subject)
    return contextlib.nullcontext() if own is None else own.kept()


def _parts(subject: KerasSubject) -> Iterable[object]:
    """The model, and what it trains with; it may be one that is not compiled."""
    model = subject.model
    yield model
    yield from subject.layers()
    yield from subject.optimizers
    yield from keras.tree.flatten(getattr(model, "loss", None))
    yield from getattr(model, "metrics", ())


class _Objects:
    """Objects of the user's classes, each with the names that the methods of its class use."""

    def __init__(self) -> None:
        self.named: dict[int, tuple[object, frozenset[str]]] = {}
        self._of_kinds: dict[type, frozenset[str]] = {}

    def add(self, value: object, depth: int) -> None:
        """Add `value`, and what it holds, if its class is the user's."""
        if depth == 0 or id(value) in self.named or not hasattr(value, "__dict__"):
            return
        kind = type(value)
        if kind not in self._of_kinds:
            codes = (code for each in kind.__mro__ for code in _codes_of(each))
            names = frozenset(name for code in codes for name in code.co_names)
            self._of_kinds[kind] = names - _OF_KERAS
        names = self._of_kinds[kind]
        if not names:
            return
        self.named[id(value)] = value, names
        present = vars(value)
        for name in names & present.keys():
            self.add(present[name], depth - 1)


def _codes_of(kind: type) -> Iterator[CodeType]:
    """The code of the methods of a class, if it is written in a file of the user."""
    for held in vars(kind).values():
        code = getattr(held, "__code__", None)
        if isinstance(code, CodeType) and is_user_file(code.co_filename):
            yield code


def _content(value: Any) -> Any:
    """What a value holds that may change in place; None where that is not looked at."""
    if isinstance(value, _PLAIN):
        return None
    if isinstance(value, list):
        return len(value)
    if isinstance(value, dict | collections.deque):
        return value.copy() if len(value) <= _MAX_ITEMS else None
    if isinstance(value, keras.Variable | keras.random.SeedGenerator):
        return None  # a part of the state
    array = source_values.as_array(value)
    if array is not None:
        is_small = array.nbytes <= _MAX_BYTES and array.flags.writeable
        return array.copy() if is_small else None
    if source_values.is_generator(value):
        return source_values.generator_state(value)
    return None


def _restore(
    present: dict[str, Any], names: frozenset[str], before: dict[str, _NotedValue]
) -> None:
    for name in names & present.keys():
        now, held = present[name], before.get(name, _NotedValue(_MISSING))
        if now is held.value:
            _put_content(now, held.content)
        elif held.value is _MISSING:
            if _is_plain(now):
                del present[name]
        elif _is_plain(now) and _is_plain(held.value):
            present[name] = held.value
            _put_content(held.value, held.content)


def _put_content(value: Any, content: Any) -> None:
    if content is None:
        return
    if isinstance(value, list):
        # What a step appends; the items before are not looked at.
        del value[content:]
    elif isinstance(value, dict | collections.deque):
        if not _same_items(value, content):
            plain_values.put_into(value, content)
    elif source_values.as_array(value) is not None:
        source_values.put_array(value, content)
    else:
        source_values.set_generator(value, content)


def _same_items(one: Any, other: Any) -> bool:
    """Whether two dictionaries, or two queues, hold the same objects in the same order."""
    if isinstance(one, dict):
        return _same_items([*one, *one.values()], [*other, *other.values()])
    return len(one) == len(other) and all(map(operator.is_, one, other))


def _is_plain(value: Any) -> bool:
    """Whether a step may set an attribute to such a value: a number, a text, an array, a tensor."""
    return isinstance(value, _PLAIN) or keras.ops.is_tensor(value) or isinstance(value, np.ndarray)


def _same_random(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    of_numpy = all(np.array_equal(a, b) for a, b in zip(one[1], other[1], strict=True))
    return one[0] == other[0] and of_numpy
