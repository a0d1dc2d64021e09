"""The places where objects, modules, dicts and lists of the user hold numbers and arrays."""

from __future__ import annotations

import collections
import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import torch

from stayfinite.frameworks.frames import all_values_of
from stayfinite.frameworks.source_loops import SourceLoop
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain import private_modules
from stayfinite.frameworks.torch.plain.own_attributes import (
    DEPTH,
    MAX_BYTES,
    OF_MODULES,
    is_of_user,
    own_attributes,
)

# Arrays that are written to in place are copied at each update, up to so many bytes in all.
_MAX_COPIED = 2**20
# Containers of more entries, such as a replay buffer, are not searched; nor is more than so much.
_MAX_ENTRIES = 64
_MAX_HOLDERS = 1000
_PLAIN = (int, float, bool, str, type(None), complex)
_SEQUENCES = (list, collections.deque)


class Holder(NamedTuple):
    """A dict, list or deque with places: attributes of an object, buffers of a module, a container.

    Attributes:
        of: Gives the dict, list or deque; None where the object is gone.
        owner_id: The identity of the object, or of the container.
    """

    of: Callable[[], Any]
    owner_id: int


class CarriedPlace(NamedTuple):
    """One entry of a holder, with its value; of a list or deque all: `key` is None then.

    `copy` is one of the array, where steps write to it in place, and `version` counts the writes to
    a tensor until then.
    """

    holder: Holder
    key: Any
    value: Any
    copy: Any = None
    version: int = 0


GONE = object()


def value_at(held: Any, key: Any) -> Any:
    """What a holder holds under the key of a place; `GONE` where it holds nothing there."""
    return tuple(held) if key is None else held.get(key, GONE)


def has_changed(place: CarriedPlace) -> bool:
    """Whether it holds something else than was noted, or its array was written to."""
    held = place.holder.of()
    if held is None:
        return False
    is_bound_anew = not is_same(place.value, value_at(held, place.key))
    return is_bound_anew or (place.copy is not None and is_written(place))


def is_written(place: CarriedPlace) -> bool:
    """Whether an array has been written to since it was copied."""
    if isinstance(place.value, torch.Tensor):
        return private.writes_to([place.value]) != (place.version,)
    return differs(place)


def differs(place: CarriedPlace) -> bool:
    """Whether an array holds other numbers than its copy; NaN is another one."""
    if isinstance(place.value, torch.Tensor):
        with private.unseen():
            return not torch.equal(place.value, place.copy)
    return not np.array_equal(place.value, place.copy)


def copy_of(array: Any) -> Any:
    """A copy of an array."""
    with private.unseen():
        return array.clone() if isinstance(array, torch.Tensor) else array.copy()


def write_back(copies: Iterable[tuple[Any, Any]]) -> None:
    """Give arrays the numbers of their copies."""
    with private.unseen(), torch.no_grad():
        for array, copy in copies:
            array[...] = copy


def with_copies(places: Iterable[CarriedPlace]) -> list[CarriedPlace]:
    """The places, those of small arrays that can be written to with a copy."""
    found = []
    left = _MAX_COPIED
    for place in places:
        value, copy, version = place.value, None, 0
        if isinstance(value, torch.Tensor) and not (value.requires_grad or value.is_inference()):
            is_copied = value.nbytes <= left and value.layout is torch.strided
            copy = copy_of(value) if is_copied else None
            version = private.writes_to([value])[0]
        elif type(value) is np.ndarray and value.flags.writeable and not value.dtype.hasobject:
            copy = value.copy() if value.nbytes <= left else None
        left -= 0 if copy is None else copy.nbytes
        found.append(place._replace(copy=copy, version=version))
    return found


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same objects, or equal numbers."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if type(one) is tuple:
        return len(one) == len(other) and all(map(is_same, one, other))
    return isinstance(one, _PLAIN) and bool(one == other)


class _Attributes:
    """The attributes of an object; None where it is gone, as of the dicts below."""

    def __init__(self, owner: object) -> None:
        self._owner = _referred(owner)

    def __call__(self) -> Any:
        owner = self._owner()
        return None if owner is None else self._held_by(owner)

    def _held_by(self, owner: Any) -> Any:
        return vars(owner)


class _Frozen(_Attributes):
    """The parameters of a module, of which those without gradients are places."""

    def _held_by(self, owner: Any) -> Any:
        return private_modules.parameters_of(owner)


