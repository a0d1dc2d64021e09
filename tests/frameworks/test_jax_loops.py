"""Short loops of `jax.lax` turn by turn: their values, and that no equation of a loop is left."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.lax import fori_loop

from stayfinite.frameworks.jax.unrolled import MAX_TURNS, unrolled_loops

X = jnp.arange(1.0, 7.0)


def mapped(x):
    return lax.map(lambda v: {"root": jnp.sqrt(v)}, x)["root"]


def scanned(x):
    return lax.scan(lambda total, v: (total + v, total * v), 0, x, reverse=True)[1]


def counted(x):
    return lax.fori_loop(1, 4, lambda turn, v: v / (turn + v), x)


def imported_by_name(x):
    return fori_loop(0, len(x), lambda turn, v: v.at[turn].multiply(2), x)


def too_long(x):
    return fori_loop(0, MAX_TURNS + 1, lambda turn, v: v + turn, x)


def of_unknown_length(x):
    return fori_loop(0, jnp.argmax(x), lambda turn, v: v + turn, x)


@pytest.mark.parametrize("loop", [mapped, scanned, counted, imported_by_name])
def test_a_short_loop_has_the_equations_of_each_turn(loop):
    with unrolled_loops():
        unrolled = jax.make_jaxpr(loop)(X)
        value = loop(X)
    assert not {"scan", "while"} & {equation.primitive.name for equation in unrolled.eqns}
    np.testing.assert_array_equal(value, loop(X))
    assert value.dtype == loop(X).dtype


@pytest.mark.parametrize("loop", [too_long, of_unknown_length])
def test_other_loops_stay_one_equation(loop):
    with unrolled_loops():
        names = {equation.primitive.name for equation in jax.make_jaxpr(loop)(X).eqns}
    assert {"scan", "while"} & names
