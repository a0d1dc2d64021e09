"""Values and gradients of formulas at given operands, in exact or floating-point arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from mpmath import mpf

from stayfinite.numerics.dtypes import rounded
from stayfinite.numerics.exact import RULES, Array, Exact, Floating, decimal
from stayfinite.numerics.exact_functions import COMPARISONS, FUNCTIONS
from stayfinite.repair.engine import structure
from stayfinite.repair.engine.problem import Framework
from stayfinite.repair.formula import LeafRole, Node, walk

EXACT = Exact()
FLOATING: dict[Framework, Floating] = {name: Floating(rules) for name, rules in RULES.items()}
_TO_EXACT = np.frompyfunc(lambda x: x if isinstance(x, mpf) else mpf(float(x)), 1, 1)
_TO_FLOAT = np.frompyfunc(float, 1, 1)


class BadFormula(Exception):
    """A formula that cannot be evaluated: shapes that do not fit, an unknown operation."""


class Evaluation:
    """The values of all formulas over one set of operands; each node is computed once."""

    def __init__(
        self, m: Exact | Floating, leaves: Mapping[Node, np.ndarray], dtype: str = "float32"
    ) -> None:
        self.m = m
        self.dtype = dtype
        self.poles = False
        self.known: dict[Node, Array] = {
            leaf: exact_array(x) if m.exact else floating_array(x, leaf, dtype)
            for leaf, x in leaves.items()
        }

    def value(self, root: Node) -> Array:
        """The value of `root`.

        Raises:
            BadFormula: it cannot be evaluated.
        """
        known = self.known
        if root in known:
            return known[root]
        with np.errstate(all="ignore"):
            for node in walk(root, known):
                known[node] = self._compute(node, [known[x] for x in node.operands])
        return known[root]

    def gradients(self, root: Node, seed: np.ndarray, wanted: Sequence[Node]) -> dict[Node, Array]:
        """The gradient of `sum(seed * root)` with respect to each of `wanted`."""
        return self.gradients_and_poles(root, seed, wanted, subgradient=False)[0]

    def gradients_and_poles(
        self, root: Node, seed: np.ndarray, wanted: Sequence[Node], subgradient: bool
    ) -> tuple[dict[Node, Array], bool]:
        """The gradients, and whether a derivative on the way was not finite.

        With `subgradient` such a derivative counts as 0.
        """
        self.poles = False

        def adjoints(node: Node, g: Array, reach: set[Node]) -> Sequence[Array | None]:
            return self._adjoints(node, g, reach, subgradient)

        return self._backward(root, seed, wanted, adjoints), self.poles

    def magnitudes(
        self, root: Node, seed: np.ndarray, wanted: Sequence[Node]
    ) -> dict[Node, np.ndarray]:
        """The gradient with every term of every sum taken as its absolute value.

        One rounding of each term moves an entry of the gradient by this, times the spacing of the
        dtype; where the terms cancel that is more than the entry itself. Floating point only.
        """

        def adjoints(node: Node, g: Array, reach: set[Node]) -> Sequence[Array | None]:
            own = structure.magnitudes(
                node, [self.known[x] for x in node.operands], self.known[node], np.asarray(g)
            )
            found = self._adjoints(node, g, reach, False) if own is None else own
            return [None if part is None else np.abs(part) for part in found]

        return self._backward(root, np.abs(seed), wanted, adjoints)

    def _backward(
        self,
        root: Node,
        seed: np.ndarray,
        wanted: Sequence[Node],
        adjoints: Callable[[Node, Array, set[Node]], Sequence[Array | None]],
    ) -> dict[Node, Array]:
        """Adjoints from `root` down to `wanted`; `adjoints` gives those of a node's operands."""
        self.value(root)
        order = list(walk(root))
        reach = set(wanted)
        for node in order:
            if any(x in reach for x in node.operands) and node.op != "stop_gradient":
                reach.add(node)
        adjoint: dict[Node, Array] = {root: np.asarray(seed)}
        with np.errstate(all="ignore"):
            for node in reversed(order):
                if node.op in ("leaf", "constant") or node not in adjoint or node not in reach:
                    continue
                found = adjoints(node, adjoint[node], reach)
                for operand, part in zip(node.operands, found, strict=True):
                    if part is None or operand not in reach:
                        continue
                    part = summed(part, np.shape(self.known[operand]))
                    before = adjoint.get(operand)
                    adjoint[operand] = part if before is None else before + part
        return {
            leaf: adjoint.get(leaf, structure.zeros(self.m, np.asarray(self.known[leaf])))
            for leaf in wanted
        }

    def _compute(self, node: Node, x: list[Array]) -> Array:
        try:
            if node.op == "constant":
                return self._constant(node.attribute("value"))
            if node.op in FUNCTIONS:
                if self.m.exact:
                    return np.asarray(FUNCTIONS[node.op].value(self.m, *x), object)
                return self._rounded(FUNCTIONS[node.op].value(self.m, *self._operands(x)), x)
            if node.op in COMPARISONS:
                return np.asarray(COMPARISONS[node.op](*x)).astype(bool)
            found = structure.value(self.m, node, x)
            return (
                np.asarray(found, object) if self.m.exact and _numeric(found) else np.asarray(found)
            )
        except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
            raise BadFormula(f"{node.op}: {error}") from error

    def _operands(self, x: list[Array]) -> list[Array]:
        """Operands in one floating-point dtype, at least float32."""
        wide = np.result_type(np.float32, *(v.dtype for v in x if v.dtype.kind == "f"))
        return [np.asarray(v, wide) for v in x]

    def _rounded(self, found: Array, x: list[Array]) -> np.ndarray:
        found = np.asarray(found)
        if self.dtype in ("float16", "bfloat16") and found.dtype == np.float32:
            return np.asarray(rounded(found, self.dtype), np.float32)
        return np.asarray(found)

    def _constant(self, value: object) -> Array:
        if isinstance(value, bool):
            return np.asarray(value)
        assert isinstance(value, int | float)
        if self.m.exact:
            return np.asarray(decimal(value), object)
        return np.asarray(value, working(self.dtype))

    def _adjoints(
        self, node: Node, g: Array, reach: set[Node], subgradient: bool
    ) -> Sequence[Array | None]:
        x, y = [self.known[operand] for operand in node.operands], self.known[node]
        if node.op in COMPARISONS:
            return [None] * len(x)
        if node.op not in FUNCTIONS:
            found = structure.adjoints(self.m, node, x, y, np.asarray(g))
            return [self._or_zero(part) for part in found] if subgradient else found
        parts: list[Array | None] = []
        for operand, derivative in zip(node.operands, FUNCTIONS[node.op].derivatives, strict=True):
            if derivative is None or operand not in reach:
                parts.append(None)
                continue
            if not self.m.exact:
                x = self._operands(x)
                if node.op == "divide" and operand is node.operands[0]:
                    parts.append(self.m.call("divide", g, x[1]))
                    continue
            slope = derivative(self.m, *x, y)
            part = self.m.chain(g, self._or_zero(slope) if subgradient else slope)
            if node.op in self.m.rules.selects:
                part = self.m.where(slope == 0, self.m.number(0.0, part), part)
            elif node.op in self.m.rules.absorbs:
                part = self.m.where(np.equal(g, 0), self.m.number(0.0, part), part)
            parts.append(part)
        return parts

    def _or_zero(self, x: Array | None) -> Array | None:
        if x is None:
            return None
        x = np.asarray(x)
        usable = structure.finite(x)
        if usable.all():
            return x
        self.poles = True
        return np.where(usable, x, x.dtype.type(0) if x.dtype != object else mpf(0))


