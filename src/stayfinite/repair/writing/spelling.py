"""How the user's file spells an operation, with its arguments, at one place."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.repair.api import Api, Calls, NoSpellingError, Spelling, row_of
from stayfinite.repair.formula import BINARY, REDUCTIONS, UNARY, Node
from stayfinite.repair.libraries import LIBRARIES, Function
from stayfinite.repair.scope import Scope, live_object
from stayfinite.repair.source import SourceFile

# Operations that every library spells with other words of its own.
_BY_METHOD = {"torch": {"stop_gradient": "detach"}, "jax": {"cast": "astype"}}
_TORCH_CASTS = {"float32": "float", "float64": "double", "float16": "half", "bfloat16": "bfloat16"}
_COMPARISONS = {
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}
OPERATORS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "floor_divide": "//",
    "mod": "%",
    "power": "**",
} | _COMPARISONS
_ALWAYS = frozenset((*OPERATORS, "negative", "index", "pick"))


@dataclass
class Speller:
    """The library functions within reach of one expression; remembers the imports they need."""

    source: SourceFile
    place: ast.AST
    prefers_methods: bool = False
    library: str | None = None

    def __post_init__(self) -> None:
        self.scope = Scope(self.source, self.place)
        self._api = Api(self.scope, self.place, self.library)
        self._calls = Calls(self._api)

    @property
    def imports(self) -> list[str]:
        """The import lines that the calls need."""
        return self._calls.imports

    @property
    def family(self) -> str:
        """The library that the code around is written in."""
        return self._api.family

    def can_spell(self, op: str) -> bool:
        """Whether `op` has a spelling here."""
        if op in _ALWAYS or op in _BY_METHOD.get(self.family, {}):
            return True
        if op in ("cast", "clip", "maximum", "minimum") and self.family == "torch":
            return True
        spelling = self._api.spell(op)
        if spelling is not None and spelling.family == self.family:
            return True
        return op == "logcumsumexp" and self._scan() is not None

    def call(self, node: Node, operands: Sequence[str], axis: str | None) -> str:
        """The text of a call. Operands are texts for use as arguments, in the order of the node.

        `axis` is the text of the attribute `axis`, None for all axes.

        Raises:
            NoSpellingError: the library has no such function.
        """
        op = node.op
        method = self._as_method(node, operands, axis)
        if method is not None:
            return method
        if op == "logcumsumexp" and (scan := self._scan()) is not None:
            return f"{scan}, {operands[0]}, axis={axis})"
        if self.family == "torch" and op in ("clip", "maximum", "minimum"):
            bounded = self._bounded(node, operands)
            if bounded is not None:
                return bounded
        spelling, row = self._function(op)
        roles = _roles(node, operands)
        if op in ("stack", "concatenate"):
            roles = {"xs": f"[{', '.join(operands)}]"}
        given = self._attributes(node, axis)
        words: list[str] = []
        keywords = False
        for parameter in row.parameters:
            if parameter.role in roles:
                text = roles[parameter.role]
                words.append(f"{parameter.keyword}={text}" if keywords else text)
            elif parameter.role in given:
                text = given[parameter.role]
                named = parameter.role in ("axis", "keepdims") or keywords
                words.append(f"{parameter.keyword}={text}" if named else text)
                keywords = keywords or named
            elif parameter.is_required:
                raise NoSpellingError(f"{op} needs {parameter.keyword}")
            else:
                keywords = True
        return f"{spelling.text}({', '.join(words)})"

    def _scan(self) -> str | None:
        """The beginning of a scan, where Keras has no function for it."""
        spelling = self._api.spell("logaddexp")
        if self.family != "keras" or spelling is None or spelling.family != "keras":
            return None
        prefix = spelling.text.rpartition(".")[0]
        if not prefix or live_object("keras.ops.associative_scan") is None:
            return None
        self._calls.need(spelling)
        return f"{prefix}.associative_scan({spelling.text}"

    def _function(self, op: str) -> tuple[Spelling, Function]:
        spelling = self._api.spell(op)
        if spelling is None or spelling.family != self.family:
            raise NoSpellingError(op)
        row = row_of(op, spelling)
        if row is None:
            raise NoSpellingError(op)
        self._calls.need(spelling)
        return spelling, row

    def _attributes(self, node: Node, axis: str | None) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in node.attributes:
            if name == "axis":
                if axis is not None:
                    found["axis"] = axis
            elif name == "keepdims":
                if value:
                    found["keepdims"] = "True"
            elif name == "dtype":
                found["dtype"] = f'"{value}"'
            else:
                found[name] = repr(value)
        return found

    def _as_method(self, node: Node, operands: Sequence[str], axis: str | None) -> str | None:
        op, family = node.op, self.family
        receiver = operands[0] if operands else ""
        if op == "cast" and family == "torch":
            name = _TORCH_CASTS.get(str(node.attribute("dtype")))
            return None if name is None else f"{atom(receiver)}.{name}()"
        if op == "cast" and family == "jax":
            return f'{atom(receiver)}.astype("{node.attribute("dtype")}")'
        if op == "stop_gradient" and family == "torch":
            return f"{atom(receiver)}.detach()"
        if not self.prefers_methods or family != "torch" or not is_atom(receiver):
            return None
        if op not in UNARY and op not in REDUCTIONS:
            return None
        rows = [f for f in LIBRARIES.functions if f.op == op and f.home == "torch"]
        tensor = live_object("torch.Tensor")
        if not rows or not hasattr(tensor, rows[0].name):
            return None
        words = [
            f"{parameter.keyword}={text}"
            for parameter in rows[0].parameters[1:]
            if (text := self._attributes(node, axis).get(parameter.role)) is not None
        ]
        return f"{receiver}.{rows[0].name}({', '.join(words)})"

    def _bounded(self, node: Node, operands: Sequence[str]) -> str | None:
        """`torch.maximum` takes tensors only; `clamp` takes numbers."""
        clamp = self._api.spell("clip")
        bounds = node.operands[1:]
        if clamp is None or (node.op != "clip" and bounds[0].op != "constant"):
            return None
        names = {"clip": ("min", "max"), "maximum": ("min",), "minimum": ("max",)}[node.op]
        words = [f"{n}={t}" for n, t in zip(names, operands[1:], strict=True)]
        if self.prefers_methods and is_atom(operands[0]):
            return f"{operands[0]}.clamp({', '.join(words)})"
        return f"{clamp.text}({', '.join([operands[0], *words])})"


def _roles(node: Node, operands: Sequence[str]) -> dict[str, str]:
    names: tuple[str, ...] = ("x",)
    if node.op in BINARY:
        names = ("x", "y")
    elif node.op == "where":
        names = ("condition", "x", "y")
    elif node.op == "clip":
        names = ("x", "minimum", "maximum")
    elif node.op == "take_along_axis":
        names = ("x", "indices")
    return dict(zip(names, operands, strict=False))


def is_atom(text: str) -> bool:
    """Whether a text can stand before a dot as it is."""
    tree = ast.parse(text, mode="eval").body
    return isinstance(tree, ast.Name | ast.Call | ast.Attribute | ast.Subscript)


def atom(text: str) -> str:
    """`text` for use before a dot."""
    return text if is_atom(text) else f"({text})"
