"""Losses from textbooks with one extreme sample, and the same as an expert writes them.

`ARRAYS` holds the operands of each at which the naive form fails.
"""

import numpy as np
from keras import ops


def focal(z, gamma=2.0):
    p = ops.sigmoid(z)
    return -((1.0 - p) ** gamma) * ops.log(p)


def focal_exact(z, gamma=2.0):
    return -(ops.sigmoid(-z) ** gamma) * ops.log_sigmoid(z)


def error_power(error, gamma=0.5):
    return ops.abs(error) ** gamma


def error_power_exact(error, gamma=0.5):
    at_zero = ops.equal(error, 0.0)
    return ops.where(at_zero, 0.0, ops.abs(ops.where(at_zero, 1.0, error)) ** gamma)


def squashed(action):
    squashed = ops.tanh(action)
    return ops.sum(ops.log(1.0 - squashed**2), axis=-1)


def squashed_exact(action):
    return ops.sum(np.log(4.0) - 2.0 * action - 2.0 * ops.softplus(-2.0 * action), axis=-1)


def chord(a, b):
    return (a**2 - b**2) / (a - b)


def chord_exact(a, b):
    return a + b


def survival(times, event, scale, shape):
    hazard = (shape / scale) * (times / scale) ** (shape - 1.0)
    alive = ops.exp(-((times / scale) ** shape))
    return -ops.log(ops.where(event > 0.5, hazard * alive, alive))


def survival_exact(times, event, scale, shape):
    log_hazard = ops.log(shape / scale) + (shape - 1.0) * ops.log(times / scale)
    return (times / scale) ** shape - ops.where(event > 0.5, log_hazard, 0.0)


def info_nce(similarity):
    weights = ops.exp(similarity)
    return -ops.log(ops.diagonal(weights) / ops.sum(weights, axis=1))


def info_nce_exact(similarity):
    return ops.logsumexp(similarity, axis=1) - ops.diagonal(similarity)


def hyperbolic(gap):
    return ops.arccosh(1.0 + 2.0 * ops.square(gap))


def hyperbolic_exact(gap):
    return 2.0 * ops.arcsinh(ops.abs(gap))


def _floats(*rows):
    return np.array(rows, "float32")


ARRAYS = {
    "focal": {"z": _floats(-130.0, 0.5, -0.3)},
    "error_power": {"error": _floats(0.0, 0.5, -0.3)},
    "squashed": {"action": _floats([-11.0, 0.5, 0.3], [0.2, 0.1, 0.4])},
    "chord": {"a": _floats(0.3, 0.5, -0.7), "b": _floats(0.3, 1.0, 0.2)},
    "survival": {
        "times": _floats(60.0, 1.0, 2.0),
        "event": _floats(1.0, 0.0, 1.0),
        "scale": _floats(0.6, 1.1, 1.3),
        "shape": _floats(1.6, 1.5, 1.2),
    },
    "info_nce": {"similarity": _floats([150.0, 170.0], [1.0, 0.0])},
    "hyperbolic": {"gap": _floats(1e-5, 0.5, -3.0)},
}


def mistaken(z):
    """The probability of one of two sides is not 1 - 2 p."""
    return -ops.log(1.0 - 2.0 * ops.sigmoid(z))


def both_signs(a, b):
    return 1.0 / (a - b)


def far_too_large(z):
    return ops.exp(z)


def at_a_pole(a, b):
    return 1.0 / ops.square(a - b)


WITHOUT_EXACT_FORM = {
    "mistaken": ("undefined", {"z": _floats(1.0, -0.5, -0.3)}),
    "both_signs": ("undefined", {"a": _floats(0.3, 0.5, -0.7), "b": _floats(0.3, 1.0, -0.9)}),
    "far_too_large": ("bounded", {"z": _floats(100.0, 0.5)}),
    "at_a_pole": ("bounded", {"a": _floats(0.3, 0.5, -0.7), "b": _floats(0.3, 1.0, 0.2)}),
}
