"""A rewriting of one place, and the others of the function."""

import ast

from stayfinite.repair.writing import Changes, repeated
from tests.repair.helpers import marked

TRIPLET = """\
from keras import ops

def triplet(anchor, positive, negative, at_zero):
    near = «ops.sqrt(ops.sum(anchor - positive, axis=-1))»
    far = ops.sqrt(ops.sum(anchor - negative, axis=-1))
    other = ops.sqrt(ops.mean(anchor, axis=-1)) + ops.sqrt(2.0)
    return near, far, other
"""
SAFE = "ops.where(is_0, 0.0, ops.sqrt(ops.where(is_0, 1.0, total)))"
LINES = ["total = ops.sum(anchor - positive, axis=-1)", "is_0 = ops.equal(total, 0.0)"]


def rewritten(text, places=None):
    """The text with the rewriting at all `places`; None where there is no other one."""
    found = marked(text)
    changes = Changes(found.source, found.node, SAFE, LINES)
    every = {node for node in ast.walk(found.source.tree) if isinstance(node, ast.expr)}
    edit = repeated(changes, every if places is None else places(every))
    return None if edit is None else (edit.num_places, edit.apply())


def test_what_does_the_same_to_another_operand_is_rewritten_too():
    num_places, after = rewritten(TRIPLET)
    assert num_places == 2
    assert after.splitlines()[3:-1] == [
        "    total = ops.sum(anchor - positive, axis=-1)",
        "    is_0 = ops.equal(total, 0.0)",
        "    near = ops.where(is_0, 0.0, ops.sqrt(ops.where(is_0, 1.0, total)))",
        "    total_2 = ops.sum(anchor - negative, axis=-1)",
        "    is_0_2 = ops.equal(total_2, 0.0)",
        "    far = ops.where(is_0_2, 0.0, ops.sqrt(ops.where(is_0_2, 1.0, total_2)))",
        "    other = ops.sqrt(ops.mean(anchor, axis=-1)) + ops.sqrt(2.0)",
    ]


def test_a_place_where_it_cannot_happen_is_left_as_it_is():
    assert rewritten(TRIPLET, places=lambda every: ()) is None


def test_lines_cannot_stand_before_what_is_not_always_evaluated():
    text = TRIPLET.replace("far = ops", "far = lambda: ops")
    assert rewritten(text) is None
    text = TRIPLET.replace("far = ops", "far = 0.0 if anchor is None else ops")
    assert rewritten(text) is None
