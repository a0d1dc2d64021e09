"""Each private name that only the TensorFlow backend uses, by what it is used for.

When a release of TensorFlow or Keras moves one of them, the test that fails here says which.
"""

from __future__ import annotations

import contextlib
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.tensorflow import private, private_functions, private_random

X = tf.constant([1.0, 4.0])


def told(run):
    """Type, inputs, attributes and outputs of each op that `run` executes."""
    ops = []
    with private.op_callback(lambda *op: ops.append(op)):
        run()
    return ops


def test_trainer_makes_functions_of_steps():
    parameters = list(inspect.signature(keras.Model._make_function).parameters)
    assert parameters == ["self", "step_function"]


@pytest.mark.parametrize("eagerly", [True, False])
def test_made_function_takes_one_batch_at_a_time(eagerly):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    options = {"run_eagerly": eagerly, "jit_compile": False, "steps_per_execution": 3}
    model.compile("sgd", "mse", **options)
    function = private.make_function(
        KerasModel(model).compilation, lambda data: {"sum": tf.reduce_sum(data)}
    )
    iterator = iter(tf.data.Dataset.from_tensor_slices([1.0, 2.0, 3.0]))
    assert [float(function(iterator)["sum"]) for _ in range(3)] == [1.0, 2.0, 3.0]
    with pytest.raises((StopIteration, tf.errors.OutOfRangeError)):
        function(iterator)
    assert float(function(iter([X]))["sum"]) == 5.0


def test_raw_variable_is_read_without_the_cast_of_a_policy():
    layer = keras.layers.Dense(1, dtype="mixed_float16")
    layer.build((None, 2))
    variable = layer.trainable_variables[0]
    assert isinstance(variable, keras.Variable)
    assert private.raw(variable).read_value().dtype == tf.float32
    assert private.raw(X) is X


def test_every_assignment_of_a_keras_variable_goes_through_one_method(monkeypatch):
    seen = []
    owner = keras_private.owner_of(keras.Variable, "assign")
    plain = owner.assign

    def assign(variable, value):
        seen.append(variable)
        return plain(variable, value)

    monkeypatch.setattr(owner, "assign", assign)
    variable = keras.Variable([1.0])
    variable.assign([2.0])
    variable.assign_add([1.0])
    assert seen == [variable, variable]
    assert float(variable.numpy()[0]) == 3.0


def test_a_written_variable_is_seen_in_a_graph_also_inside_a_function():
    first, second, third = (tf.Variable(float(n)) for n in range(3))

    @tf.function
    def inside():
        second.assign(first + 1.0)

    @tf.function
    def outside():
        graph = tf.compat.v1.get_default_graph()
        inside()
        third.read_value()
        found.extend(private_functions.is_written(graph, [v]) for v in (first, second, third))

    found: list[bool] = []
    outside.get_concrete_function()
    assert found == [False, True, False]


def test_functions_and_xla_are_told_from_plain_steps():
    def plain(x):
        return x

    assert not private_functions.is_function(plain)
    assert private_functions.is_function(tf.function(plain))
    assert private_functions.is_xla(tf.function(plain, jit_compile=True))
    assert not private_functions.is_xla(tf.function(plain))


def test_rare_branch_is_kept_as_a_branch_and_taken_where_it_must_be():
    variable = tf.Variable(0.0)

    def change():
        variable.assign(2.0)

    @tf.function
    def choose(usual):
        private.rarely(usual, lambda: None, change)
        return private.rarely(usual, lambda: tf.constant(1), lambda: tf.constant(2))

    assert int(choose(tf.constant(True))) == 1
    assert float(variable) == 0.0
    assert int(choose(tf.constant(False))) == 2
    assert float(variable) == 2.0
    graph = choose.get_concrete_function(tf.constant(True)).graph
    branches = [op for op in graph.get_operations() if op.type in ("If", "StatelessIf")]
    assert branches
    assert not any(op.get_attr("_lower_using_switch_merge") for op in branches)


def test_callback_is_told_of_ops_but_not_of_its_own():
    def tell(kind, inputs, attrs, outputs):
        kinds.append(kind)
        tf.sqrt(outputs[0])
        private.execute("Sqrt", [X], ("T", 1), 1)

    kinds: list[str] = []
    with private.op_callback(tell):
        tf.reduce_sum(X * X)
    assert kinds == ["Mul", "Sum"]
    tf.square(X)
    assert kinds == ["Mul", "Sum"]


def test_a_variable_among_operands_is_read_by_an_op_that_is_told():
    variable = keras.Variable(2.0)
    for run in (lambda: variable * X, lambda: tf.math.add_n([variable.value, variable.value])):
        ops = told(run)
        read = next(outputs[0] for kind, _, _, outputs in ops if kind == "ReadVariableOp")
        kind, inputs, _, _ = ops[-1]
        assert kind in ("Mul", "AddN")
        assert any(operand is read for operand in inputs)


def test_ops_of_a_gradient_are_told_inside_its_function():
    entered = []

    @contextlib.contextmanager
    def enter(kind, inputs, outputs):
        entered.append(kind)
        yield
        entered.append("left")

    with tf.GradientTape() as tape:
        tape.watch(X)
        y = tf.sqrt(X)
    with private.gradient_functions(enter):
        ops = told(lambda: tape.gradient(y, X))
    assert entered == ["Sqrt", "left"]
    assert "SqrtGrad" in [kind for kind, *_ in ops]
    with tf.GradientTape() as tape:
        tape.watch(X)
        y = tf.sqrt(X)
    assert np.allclose(tape.gradient(y, X), [0.5, 0.25])
    assert len(entered) == 2


