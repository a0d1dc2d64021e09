"""A fix is verified only with the value of exact arithmetic: loss and fix of naive formulas."""

import keras
import numpy as np
import pytest
from keras import ops

import stayfinite

BATCH = 4
# The values are those of exact arithmetic, which knows no framework.
SAME_ON_EACH = pytest.mark.slow_on("jax", "tensorflow")


def probability(_, z):
    a, b = z[:, 0], z[:, 1]
    p = ops.exp(a) / (ops.exp(a) + ops.exp(b))
    return ops.mean(ops.square(p - 0.25))


def picked_class(y, z):
    chosen = ops.take_along_axis(ops.softmax(z), ops.cast(y, "int32"), axis=-1)
    return -ops.mean(ops.log(chosen))


def log_of_sum(_, z):
    return ops.mean(ops.log(ops.exp(z[:, 0]) + ops.exp(z[:, 1])))


def evidential(_, z):
    omega = 2.0 * ops.exp(z[:, 0]) * (1.0 + ops.softplus(z[:, 1]))
    return ops.mean(-1.5 * ops.log(omega))


def kernel(_, z):
    a, b = ops.split(z, 2, axis=-1)
    density = ops.exp(-0.5 * ops.square(a - b)) / np.sqrt(2 * np.pi).astype("float32")
    return -ops.mean(ops.log(ops.sum(density, axis=-1)))


def rate(_, z):
    return ops.mean(ops.exp(z[:, 0]) - z[:, 0])


def slope(_, z):
    gap = z[:, 0] - z[:, 1]
    return ops.mean(z[:, 1] / gap)


def squashed(_, z):
    action = 2.0 * ops.tanh(z[:, 0])
    return ops.mean(ops.log(1.0 - action**2 + 1e-6))


@pytest.fixture
def incident(tmp_path):
    """Trains on rows of two or more logits, the last batch with an extreme one; the incident."""

    def train(loss, extreme, targets=None, policy="stop"):
        width = len(extreme)
        rng = np.random.default_rng(0)
        x = rng.uniform(0.05, 0.3, size=(3 * BATCH, width)).astype("float32")
        x[:, 0] += 0.02 * np.arange(3 * BATCH)
        if loss is slope:
            x[:, 0] += np.where(np.arange(3 * BATCH) % 2, -1.0, 1.0)
        x[2 * BATCH + 1] = extreme
        y = np.zeros((3 * BATCH, 1), "float32") if targets is None else targets
        keras.utils.set_random_seed(0)
        dense = keras.layers.Dense(width, kernel_initializer="identity", use_bias=False)
        model = keras.Sequential([keras.Input((width,)), dense])
        model.compile(keras.optimizers.SGD(0.0 if loss is slope else 1e-6), loss=loss)
        options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
        with pytest.raises(stayfinite.NonFiniteError) as caught:
            model.fit(x, y, callbacks=[stayfinite.Guard(policy, keep=tmp_path / "kept")], **options)
        found = caught.value.incident
        weights = model.get_weights()[0].astype("float64")
        return found, x[2 * BATCH :].astype("float64") @ weights

    return train


