"""Each private name that only the JAX backend uses, by what it is used for.

When a release of JAX or Keras moves one of them, the test that fails here says which.
"""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import keras
import pytest
from jax.extend import core as jex

from stayfinite.frameworks.jax import private
from stayfinite.frameworks.keras import private as keras_private


def equations(function, *args):
    return jax.make_jaxpr(function)(*args).jaxpr.eqns


def equation(function, *args, name):
    return next(e for e in equations(function, *args) if e.primitive.name == name)


X = jnp.arange(4.0)


def small_model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_a_state_that_is_marked_is_not_written_over_by_fit():
    class Marks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            for variable in model.trainable_variables:
                variable.assign(keras.ops.full(variable.shape, 7.0))
            keras_private.keep_stored_state(model)
            raise KeyboardInterrupt

    model = small_model()
    with pytest.raises(KeyboardInterrupt):
        model.fit(jnp.ones((4, 2)), jnp.ones((4, 1)), verbose=0, callbacks=[Marks()])
    assert [float(v.numpy().min()) for v in model.trainable_variables] == [7.0, 7.0]


def test_the_loss_of_a_step_is_seen_once_and_is_not_the_mean():
    model = small_model()
    model.optimizer.build(model.trainable_variables)
    keras_private.note_shardings(model.train_step)
    seen = []
    with keras_private.losses_seen(seen.append):
        model.make_train_function(force=True)
        for target in (1.0, 3.0):
            model.reset_metrics()
            state = [
                [v.value for v in variables]
                for variables in (
                    model.trainable_variables,
                    model.non_trainable_variables,
                    model.optimizer.variables,
                    model.metrics_variables,
                )
            ]
            model.train_step(state, (jnp.zeros((4, 2)), jnp.full((4, 1), target)))
    assert [float(loss) for loss in seen] == [1.0, 9.0]


def test_optimizer_takes_gradients_by_apply():
    parameters = list(inspect.signature(keras_private.BaseOptimizer.apply).parameters)
    assert parameters == ["self", "grads", "trainable_variables"]
    assert "stateless_apply" in vars(keras_private.LossScaleOptimizer)


@pytest.mark.parametrize(
    "function",
    [
        jax.jit(lambda x: x + 1),
        jax.nn.relu,
        jax.checkpoint(lambda x: jnp.sin(x)),
        jax.custom_vjp(lambda x: x * 2),
    ],
    ids=["jit", "custom_jvp", "checkpoint", "custom_vjp"],
)
def test_calls_are_opened(function):
    if isinstance(function, jax.custom_vjp):
        function.defvjp(lambda x: (x * 2, None), lambda _, g: (g * 2,))
    (call,) = equations(function, X)
    jaxpr, constants = private.closed_call_of(call)
    assert isinstance(jaxpr, jex.Jaxpr)
    assert len(jaxpr.constvars) == len(constants)


def test_other_equations_are_not_calls():
    assert private.closed_call_of(equation(jnp.sin, X, name="sin")) is None
    loop = equation(lambda x: jax.lax.fori_loop(0, 3, lambda _, v: v * 2, x), X, name="scan")
    assert private.closed_call_of(loop) is None


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (jnp.sin, "sin"),
        (lambda x: jax.lax.top_k(x, 2), "top_k"),
        (lambda x: jax.lax.scan(lambda c, v: (c + v, c * v), 0.0, x), "scan"),
        (lambda x: jax.lax.cond(x[0] > 0, jnp.sin, jnp.cos, x), "cond"),
    ],
)
def test_bind_applies_a_primitive(function, name):
    found = equation(function, X, name=name)
    # Inputs of the equation: constants and `X`, or what the equations before it made of `X`.
    closed = jax.make_jaxpr(function)(X)
    env = dict(zip(closed.jaxpr.invars, [X], strict=True))
    for eqn in closed.jaxpr.eqns:
        operands = [a.val if isinstance(a, jex.Literal) else env[a] for a in eqn.invars]
        env.update(zip(eqn.outvars, private.bind(eqn.primitive, eqn.params, operands), strict=True))
    results = [env[v] for v in closed.jaxpr.outvars]
    expected = jax.tree.leaves(function(X))
    assert all(jnp.allclose(one, other) for one, other in zip(results, expected, strict=True))
    assert found.primitive.name == name


def test_frames_lead_to_the_line_innermost_first():
    def inner(x):
        return jnp.sin(x)

    def outer(x):
        return inner(x)

    found = equation(outer, X, name="sin")
    codes = [code for code, _ in private.frames(found.source_info)]
    assert codes.index(inner.__code__) < codes.index(outer.__code__)


def test_scope_tells_name_and_pass():
    def scoped(x):
        with jax.named_scope("@7"):
            return jnp.sum(jnp.sin(x))

    assert "@7" in private.scope(equation(scoped, X, name="sin").source_info)
    backward = [private.scope(e.source_info) for e in equations(jax.grad(scoped), X)]
    assert any("transpose(" in scope and "@7" in scope for scope in backward)


def test_trace_levels():
    level = private.trace_level()
    assert private.same_trace_level(level)
    seen = []
    jax.make_jaxpr(lambda x: seen.append(private.same_trace_level(level)) or x)(X)
    assert seen == [False]


def test_tracers_are_told_from_arrays():
    seen = []
    jax.make_jaxpr(lambda x: seen.append(private.is_tracing([x])) or x)(X)
    assert seen == [True]
    assert not private.is_tracing([X, 1.0, None])


def test_code_knows_whether_it_is_traced():
    seen = []
    jax.eval_shape(lambda x: seen.append(private.is_inside_trace()) or x, jax.numpy.ones(2))
    assert [*seen, private.is_inside_trace()] == [True, False]


def test_what_a_custom_derivative_computes_has_its_own_lines():
    @jax.custom_vjp
    def norm(x):
        return jnp.sqrt(jnp.sum(x**2))

    def backward(result, given):
        return (given / result[1] * result[0],)

    norm.defvjp(lambda x: (norm(x), (x, norm(x))), backward)
    with private.lines_of_derivatives():
        found = equations(jax.grad(lambda x: norm(x * 2)), X)
    division = [e for e in found if e.primitive.name == "div"][-1]
    # JAX 0.6 names no scope here; the last equation is of a derivative, too.
    assert private.scope(division.source_info) == private.scope(found[-1].source_info)
    assert backward.__code__ in [code for code, _ in private.frames(division.source_info)]
    assert norm.bwd is backward


def test_a_program_that_is_compiled_is_counted():
    function = jax.jit(lambda x: x + 1)
    numbers = [private.num_programs(function)]
    for x in (X, X, X[:2]):
        function(x)
        numbers.append(private.num_programs(function))
    assert numbers[0] < numbers[1] == numbers[2] < numbers[3]
    assert private.num_programs(print) == 0


def test_an_equation_that_only_places_its_operand_is_known():
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
    there = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    found = equations(lambda x: jax.lax.with_sharding_constraint(jnp.sin(x), there), X)
    assert [private.only_places(eqn) for eqn in found] == [False, True]
