"""Formulas in the functions that a dialect has; done before pricing: what is printed counts."""

from __future__ import annotations

import math

from stayfinite.repair.engine import build
from stayfinite.repair.engine.context import Context
from stayfinite.repair.formula import Node, node, walk

# Every dialect spells these, by operators or by indexing.
ALWAYS = frozenset(
    "leaf constant cast add subtract multiply divide negative power index equal not_equal greater"
    " greater_equal less less_equal abs exp log sqrt sum max min where".split()
)


def lowered(context: Context, root: Node) -> Node | None:
    """`root` with functions that the dialect lacks written by others; None if there are none."""
    allowed = ALWAYS | context.problem.available | {x.op for x in walk(context.problem.root)}
    made: dict[Node, Node] = {}
    for x in walk(root):
        current = build.rebuilt(x, tuple(made[operand] for operand in x.operands))
        for _ in range(4):  # one function may be written by another that the dialect lacks too
            if all(part.op in allowed for part in _new(current, made)):
                break
            current = _deep(context, current, allowed, made)
        if any(part.op not in allowed for part in _new(current, made)):
            return None
        made[x] = current
    return made[root]


def _new(x: Node, made: dict[Node, Node]) -> list[Node]:
    """The nodes of `x` above what is already lowered."""
    known = set(made.values())
    found, stack = [], [x]
    while stack:
        current = stack.pop()
        if current not in known:
            found.append(current)
            stack.extend(current.operands)
    return found


def _deep(context: Context, x: Node, allowed: frozenset[str], made: dict[Node, Node]) -> Node:
    known = set(made.values())
    if x in known:
        return x
    operands = tuple(_deep(context, operand, allowed, made) for operand in x.operands)
    current = build.rebuilt(x, operands)
    if current.op in allowed:
        return current
    return _written(context, current, allowed) or current


def _written(context: Context, x: Node, allowed: frozenset[str]) -> Node | None:
    a = x.operands[0]
    one = build.real(1.0)
    match x.op:
        case "log_sigmoid":
            return build.negative(node("softplus", build.negative(a)))
        case "softplus" if "log_sigmoid" in allowed:
            return build.negative(node("log_sigmoid", build.negative(a)))
        case "softplus" if "logaddexp" in allowed:
            return node("logaddexp", node("zeros_like", a), a) if "zeros_like" in allowed else None
        case "softplus":
            tail = node("log1p", build.exp(build.negative(build.absolute(a))))
            return build.add(node("maximum", a, build.real(0.0)), tail)
        case "sigmoid":
            return build.divide(one, build.add(one, build.exp(build.negative(a))))
        case "logaddexp" if "softplus" in allowed or "log_sigmoid" in allowed:
            b = x.operands[1]
            return build.add(b, node("softplus", build.subtract(a, b)))
        case "logaddexp" if "stack" in allowed and context.shape(a) == context.shape(x.operands[1]):
            return node("logsumexp", node("stack", *x.operands, axis=0), axis=(0,), keepdims=False)
        case "logaddexp":
            b = x.operands[1]
            return build.add(b, node("softplus", build.subtract(a, b)))
        case "logsumexp":
            axis, keepdims = x.attribute("axis"), x.attribute("keepdims")
            top = node("stop_gradient", node("max", a, axis=axis, keepdims=True))
            total = node("sum", build.exp(build.subtract(a, top)), axis=axis, keepdims=keepdims)
            last = top if keepdims else node("squeeze", top, axis=axis)
            return build.add(last, build.log(total))
        case "log_softmax":
            axis = x.attribute("axis")
            assert isinstance(axis, int)
            return build.subtract(a, node("logsumexp", a, axis=(axis,), keepdims=True))
        case "softmax":
            return build.exp(node("log_softmax", a, **dict(x.attributes)))
        case "square":
            return node("multiply", a, a)
        case "reciprocal":
            return build.divide(one, a)
        case "rsqrt":
            return build.divide(one, build.sqrt(a))
        case "hypot":
            return build.sqrt(build.add(build.square(a), build.square(x.operands[1])))
        case "mean":
            count = math.prod(context.shape(a)) / max(math.prod(context.shape(x)), 1)
            return build.divide(node("sum", a, **dict(x.attributes)), build.real(count))
        case "var":
            attributes = dict(x.attributes)
            centred = build.subtract(a, node("mean", a, axis=attributes["axis"], keepdims=True))
            return node("mean", build.square(centred), **attributes)
        case "std":
            return build.sqrt(node("var", a, **dict(x.attributes)))
        case "norm":
            return build.sqrt(node("sum", build.square(a), **dict(x.attributes)))
        case "stop_gradient":
            return a
        case "expand_dims":
            rank = len(context.shape(a)) + 1
            axis = x.attribute("axis")
            axes = axis if isinstance(axis, tuple) else (axis,)
            everything = ("slice", None, None, None)
            return node(
                "index", a, key=tuple(None if i in axes else everything for i in range(rank))
            )
        case "squeeze":
            rank = len(context.shape(a))
            axis = x.attribute("axis")
            axes = axis if isinstance(axis, tuple) else (axis,)
            everything = ("slice", None, None, None)
            return node("index", a, key=tuple(0 if i in axes else everything for i in range(rank)))
        case "logical_and":
            return node("where", a, x.operands[1], a)
        case "maximum":
            return node("where", node("greater", a, x.operands[1]), a, x.operands[1])
        case "minimum":
            return node("where", node("less", a, x.operands[1]), a, x.operands[1])
        case "tanh" if "sigmoid" in allowed:
            twice = node("sigmoid", build.multiply(build.real(2.0), a))
            return build.subtract(build.multiply(build.real(2.0), twice), one)
        case "xlogy":
            return None
    return None
