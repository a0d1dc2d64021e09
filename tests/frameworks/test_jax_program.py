"""A step as one flat list of equations, each with the user's own line."""

from __future__ import annotations

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stayfinite import strict
from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.capture_axes import batch_axes
from stayfinite.frameworks.jax.capture_program import flatten
from stayfinite.frameworks.jax.float64 import widened
from stayfinite.frameworks.jax.private_shards import traced_if_mappable

X = jnp.ones((4, 3))


def program_of(function, *args):
    def step(*args):
        return function(*args)

    return flatten(jax.make_jaxpr(step)(*args), step.__code__)


def lines_of(program, primitive, function):
    first = function.__code__.co_firstlineno
    found = [e for e in program.equations if e.primitive.name == primitive]
    return [e.place.stack[0].line - first for e in found]


def test_library_function_that_jax_traced_before_has_the_line_of_each_caller():
    def loss(x):
        one = jnp.linalg.norm(x)
        two = jnp.linalg.norm(x)
        return one + two

    assert lines_of(program_of(loss, X), "sqrt", loss) == [1, 2]


def test_lines_of_user_functions_innermost_first():
    def helper(x):
        return jnp.log(x)

    def loss(x):
        return jnp.sum(helper(x) + 1)

    (log,) = [e for e in program_of(loss, X).equations if e.primitive.name == "log"]
    assert [span.function.split(".")[-1] for span in log.place.stack] == ["helper", "loss"]
    assert not log.place.in_library_object


def test_columns_are_those_of_the_call():
    def loss(x):
        return jnp.exp(x) + jnp.log(x)

    (log,) = [e for e in program_of(loss, X).equations if e.primitive.name == "log"]
    span = log.place.stack[0]
    line = inspect.getsource(loss).splitlines()[1]
    indentation = len(line) - len(line.lstrip())
    text = line[span.column : span.end_column] if span.column >= indentation else ""
    assert text == "jnp.log(x)"


def test_backward_pass_has_the_line_of_its_forward_op():
    def loss(x):
        root = jnp.sqrt(x)
        return jnp.sum(root)

    # The derivative of `sqrt` divides by it.
    assert lines_of(program_of(jax.grad(loss), X), "div", loss) == [1]


def test_jitted_function_is_inlined_and_constants_are_arrays():
    program = program_of(lambda x: jax.jit(jax.nn.softplus)(x) * 2, X)
    assert not [e for e in program.equations if e.primitive.name in ("jit", "pjit")]
    assert all(hasattr(value, "dtype") for value in program.constants.values())
    assert len(program.inputs) == len(program.outputs) == 1


def test_loop_stays_one_equation():
    program = program_of(lambda x: jax.lax.fori_loop(0, 9, lambda _, v: jnp.sin(v), x), X)
    assert [e.primitive.name for e in program.equations].count("sin") == 0


@pytest.mark.skipif(not hasattr(jax, "shard_map"), reason="it is in jax.experimental")
def test_the_body_of_a_shard_map_is_inlined():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    rows = jax.sharding.PartitionSpec("data")

    @functools.partial(jax.shard_map, mesh=mesh, in_specs=rows, out_specs=(rows, rows))
    def loss(x):
        mean = jax.lax.pmean(x.mean(0), "data")
        return jax.nn.relu(jnp.log(x - mean)), x.sum(keepdims=True)

    program = program_of(loss, X)
    assert lines_of(program, "log", loss.__wrapped__) == [3]
    assert "shard_map" not in [equation.primitive.name for equation in program.equations]
    assert [program.avals[output].shape for output in program.outputs] == [(4, 3), (1, 1)]
    axes = batch_axes(program, program.inputs)
    (log,) = [e for e in program.equations if e.primitive.name == "log"]
    assert axes[log.results[0]] == 1


def test_only_what_vmap_refuses_is_left_as_one_operation(monkeypatch):
    def unknown_axis():
        return jax.make_jaxpr(jax.vmap(lambda x: jax.lax.psum(x, "other")))(X)

    def wrong():
        return jax.make_jaxpr(jax.vmap(lambda x: x + "a"))(X)

    assert traced_if_mappable(unknown_axis) is None
    monkeypatch.setenv(strict.VARIABLE, "0")
    assert traced_if_mappable(wrong) is None
    monkeypatch.setenv(strict.VARIABLE, "1")
    with pytest.raises(TypeError):
        traced_if_mappable(wrong)


W = jnp.ones((3, 5))
IMAGE = jnp.ones((4, 6, 6, 2))
AXES = {
    "element by element": (lambda x: jnp.tanh(x) * 2 + x, X, 0),
    "other samples untouched by a broadcast": (
        lambda x: x - jnp.mean(x, axis=1, keepdims=True),
        X,
        0,
    ),
    "reduce over features": (lambda x: jnp.sum(x, axis=-1), X, 0),
    "reduce over samples": (lambda x: jnp.sum(x, axis=0), X, None),
    "reduce to a scalar": (jnp.mean, X, None),
    "transpose": (lambda x: x.T, X, 1),
    "new axis before": (lambda x: x[None], X, 1),
    "new axis after": (lambda x: x[:, None, :], X, 0),
    "flatten": (lambda x: x.reshape(4, -1), IMAGE, 0),
    "samples split": (lambda x: x.reshape(2, 2, 3), X, None),
    "samples merged with features": (lambda x: x.reshape(-1), X, None),
    "matmul from the left": (lambda x: x @ W, X, 0),
    "matmul from the right": (lambda x: W.T @ x.T, X, 1),
    "samples contracted": (lambda x: x.T @ jnp.ones((4, 2)), X, None),
    "batched matmul": (lambda x: jnp.einsum("bij,bjk->bik", x, x), jnp.ones((4, 3, 3)), 0),
    "convolution": (
        lambda x: jax.lax.conv_general_dilated(
            x, jnp.ones((3, 3, 2, 5)), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        IMAGE,
        0,
    ),
    "where": (lambda x: jnp.where(x > 0, x, 0.0), X, 0),
    "softmax": (lambda x: jax.nn.softmax(x, axis=-1), X, 0),
    "look-up in a table": (lambda x: W[x.astype(int)[:, 0]], X, 0),
}


@pytest.mark.parametrize("name", AXES)
def test_axis_of_the_samples(name):
    function, x, expected = AXES[name]
    program = program_of(function, x)
    assert batch_axes(program, program.inputs).get(program.outputs[0]) == expected


def test_float64_reaches_the_programs_of_a_linear_solve():
    square, row = 2 * jnp.eye(3), jnp.ones(3)
    gradient = jax.grad(lambda a, b: jnp.sum(jnp.linalg.solve(a, b)))
    with private.float64_enabled():
        wide = widened(program_of(gradient, square, row))
        held = {**wide.constants, **dict(zip(wide.inputs, (square, row), strict=True))}
        held = {n: jnp.asarray(value, wide.avals[n].dtype) for n, value in held.items()}
        for each in wide.equations:
            operands = [held[operand] for operand in each.operands]
            results = private.bind(each.primitive, each.params, operands)
            held.update(zip(each.results, results, strict=True))
    assert [held[n].dtype for n in held] == [wide.avals[n].dtype for n in held]
