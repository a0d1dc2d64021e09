"""Writing: how the user's own file can spell an operation at a given place.

The prefix of the failing call is preferred, then its library, then what the function uses, then
what the file imports. A name is used only if the loaded module really has it. If there is none,
an import line has to be added.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

from stayfinite.repair import dialects
from stayfinite.repair.dialects import family, home_of
from stayfinite.repair.operation import Operation, recognise
from stayfinite.repair.scope import Scope, enclosing_function, live_object


@dataclass(frozen=True)
class Spelling:
    """The text to call, the library it is from, and the import line it needs, if any."""

    text: str
    family: str
    import_line: str | None = None


@dataclass(frozen=True)
class _Namespace:
    prefix: str
    home: str
    module: ModuleType


class Api:
    """The numerical functions within reach of one expression."""

    def __init__(
        self,
        scope: Scope,
        node: ast.AST,
        spellings: Mapping[str, Mapping[str, str]] = dialects.SPELLINGS,
        library: str | None = None,
    ) -> None:
        self._scope = scope
        self._node = node
        self._spellings = spellings
        self._library = library

    def spell(self, operation: str) -> Spelling | None:
        """How to call `operation` here; `None` if no loaded library has it."""
        if (spelling := self._bare(operation)) and self._nearest and not self._nearest.prefix:
            return spelling
        for space in self._namespaces:
            name = self._spellings[space.home].get(operation)
            if name is not None and hasattr(space.module, name):
                return Spelling(f"{space.prefix}.{name}", family(space.home))
        return spelling or self._imported(operation)

    @cached_property
    def family(self) -> str:
        """The library that the code around the expression is written in."""
        if self._library is not None:
            return self._library
        if self._nearest is not None and self._nearest.home is not None:
            return family(self._nearest.home)
        return family(self._namespaces[0].home) if self._namespaces else "keras"

    @cached_property
    def _nearest(self) -> Operation | None:
        """The call of a library that says best how this code is written."""
        source = self._scope.source
        function = enclosing_function(source, self._node)
        near = [self._node, *ast.walk(self._node), *source.ancestors(self._node)]
        for node in (*near, *(ast.walk(function) if function is not None else ())):
            found = recognise(self._scope, node) if isinstance(node, ast.Call) else None
            if found is not None and found.home is not None:
                return found
        return None

    @cached_property
    def _namespaces(self) -> list[_Namespace]:
        nearest = self._nearest
        home = nearest.home if nearest else None

        def rank(space: _Namespace) -> tuple[int, ...]:
            return (
                self._library is not None and family(space.home) != self._library,
                not (nearest and space.prefix == nearest.prefix),
                not (home and family(space.home) == family(home)),
                space.home != "keras.ops",
                space.prefix.count("."),
            )

        return sorted(self._visible(), key=rank)

    def _visible(self) -> Iterator[_Namespace]:
        for name in self._scope.names:
            path = self._scope.path_of_name(name)
            module = live_object(path) if path else None
            if not isinstance(module, ModuleType) or path is None:
                continue
            root = home_of(path) or home_of(module.__name__) or path
            for part in ("", *dialects.SUBMODULES.get(root, ())):
                full = f"{root}.{part}".rstrip(".")
                below = live_object(f"{path}.{part}".rstrip("."))
                if isinstance(below, ModuleType) and full in self._spellings:
                    yield _Namespace(f"{name}.{part}".rstrip("."), full, below)

    def _bare(self, operation: str) -> Spelling | None:
        """A function that the user has imported by its own name."""
        for name in self._scope.names:
            home, _, attribute = (self._scope.path_of_name(name) or "").rpartition(".")
            place = home_of(home)
            if place and self._spellings.get(place, {}).get(operation) == attribute:
                return Spelling(name, family(place))
        return None

    def _imported(self, operation: str) -> Spelling | None:
        """The import line to add, in the library of the code around, else of Keras."""
        for library in dict.fromkeys((self.family, "keras")):
            for item in dialects.IMPORTS[library]:
                name = self._spellings.get(item.home, {}).get(operation)
                module = live_object(item.home)
                if name and hasattr(module, name) and self._scope.is_free(item.name):
                    return Spelling(f"{item.prefix}.{name}", library, item.line)
        return None
