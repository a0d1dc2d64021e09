"""Formulas that have a stable function of their own: softplus, softmax, logsumexp, and so on.

The failing operation may be anywhere inside the formula, and the formula may begin in a local
variable.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from stayfinite.repair.emit import CannotSpellError, Emitter
from stayfinite.repair.rewrites.algebra import Reader, Term
from stayfinite.repair.rewrites.site import Site, Template


@dataclass(frozen=True)
class Form:
    """The stable text of a formula, the name of the function in it, and what that stands for."""

    text: str
    function: str
    formula: str
    is_atom: bool = True


def rewrites(site: Site) -> Iterator[Template]:
    """The stable form of the outermost formula that contains the expression."""
    for root in reversed(list(formulas_around(site))):
        for read in (_log, _log1p, _divide):
            reader, emit = Reader(site), site.emitter()
            try:
                form = read(site, reader, emit, root)
            except CannotSpellError:
                continue
            if form is None or (site.node is not root and site.node not in reader.used):
                continue
            piece = site.replace(root, form.text, is_atom=form.is_atom)
            description = f"use `{form.function}`, the stable form of `{form.formula}`"
            imports, definitions = tuple(emit.imports), tuple(reader.definitions)
            yield Template("stable", description, (piece,), imports, root, definitions)
            return


def formulas_around(site: Site) -> Iterator[ast.expr]:
    """The expression, what is around it, and what is around each use of the variable it fills."""
    if isinstance(site.node, ast.AugAssign):
        return
    value: ast.expr = site.node
    yield value
    for value in site.source.expressions_around(site.node):
        yield value
    for use in site.locals.uses(value):
        yield from site.source.expressions_around(use)


def _text(site: Site, term: Term) -> str:
    return f"-{site.atom(term.node)}" if term.is_negative else site.text(term.node)


def _softplus(site: Site, emit: Emitter, term: Term) -> Form:
    return Form(emit.call("softplus", _text(site, term)), "softplus", "log(1 + exp(x))")


def _log_sigmoid(site: Site, emit: Emitter, term: Term, formula: str) -> Form:
    direct, plus = site.api.spell("log_sigmoid"), site.api.spell("softplus")
    if direct and (not direct.import_line or not plus or plus.import_line):
        return Form(emit.call("log_sigmoid", _text(site, term)), "log_sigmoid", formula)
    text = "-" + emit.call("softplus", _text(site, term.negated()))
    return Form(text, "softplus", formula, is_atom=False)


def _axis(site: Site, emit: Emitter, operation: str, axis: ast.expr | None) -> dict[str, str]:
    """The axis as an option. "All elements" has no spelling in some libraries."""
    if axis is not None:
        return {"axis": site.text(axis)}
    if emit.spell(operation).family not in ("keras", "jax"):
        raise CannotSpellError(operation)
    return {"axis": "None"}


def _log(site: Site, reader: Reader, emit: Emitter, root: ast.expr) -> Form | None:
    x = reader.argument(root, "log")
    if x is None:
        return None
    for read in (_log_of_one_plus_exp, _log_of_sum, _log_of_product, _log_of_probability):
        form = read(site, reader, emit, x)
        if form is not None:
            return form
    return None


def _log_of_one_plus_exp(site: Site, reader: Reader, emit: Emitter, x: ast.expr) -> Form | None:
    power = reader.exp(reader.one_plus(x))
    return None if power is None else _softplus(site, emit, power)


def _log_of_sum(site: Site, reader: Reader, emit: Emitter, x: ast.expr) -> Form | None:
    total = reader.operation(reader.unguarded(x), "sum")
    power = reader.exp(total.arguments["x"]) if total is not None and total.complete else None
    if total is None or power is None:
        return None
    options = {role: site.text(node) for role, node in total.arguments.items() if role != "x"}
    if "axis" not in options and emit.spell("logsumexp").family == "torch":
        return None
    text = emit.call("logsumexp", _text(site, power), **options)
    return Form(text, "logsumexp", "log(sum(exp(x)))")


def _log_of_product(site: Site, reader: Reader, emit: Emitter, x: ast.expr) -> Form | None:
    product = reader.operation(reader.unguarded(x), "prod")
    if product is None or not product.complete:
        return None
    options = {role: site.text(node) for role, node in product.arguments.items() if role != "x"}
    logs = emit.call("log", site.text(product.arguments["x"]))
    return Form(emit.call("sum", logs, **options), "sum", "log(prod(x))")


def _log_of_probability(site: Site, reader: Reader, emit: Emitter, x: ast.expr) -> Form | None:
    inner = reader.unguarded(x)
    softmax = reader.softmax(inner)
    if softmax is not None:
        options: dict[str, str] = {}
        if softmax.axis is not None or softmax.by_hand:
            options = _axis(site, emit, "log_softmax", softmax.axis)
        text = emit.call("log_softmax", _text(site, softmax.x), **options)
        return Form(text, "log_softmax", "log(softmax(x))")
    if (power := reader.sigmoid(inner)) is not None:
        return _log_sigmoid(site, emit, power, "log(sigmoid(x))")
    rest = reader.one_minus(inner)
    power = reader.sigmoid(reader.unguarded(rest)) if rest is not None else None
    if power is None:
        return None
    return _log_sigmoid(site, emit, power.negated(), "log(1 - sigmoid(x))")


def _log1p(site: Site, reader: Reader, emit: Emitter, root: ast.expr) -> Form | None:
    power = reader.exp(reader.argument(root, "log1p"))
    return None if power is None else _softplus(site, emit, power)


def _divide(site: Site, reader: Reader, emit: Emitter, root: ast.expr) -> Form | None:
    found = reader.operation(root, "divide")
    if found is None:
        return None
    softmax = reader.softmax(root)
    if softmax is not None and softmax.by_hand:
        options = _axis(site, emit, "softmax", softmax.axis)
        text = emit.call("softmax", _text(site, softmax.x), **options)
        return Form(text, "softmax", "exp(x) / sum(exp(x))")
    if (power := reader.sigmoid(root)) is not None:
        return Form(emit.call("sigmoid", _text(site, power)), "sigmoid", "1 / (1 + exp(-x))")
    return _tanh(site, reader, emit, root)


def _tanh(site: Site, reader: Reader, emit: Emitter, root: ast.expr) -> Form | None:
    """`(exp(x) - exp(-x)) / (exp(x) + exp(-x))`."""
    found = reader.operation(root, "divide")
    right = found.arguments.get("right") if found is not None else None
    above = reader.operation(found.arguments["left"], "subtract") if found is not None else None
    below = reader.operation(right, "add")
    if above is None or below is None:
        return None
    first, second = (reader.exp(above.arguments[side]) for side in ("left", "right"))
    third, fourth = (reader.exp(below.arguments[side]) for side in ("left", "right"))
    if first is None or second is None or not reader.same(first, second.negated()):
        return None
    if not (reader.same(first, third) and reader.same(second, fourth)):
        return None
    formula = "(exp(x) - exp(-x)) / (exp(x) + exp(-x))"
    return Form(emit.call("tanh", _text(site, first)), "tanh", formula)