def test_executed_op_is_on_no_tape():
    with tf.GradientTape() as tape:
        tape.watch(X)
        (y,) = private.execute("Sqrt", [X], ("T", 1), 1)
    assert tape.gradient(y, X) is None
    assert np.allclose(y, [1.0, 2.0])


def test_keys_differ_and_stay():
    other = tf.constant([1.0, 4.0])
    assert private.key(X) == private.key(X) != private.key(other)


def test_types_are_changed_and_nothing_else():
    ((kind, inputs, attrs, _),) = told(lambda: tf.linalg.matmul([[1.0]], [[2.0]], transpose_b=True))
    wide = private.with_types(kind, attrs, lambda dtype: tf.float64)
    (result,) = private.execute(kind, [tf.cast(x, tf.float64) for x in inputs], wide, 1)
    assert result.dtype == tf.float64
    assert float(result[0, 0]) == 2.0


@pytest.mark.parametrize("seed", [None, 3])
def test_same_random_numbers_in_each_block_and_others_after_it(seed, monkeypatch):
    tf.random.set_seed(seed)
    if seed is None:
        # As in a process in which no seed was ever set.
        monkeypatch.delattr(private.context.context(), "_rng")

    def drawn():
        with private_random.same_random_numbers():
            return [tf.random.uniform([4]).numpy() for _ in range(2)]

    one, other = drawn(), drawn()
    assert np.array_equal(one, other) and not np.array_equal(one[0], one[1])
    assert not np.array_equal(tf.random.uniform([4]), tf.random.uniform([4]))


def test_ops_that_draw_from_a_state_of_their_own_are_known():
    assert private.is_random("RandomUniform") and private.is_random("RandomStandardNormal")
    assert not private.is_random("StatelessRandomUniformV2") and not private.is_random("MatMul")


class Doubling:
    @tf.function
    def doubled(self, x):
        if tf.reduce_sum(x) > 100.0:
            x = -x
        return 2.0 * x


def test_a_copy_of_a_function_is_called_inside_another():
    calls = []

    def around(call):
        calls.append(private_functions.captured_variables(tf.compat.v1.get_default_graph()))
        return {"result": call()}

    function = Doubling().doubled
    copy = private_functions.with_function_around(function, around)
    assert [copy(X * n)["result"].numpy().tolist() for n in (1.0, 100.0)] == [
        [2.0, 8.0],
        [-200.0, -800.0],
    ]
    assert len(calls) == 1
    assert function.experimental_get_tracing_count() == 0


def test_function_of_a_method_is_bound_and_not_converted():
    instance = Doubling()
    function = instance.doubled
    function(X)
    bound = private_functions.bound_function(function)
    assert inspect.unwrap(bound) is Doubling.doubled.python_function
    assert list(inspect.signature(bound).parameters) == ["x"]
    assert float(bound(2.0)) == 4.0
    assert private_functions.bound_function(tf.function(told)) is told


def test_variables_that_a_trace_reads():
    read, other = keras.Variable([1.0]), tf.Variable([1.0])
    found = []

    @tf.function
    def function():
        result = read + 1.0
        is_read = private_functions.captured_variables(tf.compat.v1.get_default_graph())
        found.extend([is_read(read), is_read(other)])
        return result

    function()
    assert found == [True, False]


def test_calls_of_functions_are_hooked_until_undone():
    called = []

    def make(plain):
        def call(function, *args, **keywords):
            called.append(private_functions.is_of_library(function))
            return plain(function, *args, **keywords)

        return call

    function = tf.function(lambda x: x + 1.0)
    undo = private_functions.hook_calls(make)
    function(X)
    undo()
    function(X)
    assert called == [False]


def calls_of(methods, run):
    """How many calls of `methods` there are in `run`."""
    told = []

    def hooked(plain):
        return lambda *args, **options: told.append(plain) or plain(*args, **options)

    with replaced([(owner, name, hooked) for owner, name in methods]):
        run()
    return len(told)


def test_random_numbers_are_drawn_by_known_operations():
    methods = [
        (operation.owner, operation.name) for operation in private_random.random_operations()
    ]
    generator = tf.random.Generator.from_seed(1)
    assert calls_of(methods, lambda: tf.random.normal((2,)))
    assert calls_of(methods, lambda: tf.random.truncated_normal((2,)))
    assert calls_of(methods, lambda: tf.random.shuffle(X))
    assert calls_of(methods, lambda: generator.uniform((2,)))


def test_every_assignment_of_a_variable_goes_through_known_methods():
    methods = private.assignments()
    assert calls_of(methods, lambda: tf.Variable(1.0).assign_add(1.0)) == 1
    assert calls_of(methods, lambda: keras.Variable(1.0).assign(2.0)) == 1


def test_random_numbers_go_on_as_before_after_a_block():
    tf.random.set_seed(3)
    expected = [float(tf.random.normal(())) for _ in range(2)]
    tf.random.set_seed(3)
    first = float(tf.random.normal(()))
    with private_random.random_numbers_kept():
        tf.random.normal(())
    assert [first, float(tf.random.normal(()))] == expected
