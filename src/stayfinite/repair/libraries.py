"""The functions of the numerical libraries: which operation each computes, and its parameters.

One table, `library_table`, serves both directions. Reading: a live function object -> `Function`.
Writing: an operation -> its name in a library. Operations are those of `formula`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

from stayfinite.repair.formula import BINARY, REDUCTIONS, UNARY
from stayfinite.repair.library_table import METHODS, MODULES, PLAIN, SPECIAL, SYNONYMS, USUAL

Default = int | float | bool | str | None
_REQUIRED = "required"


@dataclass(frozen=True)
class Parameter:
    """One parameter: its keyword in the library, and the role of the argument for us."""

    keyword: str
    role: str
    default: Default = _REQUIRED

    @property
    def is_required(self) -> bool:
        """Whether every call passes it."""
        return self.default == _REQUIRED


@dataclass(frozen=True)
class Function:
    """A function `name` of the module `home`, which computes `op`."""

    home: str
    name: str
    op: str
    parameters: tuple[Parameter, ...]

    def bind(self, positional: list[object], named: Mapping[str, object]) -> dict[str, object]:
        """The arguments of a call by role, defaults filled in.

        Raises:
            TypeError: an argument has no parameter here, or a required one is missing.
        """
        if len(positional) > len(self.parameters):
            raise TypeError(f"{self.name} takes {len(self.parameters)} arguments")
        found = {p.role: value for p, value in zip(self.parameters, positional, strict=False)}
        for keyword, value in named.items():
            if keyword == "name":
                continue
            role = self.role(keyword, found)
            if role is None:
                raise TypeError(f"{self.name} has no parameter {keyword}")
            found[role] = value
        for parameter in self.parameters:
            if parameter.role not in found:
                if parameter.is_required:
                    raise TypeError(f"{self.name} needs {parameter.keyword}")
                found[parameter.role] = parameter.default
        return found

    def keyword(self, role: str) -> str | None:
        """What the library calls the argument `role`."""
        return next((p.keyword for p in self.parameters if p.role == role), None)

    def role(self, keyword: str, found: Mapping[str, object]) -> str | None:
        """The argument that a keyword means, None for one not known or `found` before."""
        for parameter in self.parameters:
            if parameter.keyword == keyword and parameter.role not in found:
                return parameter.role
        role = SYNONYMS.get(keyword)
        free = role is not None and role not in found
        return role if free and any(p.role == role for p in self.parameters) else None


class Libraries:
    """The table, parsed once."""

    def __init__(self) -> None:
        self._num_modules = 0

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """Every row."""
        return tuple(
            function for home in dict.fromkeys((*PLAIN, *SPECIAL)) for function in _rows(home)
        )

    @cached_property
    def spellings(self) -> dict[str, dict[str, str]]:
        """home -> operation -> the first name listed for it."""
        found: dict[str, dict[str, str]] = {}
        for function in self.functions:
            found.setdefault(function.home, {}).setdefault(function.op, function.name)
        return found

    def named(self, home: str, name: str) -> Function | None:
        """The row of a function."""
        return self._by_name.get((home, name))

    def method(self, name: str, family: str) -> Function | None:
        """The method `name` of a tensor, its receiver left out of the parameters."""
        row = self._methods.get(name)
        if row is not None and not (name == "transpose" and family == "torch"):
            return row
        homes = {"torch": ("torch", "torch.special"), "jax": ("jax.numpy",)}
        for home in homes.get(family, ("torch", "jax.numpy")):
            function = self.named(home, name)
            if function is not None and function.parameters[0].role == "x":
                return Function(home, name, function.op, function.parameters[1:])
        return None

    def of(self, called: object) -> Function | None:
        """The row of a live function."""
        if len(sys.modules) != self._num_modules:
            self._num_modules = len(sys.modules)
            self._look()
        found = self._live.get(id(called))
        return found[1] if found is not None and found[0] is called else None

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], Function]:
        found: dict[tuple[str, str], Function] = {}
        for function in self.functions:
            found[function.home, function.name] = function
        return found

    @cached_property
    def _methods(self) -> dict[str, Function]:
        found = {}
        for line in filter(None, map(str.strip, METHODS.splitlines())):
            op, _, rest = line.partition(" = ")
            name, *parameters = rest.split()
            found[name] = Function("", name, op, tuple(map(_parameter, parameters)))
        return found

    @cached_property
    def _live(self) -> dict[int, tuple[object, Function]]:
        return {}

    def _look(self) -> None:
        """Find the functions of the libraries that are loaded by now."""
        for function in self.functions:
            for path in MODULES.get(function.home, (function.home,)):
                thing = getattr(_module(path), function.name, None)
                if thing is not None and id(thing) not in self._live:
                    self._live[id(thing)] = thing, function


LIBRARIES = Libraries()


def _module(path: str) -> ModuleType | None:
    """A module among those loaded, also one that its parent holds without its name."""
    found = sys.modules.get(path)
    if found is None and "." in path:
        parent, _, name = path.rpartition(".")
        below = getattr(_module(parent), name, None)
        found = below if isinstance(below, ModuleType) else None
    return found


def _rows(home: str) -> Iterator[Function]:
    family = home.partition(".")[0]
    one, two, many = USUAL[family]
    for item in PLAIN.get(home, "").split():
        op, _, name = item.partition("=")
        usual = one if op in UNARY else two if op in BINARY else many
        if not (op in UNARY or op in BINARY or op in REDUCTIONS):
            raise ValueError(f"{home}: {op} has no usual parameters")
        yield Function(home, name or op, op, tuple(map(_parameter, usual.split())))
    for line in filter(None, map(str.strip, SPECIAL.get(home, "").splitlines())):
        op, *rest = line.split()
        name = op
        if rest and rest[0] == "=":
            name, rest = rest[1], rest[2:]
        yield Function(home, name, op, tuple(map(_parameter, rest)))


def _parameter(text: str) -> Parameter:
    names, has_default, default = text.partition("?")
    keyword, _, role = names.partition(":")
    return Parameter(keyword, role or keyword, _value(default) if has_default else _REQUIRED)


def _value(text: str) -> Default:
    words: dict[str, Default] = {"None": None, "True": True, "False": False}
    if text in words:
        return words[text]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
