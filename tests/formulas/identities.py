"""Identities as formulas over leaves, and operands for them."""

import numpy as np
from hypothesis import strategies as st

from stayfinite.repair.engine.patterns import ALONG, REDUCTIONS, parsed, variables
from stayfinite.repair.formula import LeafRole, constant, leaf, node

SHAPE = (2, 3)
APART = {"a": 1.0, "b": 1.137, "c": 0.911, "d": 0.883}


def formula(pattern):
    """The pattern over leaves named like its variables; reductions are over the last axis."""
    if pattern.op == "?":
        return leaf(pattern.name, LeafRole.VARIABLE)
    if pattern.op == "#":
        return constant(pattern.value)
    attributes = {}
    if pattern.op in REDUCTIONS:
        attributes = {"axis": (1,), "keepdims": pattern.kept}
    elif pattern.op in ALONG:
        attributes = {"axis": 1}
    return node(pattern.op, *map(formula, pattern.operands), **attributes)


@st.composite
def numbers(draw):
    """An array for each letter, the same for all identities."""
    scale = draw(st.sampled_from([0.3, 0.9, 4.0]))
    found = {}
    for name in APART:
        sizes = draw(st.lists(st.floats(0.01, 1.0), min_size=6, max_size=6))
        signs = draw(st.sampled_from(["++++++", "++++++", "+-+--+", "------"]))
        array = scale * np.where(np.array(list(signs)) == "-", -1.0, 1.0) * np.array(sizes)
        # Never two equal ones: the gradient of a tie is a matter of taste.
        found[name] = APART[name] * array.reshape(SHAPE)
    return found


def operands(identity, drawn):
    """The arrays of its variables, with the signs that the identity asks for."""
    positive = {c.split()[0] for c in identity.conditions if ">" in c}
    return {
        leaf(name, LeafRole.VARIABLE): np.abs(drawn[name]) if name in positive else drawn[name]
        for name in sorted(variables(parsed(identity.left)))
    }