def log_softmax(z):
    top = z.max(axis=-1, keepdims=True)
    return z - top - np.log(np.exp(z - top).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize(
    ("loss", "extreme", "exact"),
    [
        (
            probability,
            (100.0, 85.0),
            lambda z: np.mean((1 / (1 + np.exp(z[:, 1] - z[:, 0])) - 0.25) ** 2),
        ),
        pytest.param(
            picked_class,
            (-70.0, 60.0, 2.0),
            lambda z: -np.mean(log_softmax(z)[:, 0]),
            marks=SAME_ON_EACH,
        ),
        (log_of_sum, (120.0, 3.0), lambda z: np.mean(np.logaddexp(z[:, 0], z[:, 1]))),
        pytest.param(
            evidential,
            (-130.0, 0.3),
            lambda z: np.mean(
                -1.5 * (np.log(2.0) + z[:, 0] + np.log1p(np.logaddexp(0.0, z[:, 1])))
            ),
            marks=SAME_ON_EACH,
        ),
    ],
)
def test_a_fix_has_the_exact_loss(incident, loss, extreme, exact):
    found, z = incident(loss, extreme)
    fix = found.fix
    assert (fix.kind, fix.value, fix.verified) == ("source", "exact", True), fix
    assert fix.loss == pytest.approx(exact(z), rel=1e-6)
    assert fix.reference_loss == pytest.approx(exact(z), rel=1e-6)
    assert found.cause.certainty == "confirmed"
    assert "verified: exact value (loss" in stayfinite.explain(found)


@SAME_ON_EACH
@pytest.mark.parametrize(("loss", "extreme"), [(slope, (0.25, 0.25)), (squashed, (1.5, 0.0))])
def test_a_formula_without_a_value_has_no_verified_fix(incident, loss, extreme):
    found, _ = incident(loss, extreme)
    fix = found.fix
    assert (fix.value, fix.verified, fix.reference_loss) == ("undefined", False, None), fix
    assert fix.text.startswith("check `")
    told = " ".join(stayfinite.explain(found).split())
    assert "not verified: the formula is undefined here" in told
    # A divisor keeps its sign.
    assert "maximum(gap" not in fix.diff, fix.diff


def test_a_logarithm_of_a_sum_that_was_rounded_to_0_is_not_infinite(incident):
    """With a true value of 450, no bound has the right value, whatever is read of the formula."""
    found, _ = incident(kernel, (60.0, 0.0))
    assert found.cause.name == "log-of-zero"
    assert found.fix.value != "bounded"
    assert found.fix.verified == (found.fix.value == "exact")


@SAME_ON_EACH
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_bound_with_a_loss_far_above_the_healthy_ones_is_not_put_into_the_program(incident):
    found, _ = incident(rate, (200.0, 0.0), policy="repair")
    assert found.cause.name == "overflow"
    assert (found.fix.value, found.fix.verified) == ("bounded", True)
    assert "far above that of any healthy step" in found.fix.text


@pytest.mark.slow
def test_an_exact_fix_in_a_network_that_amplifies_roundings(tmp_path):
    """Batch normalization over three samples, 14 times: gradients of float32 and float64 differ.

    The comparison allows what roundings do to this step, so the exact form is still verified.
    """
    keras.utils.set_random_seed(0)
    x = h = keras.Input((16,))
    for _ in range(14):
        h = keras.layers.BatchNormalization()(keras.layers.Dense(16)(h))
        h = keras.layers.Activation("relu")(h)
    embedding = keras.Model(x, keras.layers.Dense(4)(h))
    inputs = [keras.Input((16,)) for _ in range(3)]
    model = keras.Model(inputs, keras.layers.Concatenate()([embedding(i) for i in inputs]))

    def triplet(_, e):
        positive = ops.sqrt(ops.sum(ops.square(e[:, :4] - e[:, 4:8]), axis=-1))
        negative = ops.sqrt(ops.sum(ops.square(e[:, :4] - e[:, 8:]), axis=-1))
        return ops.mean(ops.softplus(positive - negative))

    model.compile(keras.optimizers.SGD(1e-9), triplet)
    anchor, positive, negative = np.random.default_rng(0).normal(size=(3, 9, 16)).astype("float32")
    positive[6:] = anchor[6:]
    guard = stayfinite.Guard(keep=tmp_path)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(
            [anchor, positive, negative],
            np.zeros((9, 1)),
            batch_size=3,
            shuffle=False,
            verbose=0,
            callbacks=[guard],
        )
    incident = caught.value.incident
    assert incident.cause.name == "singular-gradient"
    assert (incident.fix.value, incident.fix.verified) == ("exact", True)
