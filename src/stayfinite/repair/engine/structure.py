"""Values and adjoints of the operations that are not element by element.

Both work on arrays of either arithmetic of `numerics.exact`. A result of None for an operand means
that no gradient flows to it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, cast

import numpy as np
from mpmath import mpf

from stayfinite.numerics.dtypes import rounded
from stayfinite.numerics.exact import Array, Exact, Floating
from stayfinite.numerics.exact_functions import FUNCTIONS
from stayfinite.repair.formula import Node

Arithmetic = Exact | Floating
Axis = int | tuple[int, ...] | None


def value(m: Arithmetic, node: Node, x: Sequence[Array]) -> Array:
    """The value of a structural node from the values of its operands.

    Raises:
        KeyError: the operation is unknown.
        ValueError: shapes do not fit.
    """
    attributes = dict(node.attributes)
    axis = cast(Any, attributes.get("axis"))
    keep = bool(attributes.get("keepdims", False))
    first = x[0]
    match node.op:
        case "where":
            return m.where(x[0], x[1], x[2])
        case "clip":
            return FUNCTIONS["minimum"].value(m, FUNCTIONS["maximum"].value(m, first, x[1]), x[2])
        case "broadcast_to":
            return np.broadcast_to(first, cast(Any, attributes["shape"]))
        case "reshape":
            return np.reshape(first, cast(Any, attributes["shape"]))
        case "squeeze":
            return np.squeeze(first, axis)
        case "expand_dims":
            return np.expand_dims(first, axis)
        case "transpose":
            return np.transpose(first, cast(Any, attributes["axes"]))
        case "index":
            return first[key(attributes["key"])]
        case "pick":
            return first[_indices(x)]
        case "concatenate":
            return np.concatenate(list(x), axis)
        case "stack":
            return np.stack(list(x), axis)
        case "take_along_axis":
            return np.take_along_axis(first, np.asarray(x[1]).astype(np.int64), axis)
        case "cumsum":
            return np.cumsum(first, axis)
        case "cumprod":
            return np.cumprod(first, axis)
        case "logcumsumexp":
            return _logcumsumexp(m, first, axis)
        case "flip":
            return np.flip(first, axis)
        case "roll":
            return np.roll(first, cast(Any, attributes["shift"]), axis)
        case "diagonal":
            return np.diagonal(first).copy()
        case "cast":
            return first if m.exact else _cast(first, str(attributes["dtype"]))
        case "zeros_like" | "ones_like":
            return m.where(finite(first), first, m.number(0.0, first)) * 0 + int(
                node.op == "ones_like"
            )
        case "all" | "any":
            return getattr(np, node.op)(np.asarray(first).astype(bool), axis=axis, keepdims=keep)
        case "sum" | "mean" | "prod" | "max" | "min":
            return _reduced(node.op, first, axis, keep)
        case "logsumexp":
            top = np.max(first, axis=axis, keepdims=True)
            top = m.where(finite(top), top, m.number(0.0, first))
            total = np.sum(m.call("exp", first - top), axis=axis, keepdims=True)
            found = m.call("log", total) + top
            return found if keep else np.squeeze(found, axis)
        case "softmax":
            power = m.call("exp", first - np.max(first, axis=axis, keepdims=True))
            return m.call("divide", power, np.sum(power, axis=axis, keepdims=True))
        case "log_softmax":
            shifted = first - np.max(first, axis=axis, keepdims=True)
            total = np.sum(m.call("exp", shifted), axis=axis, keepdims=True)
            return shifted - m.call("log", total)
        case "norm":
            return m.call("sqrt", np.sum(first * first, axis=axis, keepdims=keep))
        case "var" | "std":
            centred = first - _reduced("mean", first, axis, True)
            found = _reduced("mean", centred * centred, axis, keep)
            return found if node.op == "var" else m.call("sqrt", found)
    raise KeyError(node.op)


def adjoints(
    m: Arithmetic, node: Node, x: Sequence[Array], y: Array, g: Array
) -> list[Array | None]:
    """The adjoints of the operands of a structural node with the value `y` and the adjoint `g`."""
    attributes = dict(node.attributes)
    axis = cast(Any, attributes.get("axis"))
    first = np.asarray(x[0])
    zero = m.number(0.0, g)
    match node.op:
        case "where":
            condition = np.asarray(x[0]).astype(bool)
            return [None, m.where(condition, g, zero), m.where(condition, zero, g)]
        case "clip":
            inside = ((first >= x[1]) & (first <= x[2])).astype(bool)
            if m.exact or "clip" in m.rules.selects:
                return [m.where(inside, g, zero), None, None]
            edge = (first == x[1]) | (first == x[2])
            half = 1.0 if m.rules.first_of_equals else 0.5
            slope = np.where(edge, half, inside).astype(first.dtype)
            return [m.chain(g, slope), None, None]
        case "broadcast_to":
            return [g]
        case "reshape" | "squeeze" | "expand_dims":
            return [np.reshape(g, first.shape)]
        case "transpose":
            return [np.transpose(g, np.argsort(cast(Any, attributes["axes"])))]
        case "index":
            found = zeros(m, first)
            np.add.at(found, key(attributes["key"]), g)
            return [found]
        case "pick":
            found = zeros(m, first)
            np.add.at(found, _indices(x), g)
            return [found, *(None for _ in x[1:])]
        case "concatenate":
            ends = np.cumsum([np.shape(v)[axis] for v in x])[:-1]
            return list(np.split(g, ends, axis))
        case "stack":
            return list(np.moveaxis(g, axis, 0))
        case "take_along_axis":
            # Both operands may be broadcast along the other axes.
            found, indices = zeros(m, first), np.asarray(x[1]).astype(np.int64)
            grid = [
                part if size > 1 else np.zeros_like(part)
                for part, size in zip(np.indices(g.shape), first.shape, strict=True)
            ]
            grid[axis] = np.broadcast_to(indices, g.shape)
            np.add.at(found, tuple(grid), g)
            return [found, None]
        case "cumsum":
            return [np.flip(np.cumsum(np.flip(g, axis), axis), axis)]
        case "cumprod":
            return [_adjoint_of_cumprod(m, first, y, g, axis)]
        case "logcumsumexp":
            return [_adjoint_of_logcumsumexp(m, first, y, g, axis)]
        case "flip":
            return [np.flip(g, axis)]
        case "roll":
            return [np.roll(g, np.negative(cast(Any, attributes["shift"])), axis)]
        case "diagonal":
            found = zeros(m, first)
            rows = np.arange(np.size(g))
            found[rows, rows] = g
            return [found]
        case "cast":
            return [g if m.exact else g.astype(first.dtype)]
        case "zeros_like" | "ones_like" | "all" | "any":
            return [None]
    if node.op in ("softmax", "log_softmax"):
        if node.op == "softmax":
            product = m.chain(g, y)
            return [product - y * np.sum(product, axis=axis, keepdims=True)]
        return [g - m.call("exp", y) * np.sum(g, axis=axis, keepdims=True)]
    wide = _kept(g, first, axis)
    kept = _kept(y, first, axis)
    match node.op:
        case "sum":
            return [np.broadcast_to(wide, first.shape)]
        case "mean":
            return [
                np.broadcast_to(
                    m.call("divide", wide, m.number(_count(first, axis), g)), first.shape
                )
            ]
        case "max" | "min":
            best = (first == kept).astype(bool)
            # No element is equal to a maximum that is NaN; the quotient is not used there.
            share = np.maximum(np.sum(best, axis=axis, keepdims=True), 1)
            return [m.where(best, wide / share.astype(first.dtype), zero)]
        case "prod":
            return [m.chain(wide, _others(m, first, axis))]
        case "logsumexp":
            return [m.chain(wide, m.call("exp", first - kept))]
        case "norm":
            return [_unless_zero(m, m.chain(wide, m.call("divide", first, kept)), kept)]
        case "var" | "std":
            centred = first - _reduced("mean", first, axis, True)
            slope = 2 * centred / m.number(_count(first, axis), g)
            if node.op == "std":
                slope = m.call("divide", slope, 2 * kept)
                return [_unless_zero(m, m.chain(wide, slope), kept)]
            return [m.chain(wide, slope)]
    raise KeyError(node.op)


def _adjoint_of_cumprod(m: Arithmetic, x: Array, y: Array, g: Array, axis: int) -> Array:
    """What libraries compute where no element is 0; elsewhere the products without the element."""
    if not (x == 0).any():
        tail = np.flip(np.cumsum(np.flip(m.chain(g, y), axis), axis), axis)
        return np.asarray(m.call("divide", tail, x))
    found = zeros(m, x)
    steps, slopes = np.moveaxis(x, axis, 0), np.moveaxis(g, axis, 0)
    adjoint = np.moveaxis(found, axis, 0)
    for i in range(len(steps)):
        before = np.prod(steps[:i], axis=0)
        for j in range(i, len(steps)):
            adjoint[i] = adjoint[i] + slopes[j] * before * np.prod(steps[i + 1 : j + 1], axis=0)
    return np.asarray(found)


def _indices(x: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """The integer arrays among the operands of `pick`."""
    return tuple(np.asarray(each).astype(np.int64) for each in x[1:])


def _logcumsumexp(m: Arithmetic, x: Array, axis: int) -> Array:
    """The logarithm of the sums of exponentials up to each element along `axis`."""
    moved = np.moveaxis(np.asarray(x), axis, 0)
    found = np.empty_like(moved)
    for i in range(len(moved)):
        top = np.max(moved[: i + 1], axis=0)
        total = np.sum(m.call("exp", moved[: i + 1] - top), axis=0)
        found[i] = m.call("log", total) + top
    return np.moveaxis(found, 0, axis)


def _adjoint_of_logcumsumexp(m: Arithmetic, x: Array, y: Array, g: Array, axis: int) -> Array:
    operand, result, adjoint = (np.moveaxis(np.asarray(a), axis, 0) for a in (x, y, g))
    found = np.empty_like(operand)
    for i in range(len(operand)):
        shares = m.call("exp", operand[i] - result[i:])
        found[i] = np.sum(m.chain(adjoint[i:], shares), axis=0)
    return np.moveaxis(found, 0, axis)


def _unless_zero(m: Arithmetic, found: Array, result: Array) -> Array:
    """The gradient of a norm, where the framework has one at 0."""
    return m.where(result == 0, m.number(0.0, found), found) if m.rules.norm_at_zero else found


def magnitudes(
    node: Node, x: Sequence[np.ndarray], y: np.ndarray, g: np.ndarray
) -> list[np.ndarray | None] | None:
    """The adjoints of operands whose rule subtracts, with the terms added instead.

    `g` has no negative element. None for a node whose rule has one term for each operand.
    """
    axis = cast(Any, dict(node.attributes).get("axis"))
    match node.op:
        case "sigmoid":
            return [g * y * (1 + y)]
        case "tanh":
            return [g * (1 + y * y)]
        case "expm1":
            return [g * (1 + np.abs(y))]
        case "softmax":
            return [g * y + y * np.sum(g * y, axis=axis, keepdims=True)]
        case "log_softmax":
            return [g + np.exp(y) * np.sum(g, axis=axis, keepdims=True)]
    return None


def zeros(m: Arithmetic, like: np.ndarray) -> np.ndarray:
    """An array of zeros of the shape of `like`, in this arithmetic."""
    if not m.exact:
        return np.zeros(like.shape, like.dtype)
    found = np.empty(like.shape, object)
    found.fill(mpf(0))
    return found


def finite(x: Array) -> np.ndarray:
    """Where `x` is neither NaN nor infinite, for arrays of both arithmetics."""
    x = np.asarray(x)
    if x.dtype != object:
        return np.asarray(np.isfinite(x))
    return np.asarray(_FINITE(x)).astype(bool)


def key(written: Hashable) -> tuple[Any, ...]:
    """A NumPy index from the attribute `key`."""
    return tuple(
        slice(*part[1:]) if isinstance(part, tuple) and part and part[0] == "slice" else part
        for part in cast(tuple[Any, ...], written)
    )


def _is_finite(x: object) -> bool:
    if isinstance(x, mpf):
        mantissa: int = x._mpf_[1]
        return bool(mantissa) or x == 0
    return True


_FINITE = np.frompyfunc(_is_finite, 1, 1)


def _reduced(op: str, x: Array, axis: Axis, keep: bool) -> Array:
    if op == "mean":
        return np.sum(x, axis=axis, keepdims=keep) / np.asarray(x).dtype.type(_count(x, axis))
    return getattr(np, op)(x, axis=axis, keepdims=keep)


def _count(x: Array, axis: Axis) -> int:
    shape = np.shape(x)
    return int(np.prod([shape[a] for a in _axes(axis, len(shape))]))


def _axes(axis: Axis, rank: int) -> Sequence[int]:
    if axis is None:
        return range(rank)
    return axis if isinstance(axis, tuple) else (axis,)


def _kept(x: Array, full: np.ndarray, axis: Axis) -> Array:
    """`x` with the reduced axes of `full` as axes of length 1."""
    axes = _axes(axis, full.ndim)
    return np.reshape(x, [1 if a in axes else n for a, n in enumerate(full.shape)])


def _others(m: Arithmetic, x: np.ndarray, axis: Axis) -> np.ndarray:
    """For each element the product of all others along `axis`, zeros included."""
    axes = _axes(axis, x.ndim)
    rest = [a for a in range(x.ndim) if a not in axes]
    order = [*rest, *axes]
    moved = np.transpose(x, order)
    flat = moved.reshape(*moved.shape[: len(rest)], -1)
    found = np.empty_like(flat)
    for i in range(flat.shape[-1]):
        found[..., i] = np.prod(np.delete(flat, i, axis=-1), axis=-1)
    if m.exact:
        found = found * mpf(1)
    return np.asarray(np.transpose(found.reshape(moved.shape), np.argsort(order)))


def _cast(x: np.ndarray, dtype: str) -> np.ndarray:
    return np.asarray(x).astype(dtype) if dtype in ("bool", "int32", "int64") else rounded(x, dtype)