def working(dtype: str) -> type[np.float32] | type[np.float64]:
    """The NumPy type in which values of `dtype` are held; half precision is rounded on the way."""
    return np.float64 if dtype == "float64" else np.float32


@np.errstate(all="ignore")
def exact_array(x: np.ndarray) -> Array:
    """`x` as an object array of mpmath numbers; booleans stay booleans."""
    x = np.asarray(x)
    return x if x.dtype == bool else np.asarray(_TO_EXACT(x), object)


def floating_array(x: np.ndarray, leaf: Node, dtype: str) -> np.ndarray:
    """A leaf in the working dtype; integers and booleans stay as they are."""
    x = np.asarray(x)
    if x.dtype == object:
        x = np.asarray(_TO_FLOAT(x), np.float64)
    is_float = x.dtype.kind not in "biu" or leaf.attribute("role") in (
        LeafRole.VARIABLE,
        LeafRole.DATA,
    )
    return x.astype(working(dtype)) if is_float else x


def to_float64(x: Array) -> np.ndarray:
    """An array of either arithmetic in float64; too large becomes infinite."""
    x = np.asarray(x)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(_TO_FLOAT(x), np.float64) if x.dtype == object else x.astype(np.float64)


def summed(x: Array, shape: tuple[int, ...]) -> Array:
    """`x` summed over the axes along which `shape` was broadcast to its shape."""
    x = np.asarray(x)
    if x.shape == shape:
        return x
    extra = x.ndim - len(shape)
    axes = (
        *range(extra),
        *(i + extra for i, n in enumerate(shape) if n == 1 != x.shape[i + extra]),
    )
    found = np.sum(x, axis=axes, keepdims=True) if axes else x
    found = np.reshape(found, found.shape[extra:])
    return found if found.shape == shape else np.broadcast_to(found, shape)


def _numeric(x: Array) -> bool:
    return bool(np.asarray(x).dtype == object)
