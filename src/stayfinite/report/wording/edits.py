"""What edits by templates do, in words."""

from __future__ import annotations

from stayfinite.repair import (
    BoundAdded,
    BoundedPart,
    ComputedInFloat32,
    EditFact,
    FormWritten,
    NewForm,
    TemplateFact,
    WidePart,
)

_BOUNDED = {
    BoundedPart.ARGUMENT: "the argument of `{of}` {range}",
    BoundedPart.BASE: "the base of `{of}` {range}",
    BoundedPart.DIVISOR: "the divisor {range}",
    BoundedPart.OPERAND_OF_ACTIVATION: "the operand of the activation {range}",
    BoundedPart.PREDICTIONS: "the predictions {range} in the loss",
}

_WIDE = {
    WidePart.OPERATION: "compute this in float32",
    WidePart.STATEMENT: "compute this statement in float32",
    WidePart.STATEMENT_WITHOUT_AUTOCAST: "compute this statement in float32, without autocast",
    WidePart.FUNCTION: "compute this function in float32",
    WidePart.LOSS: "compute the loss in float32",
    WidePart.LAYER: "compute this `{layer}` layer in float32",
}

_FORMS = {
    NewForm.ONE_AS_DIVISOR: "divide by 1 where the divisor is 0",
    NewForm.ONE_AS_BASE: "use 1 as the base of `{of}` where it is 0",
    NewForm.SIZE_AND_SIGN: "take `{of}` of the size of the base, and keep its sign",
    NewForm.LOGARITHMS: "compute `{of}` from logarithms, and keep it in range",
    NewForm.ROOT_ABOVE_ZERO: "write `{of}` as a square root that stays above 0",
    NewForm.LENGTH_ABOVE_ZERO: "write `{of}` so that it divides by a length that stays above 0",
    NewForm.POINT_WITH_ANGLE: "give `{of}` the point (0, 1) where it had (0, 0)",
    NewForm.FINITE_OPERAND: "keep the operand of `{of}` finite",
    NewForm.FINITE_MASK: "mask with {number}, which is finite",
    NewForm.EARLIER_NAN_TO_NUM: "take NaN out before `{of}`, not after it",
    NewForm.HARMLESS_OPERAND: "give `{of}` {number} wherever `where` discards its result",
    NewForm.SHIFTED_MATRIX: "add {number} to the diagonal of the matrix, which changes every step",
    NewForm.DIVISOR_AT_LEAST_ONE: "divide by at least 1",
    NewForm.SUM_OVER_AT_LEAST_ONE: "divide the sum by at least 1",
    NewForm.NUMBER_OF_ELEMENTS: "divide by the number of elements, not by one less",
    NewForm.ZERO_WHERE_EMPTY: "0 where `{of}` has no elements",
    NewForm.NUMBER_OF_FLOAT16: "use a number that float16 holds for {number}",
    NewForm.NO_CAST: "stay in float32",
    NewForm.SOFTPLUS: "give this `{of}` layer the activation softplus",
}


def template(done: TemplateFact) -> str:
    """What an edit does, and at how many places."""
    text = _edit(done.fact)
    if done.num_places > 1:
        text += f" ({done.num_places} places in `{done.function or 'the module'}`)"
    return text


def _edit(fact: EditFact) -> str:
    match fact:
        case BoundAdded():
            return f"keep {_BOUNDED[fact.part].format(of=fact.of, range=_range(fact))}"
        case ComputedInFloat32(part, layer):
            return _WIDE[part].format(layer=layer)
        case FormWritten(form, of, number):
            return _FORMS[form].format(of=of or "the reduction", number=number)


def _range(fact: BoundAdded) -> str:
    if fact.low is not None and fact.high is not None:
        return f"between {fact.low} and {fact.high}"
    return f"above {fact.low}" if fact.high is None else f"below {fact.high}"
