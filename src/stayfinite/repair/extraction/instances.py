"""Objects of the user's own classes: made by interpreted code, or known by their class alone."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence

from stayfinite.graph.code_owner import is_user_file
from stayfinite.repair.extraction.run import Run
from stayfinite.repair.extraction.values import named_number

_UNUSUAL = {"__new__", "__getattr__", "__getattribute__", "__slots__"}
Enter = Callable[[types.FunctionType, Sequence[object], Mapping[str, object]], object]


def made_instance(
    run: Run, kind: type, positional: Sequence[object], named: Mapping[str, object], enter: Enter
) -> object | None:
    """An object of a class of the user's own, with `__init__` interpreted by `enter`.

    None where making one may do more than that.
    """
    if not is_plain_class(kind):
        return None
    made: object = object.__new__(kind)
    run.instances.append(made)
    begin = inspect.getattr_static(kind, "__init__")
    if dataclasses.is_dataclass(kind) and getattr(begin, "__module__", None) == kind.__module__:
        return made if _filled(run, made, kind, positional, named) else None
    if isinstance(begin, types.FunctionType):
        try:
            enter(begin, [made, *positional], named)
        except LookupError:
            return None
    return made


def _filled(
    run: Run, made: object, kind: type, positional: Sequence[object], named: Mapping[str, object]
) -> bool:
    """Give the fields of a data class their values, if nothing else happens in its making."""
    if hasattr(kind, "__post_init__"):
        return False
    try:
        arguments = inspect.signature(kind).bind(*positional, **named)
    except TypeError:
        return False
    arguments.apply_defaults()
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in arguments.arguments.items():
        field = fields.get(name)
        if field is None or field.default_factory is not dataclasses.MISSING:
            return False
        run.attributes[id(made), name] = named_number(value, name)
    return True


def blank_instance(function: types.FunctionType) -> object | None:
    """An object of the class that has `function` as a method, without attributes of its own."""
    owner: object = None
    names: Mapping[str, object] = function.__globals__
    for part in function.__qualname__.split(".")[:-1]:
        owner = names.get(part)
        names = vars(owner) if isinstance(owner, type) else {}
    if isinstance(owner, type) and names.get(function.__name__) is function:
        return object.__new__(owner) if is_plain_class(owner) else None
    return None


@functools.cache
def is_plain_class(kind: type) -> bool:
    """Whether a class and its bases are the user's, and an object of it is made as usual."""
    if type(kind) is not type:
        return False
    for base in kind.__mro__[:-1]:
        module = sys.modules.get(base.__module__)
        file = getattr(module, "__file__", None) or ""
        if base.__module__ != "__main__" and not is_user_file(file):
            return False
        if _UNUSUAL & vars(base).keys():
            return False
    return True
