"""Writing: how the user's own file can spell an operation at a given place.

The prefix of the failing call is preferred, then its library, then what the function uses, then
what the file imports. A name is used only if the loaded module really has it. If there is none,
an import line has to be added.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType

from stayfinite.repair import dialects
from stayfinite.repair.dialects import family, home_of
from stayfinite.repair.libraries import LIBRARIES, Function
from stayfinite.repair.operation import Operation, recognise
from stayfinite.repair.scope import Scope, enclosing_function, live_object


class NoSpellingError(Exception):
    """No loaded library has the operation; what needs it is left out."""


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

    def __init__(self, scope: Scope, node: ast.AST, library: str | None = None) -> None:
        self._scope = scope
        self._node = node
        self._spellings = LIBRARIES.spellings
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
        """The nearest call of a library, whose style new calls follow."""
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
                not (home and family(space.home) == family(home)),
                # Its functions want operands of one dtype.
                space.home == "jax.lax",
                not (nearest and space.prefix == nearest.prefix),
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


@dataclass
class Calls:
    """Writes calls with the names of the file, and keeps the imports that they need.

    Operands and bounds are text.
    """

    api: Api
    imports: list[str] = field(default_factory=list)

    def __call__(self, operation: str, *operands: str, **options: str | None) -> str:
        """`operation(operands, option=...)`; an option that is None is left out.

        Raises:
            NoSpellingError: no library within reach has the operation.
        """
        spelling = self.spell(operation)
        row = row_of(operation, spelling)
        words = [
            f"{(row and row.keyword(role)) or role}={text}"
            for role, text in options.items()
            if text is not None
        ]
        return f"{spelling.text}({', '.join((*operands, *words))})"

    def spell(self, operation: str) -> Spelling:
        """The name to call for `operation`."""
        spelling = self.api.spell(operation)
        if spelling is None:
            raise NoSpellingError(operation)
        self.need(spelling)
        return spelling

    def need(self, spelling: Spelling) -> None:
        """Remember the import of a name that is used."""
        if spelling.import_line and spelling.import_line not in self.imports:
            self.imports.append(spelling.import_line)

    def take_imports(self) -> tuple[str, ...]:
        """The imports needed since this was asked last."""
        taken, self.imports = tuple(self.imports), []
        return taken

    def at_least(self, x: str, bound: str) -> str:
        """`maximum(x, bound)`; PyTorch's wants two tensors, so `clamp` there."""
        return self._bounded("maximum", "min", x, bound)

    def at_most(self, x: str, bound: str) -> str:
        """`minimum(x, bound)`."""
        return self._bounded("minimum", "max", x, bound)

    def constant_like(self, value: str, x: str) -> str:
        """`value` as a branch of `where` beside `x`.

        TensorFlow takes the dtype of the pair from the first of them, so a bare 1.0 would make
        it float32.
        """
        if self.spell("where").family != "tensorflow":
            return value
        ones = self("ones_like", x)
        return ones if value == "1.0" else f"{value} * {ones}"

    def one_where_zero(self, tested: str, x: str) -> str:
        """`where(equal(tested, 0), 1.0, x)`."""
        return self("where", self("equal", tested, "0"), self.constant_like("1.0", x), x)

    def float32(self, x: str) -> str:
        """`x` in float32; `x` is an atom or stands alone."""
        if self.api.family == "torch":
            return f"({x}).float()" if not x.isidentifier() else f"{x}.float()"
        return self("cast", x, '"float32"')

    def _bounded(self, operation: str, keyword: str, x: str, bound: str) -> str:
        clamp = self.api.spell("clip")
        if clamp is not None and clamp.family == "torch":
            self.need(clamp)
            return f"{clamp.text}({x}, {keyword}={bound})"
        return self(operation, x, bound)


def row_of(operation: str, spelling: Spelling) -> Function | None:
    """The row of the function that a spelling calls."""
    name = spelling.text.rpartition(".")[2]
    rows = (f for f in LIBRARIES.functions if f.op == operation and f.name == name)
    return next((f for f in rows if family(f.home) == spelling.family), None)
