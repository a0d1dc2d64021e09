"""What may repair the line that created a layer or a loss: a keyword, or another object.

Each is text for one expression; `objects.py` tries it on the live object.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.repair.creating_call import is_of_class, made_by
from stayfinite.repair.edit import Replacement, TemplateEdit, insert_imports
from stayfinite.repair.edit_facts import (
    BoundAdded,
    BoundedPart,
    ComputedInFloat32,
    EditFact,
    FormWritten,
    NewForm,
    WidePart,
)
from stayfinite.repair.expression import Expression
from stayfinite.repair.objects import ObjectEdit, Remade, Setting
from stayfinite.repair.rewrites.limits import ceiling
from stayfinite.repair.rewrites.site import Facts, Site
from stayfinite.repair.scope import Scope, live_object

# The one argument of a layer that is set for a mechanism.
_SETTINGS: dict[str, Setting] = {
    "half-overflow": ("dtype", "float32"),
    "out-of-domain": ("activation", "softplus"),
}
_WIDE_LOSS = ComputedInFloat32(WidePart.LOSS)


def proposals(
    expression: Expression, owner: object, mechanism: str, dtype: str
) -> list[ObjectEdit]:
    """What may repair a layer or a loss of the library, best first.

    Empty where `expression` does not make `owner`: it may also be the line that starts the
    training, or a function of a library that makes a whole model.
    """
    node = made_by(expression, owner)
    if node is None:
        return []
    found = []
    for text, does in _texts(Site(expression.source, node, Facts(dtype)), owner, mechanism):
        start, end = expression.source.range_of(node)
        pieces = [Replacement(start, end, text)]
        scope = Scope(expression.source, node)
        names = {**scope.module_names, **_imported(scope)}
        if text.startswith("losses.") and "losses" not in names:
            pieces += insert_imports(expression.source, node, ["from keras import losses"])
            names["losses"] = live_object("keras.losses")
        edit = TemplateEdit(expression.source, "object", tuple(pieces), does=does)
        setting = _SETTINGS.get(mechanism) if does == _as_set(owner, mechanism) else None
        made = Remade(expression.source.path, owner, node, text, names, setting)
        found.append((edit, made))
    return found


def _texts(site: Site, owner: object, mechanism: str) -> Iterator[tuple[str, EditFact]]:
    ops, losses = prefix_of(site, "ops"), prefix_of(site, "losses")
    if is_of_class(owner, "Loss"):
        yield from _loss_texts(site, owner, mechanism, ops, losses)
    elif is_of_class(owner, "Layer"):
        yield from _layer_texts(site, owner, mechanism, ops)


def _loss_texts(
    site: Site, owner: object, mechanism: str, ops: str | None, losses: str | None
) -> Iterator[tuple[str, EditFact]]:
    if site.facts.dtype in ("float16", "bfloat16"):
        if isinstance(site.node, ast.Call):
            yield _with_keyword(site, "dtype", '"float32"'), _WIDE_LOSS
        elif losses is not None and (name := _class_name(owner)) is not None:
            yield f'{losses}.{name}(dtype="float32")', _WIDE_LOSS
    function = getattr(getattr(owner, "fn", None), "__name__", None)
    if function is None or ops is None or losses is None or mechanism == "overflow":
        return
    guarded = f"{ops}.maximum(y_pred, {site.limits.logarithm})"
    yield (
        f"lambda y_true, y_pred: {losses}.{function}(y_true, {guarded})",
        BoundAdded(BoundedPart.PREDICTIONS, low="0"),
    )


def _class_name(owner: object) -> str | None:
    """The class of `keras.losses` whose objects do by default what the function in `owner` does."""
    function = getattr(owner, "fn", None)
    losses = live_object("keras.losses")
    for name, made in sorted(vars(losses).items()) if function is not None else ():
        is_loss = isinstance(made, type) and any(base.__name__ == "Loss" for base in made.__mro__)
        if is_loss and getattr(made(), "fn", None) is function:
            return name
    return None


def _layer_texts(
    site: Site, owner: object, mechanism: str, ops: str | None
) -> Iterator[tuple[str, EditFact]]:
    if mechanism == "half-overflow":
        yield _with_keyword(site, "dtype", '"float32"'), _as_set(owner, mechanism)
    if mechanism == "out-of-domain" and is_unbounded(owner):
        yield _with_keyword(site, "activation", '"softplus"'), _as_set(owner, mechanism)
    if ops is None:
        return
    activation = getattr(getattr(owner, "activation", None), "__name__", None)
    if mechanism in ("overflow", "half-overflow") and activation == "exponential":
        for bound in dict.fromkeys((f"{ceiling(site.facts.dtype, 'exp')}.0", "20.0")):
            bounded = f"lambda x: {ops}.exp({ops}.minimum(x, {bound}))"
            size = bound.removesuffix(".0")
            yield (
                _with_keyword(site, "activation", bounded),
                BoundAdded(BoundedPart.OPERAND_OF_ACTIVATION, high=size),
            )
    if type(owner).__name__ == "UnitNormalization":
        yield _unit_normalization(site, owner, ops), BoundAdded(BoundedPart.DIVISOR, low="0")


def _unit_normalization(site: Site, owner: object, ops: str) -> str:
    axis = getattr(owner, "axis", -1)
    total = f"{ops}.sum({ops}.square(x), axis={axis}, keepdims=True)"
    length = f"{ops}.sqrt({ops}.maximum({total}, {site.limits.radicand}))"
    function = site.text(site.node.func) if isinstance(site.node, ast.Call) else ""
    lambda_layer = function.rpartition(".")[0]
    prefix = f"{lambda_layer}." if lambda_layer else "keras.layers."
    return f"{prefix}Lambda(lambda x: x / {length})"


def is_unbounded(layer: object) -> bool:
    """Whether the activation of a layer is none, so that what it gives may have any sign."""
    return getattr(getattr(layer, "activation", None), "__name__", None) == "linear"


def _as_set(layer: object, mechanism: str) -> EditFact:
    name = type(layer).__name__
    if mechanism == "out-of-domain":
        return FormWritten(NewForm.SOFTPLUS, name)
    return ComputedInFloat32(WidePart.LAYER, name)


def _with_keyword(site: Site, name: str, value: str) -> str:
    """The call with one keyword set, be it there already or not."""
    node = site.node
    assert isinstance(node, ast.Call)
    text, start = site.text(node), site.source.range_of(node)[0]
    for keyword in node.keywords:
        if keyword.arg == name:
            first, last = site.source.range_of(keyword.value)
            return f"{text[: first - start]}{value}{text[last - start :]}"
    if name == "activation" and len(node.args) > 1:
        first, last = site.source.range_of(node.args[1])
        return f"{text[: first - start]}{value}{text[last - start :]}"
    body = text[:-1].rstrip()
    comma = "" if body.endswith(("(", ",")) else ", "
    return f"{body}{comma}{' ' if body.endswith(',') else ''}{name}={value})"


def _imported(scope: Scope) -> dict[str, object]:
    """What the imports in reach of an expression have bound, also those of a function."""
    found = {name: live_object(path) for name, path in scope.paths.items()}
    return {name: value for name, value in found.items() if value is not None}


def prefix_of(site: Site, module: str) -> str | None:
    """How the file names a module of Keras, as `keras.ops` or `keras.losses`."""
    names = {name: site.scope.path_of_name(name) for name in site.scope.names}
    for keras in ("keras", "tensorflow.keras"):
        for name, path in names.items():
            if path in (keras, f"{keras}.{module}"):
                return name if path != keras else f"{name}.{module}"
    if "tensorflow" in names.values():
        return next(f"{n}.keras.{module}" for n, path in names.items() if path == "tensorflow")
    if module != "ops":
        return module if site.scope.is_free(module) else None
    spelling = site.api.spell("maximum")
    if spelling is None or spelling.import_line or spelling.family != "keras":
        return None
    return spelling.text.rpartition(".")[0] or None