class Buffers(_Attributes):
    """The buffers of a module."""

    def _held_by(self, owner: Any) -> Any:
        return private_modules.buffers_of(owner)


def _referred(owner: object) -> Callable[[], Any]:
    try:
        return weakref.ref(owner)
    except TypeError:
        return lambda: owner


def names_of(frame: FrameType) -> Mapping[str, object]:
    """The names of a running frame and of its module, with their values."""
    return {**frame.f_globals, **all_values_of(frame)}


def bound_globals(frame: FrameType, loop: SourceLoop) -> tuple[dict[str, Any], frozenset[str]]:
    """The globals of a module, and which of them the loop itself binds."""
    own = loop.bound.union(loop.targets) if loop.is_of_module else frozenset()
    return frame.f_globals, own


def looked_up(
    named: Sequence[Mapping[str, object]],
    roots: Sequence[torch.nn.Module] = (),
    of_module: tuple[dict[str, Any], frozenset[str]] | None = None,
) -> list[tuple[Holder, list[CarriedPlace]]]:
    """Every holder that names and modules lead to, with its places."""
    found: list[tuple[Holder, list[CarriedPlace]]] = []
    if of_module is not None:
        held, own = of_module
        holder = Holder(lambda: held, id(held))
        names = [name for name in held if name not in own and not name.startswith("__")]
        found.append(
            (holder, [CarriedPlace(holder, n, held[n]) for n in names if _is_value(held[n])])
        )
    values = [v for names in named for n, v in names.items() if not n.startswith("__")]
    seen: set[int] = set()
    for value in itertools.chain(roots, values):
        for holder in _holders_in(value, DEPTH, seen):
            if len(found) >= _MAX_HOLDERS:
                return found
            places = _places_of(holder)
            if places:
                found.append((holder, places))
    return found


def _places_of(holder: Holder) -> list[CarriedPlace]:
    held = holder.of()
    if type(held) in _SEQUENCES:
        whole = tuple(held)
        return [CarriedPlace(holder, None, whole)] if all(map(_is_value, whole)) else []
    if type(holder.of) is _Frozen:
        held = {
            k: v for k, v in held.items() if type(v) is torch.nn.Parameter and not v.requires_grad
        }
        return [CarriedPlace(holder, k, v) for k, v in held.items() if num_bytes(v) <= _MAX_COPIED]
    without = OF_MODULES if type(holder.of) is _Attributes else ()
    return [
        CarriedPlace(holder, k, v) for k, v in held.items() if k not in without and _is_value(v)
    ]


def _is_value(value: Any) -> bool:
    """Whether a value is a number or an array, which a step may carry to the next one."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, np.generic):
        return True
    if kind is tuple:
        return len(value) <= _MAX_ENTRIES and all(map(_is_value, value))
    is_array = kind is np.ndarray or kind is torch.Tensor
    return is_array and num_bytes(value) <= MAX_BYTES


def num_bytes(value: Any) -> int:
    """Bytes of the arrays in a value."""
    if type(value) is tuple:
        return sum(map(num_bytes, value))
    return int(value.nbytes) if isinstance(value, (torch.Tensor, np.ndarray)) else 0


def _holders_in(value: Any, depth: int, seen: set[int]) -> Iterator[Holder]:
    """The dicts, lists and objects of the user in a value, and the buffers of modules."""
    if id(value) in seen:
        return
    kind = type(value)
    inner: Iterable[Any] = ()
    if kind is dict or kind in _SEQUENCES:
        seen.add(id(value))
        if len(value) > _MAX_ENTRIES:
            return
        yield Holder(lambda: value, id(value))
        inner = list(value.values()) if kind is dict else list(value)
    elif isinstance(value, torch.nn.Module):
        for module in value.modules():
            if module is not value and id(module) in seen:
                continue
            seen.add(id(module))
            if private_modules.buffers_of(module):
                yield Holder(Buffers(module), id(module))
            if private_modules.parameters_of(module):
                yield Holder(_Frozen(module), id(module))
            if is_of_user(type(module)):
                yield Holder(_Attributes(module), id(module))
                inner = [*inner, *own_attributes(module).values()]
    elif is_of_user(kind):
        seen.add(id(value))
        yield Holder(_Attributes(value), id(value))
        inner = list(own_attributes(value).values())
    if depth > 0:
        for held in inner:
            yield from _holders_in(held, depth - 1, seen)
