"""Written with `keras.ops`: each function as it is found, and as `NAME_exact` it shall be."""

import functools

import keras
import numpy as np
from keras import ops

TEMPERATURE = 0.07
ORDER = 12


def picked_loss(x, mask):
    chance = ops.sum(mask * ops.softmax(x), axis=-1)
    return -ops.log(chance)


def picked_loss_exact(x, mask):
    return -ops.sum(mask * ops.log_softmax(x), axis=-1)


def contrast(x, y):
    # similarity of each pair
    similarity = ops.sum(x * y, axis=-1) / TEMPERATURE
    weights = ops.exp(similarity)  # grows fast
    return -ops.log(weights / ops.sum(weights, axis=-1, keepdims=True))


def contrast_exact(x, y):
    # similarity of each pair
    similarity = ops.sum(x * y, axis=-1) / TEMPERATURE
    return -ops.log_softmax(similarity, axis=-1)


def smooth_peak(x):
    total = ops.sum(x**ORDER, axis=-1, keepdims=True)
    return total ** (1.0 / ORDER)


def smooth_peak_exact(x):
    scale = ops.stop_gradient(ops.max(ops.abs(x), axis=-1, keepdims=True))
    return scale * ops.sum((x / scale) ** ORDER, axis=-1, keepdims=True) ** (1.0 / ORDER)


def present_value(payment, rate, years):
    annuity = 1.0 - ops.exp(-rate * years)
    annuity = annuity / rate
    return payment * annuity


def present_value_exact(payment, rate, years):
    at_zero = ops.equal(rate, 0)
    annuity = ops.where(at_zero, years, -ops.expm1(-rate * years) / ops.where(at_zero, 1.0, rate))
    return payment * annuity


def log_mean(x):
    """A docstring that stays."""
    return ops.log(ops.mean(ops.exp(x), axis=1))


def log_mean_exact(x):
    """A docstring that stays."""
    return ops.logsumexp(x, axis=1) - 1.79175947


def once(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)

    return wrapper


@once
def decorated(x):
    return ops.log(1 + ops.exp(x))


@once
def decorated_exact(x):
    return ops.softplus(x)


class Margin:
    def __init__(self, margin):
        self.margin = margin

    def hinge(self, x, y):
        distance = ops.sqrt(ops.sum(ops.square(x - y), axis=-1))
        return ops.maximum(self.margin - distance, 0.0)

    def hinge_exact(self, x, y):
        total = ops.sum(ops.square(x - y), axis=-1)
        at_zero = ops.equal(total, 0)
        distance = ops.where(at_zero, 0.0, ops.sqrt(ops.where(at_zero, 1.0, total)))
        return ops.maximum(self.margin - distance, 0.0)


LIVING = Margin(2.0)


def softmin(a, b):
    return -ops.log(ops.exp(-a) + ops.exp(-b))


def softmin_exact(a, b):
    return -ops.logaddexp(-a, -b)


def chain(x):
    best = [x[:, 0]]
    for column in range(1, 4):
        best.append(x[:, column] + softmin(best[-1], x[:, column - 1]))
    return best[-1]


def lambdas(x):
    return (lambda p: p * 2.0)(x), (lambda z: ops.log(ops.sigmoid(z)))(x)


def lambdas_exact(x):
    return (lambda p: p * 2.0)(x), (lambda z: ops.log_sigmoid(z))(x)


def several_lines(x, y):
    return ops.mean(
        ops.log(
            ops.exp(x)  # the first
            + ops.exp(y)
        ),
        axis=-1,
    )


def several_lines_exact(x, y):
    return ops.mean(
        ops.logaddexp(x, y),
        axis=-1,
    )


def keras_loss(x, mask):
    odds = keras.ops.exp(x)
    p = odds / (1.0 + odds)
    return -(mask * keras.ops.log(p + 0.0))


def keras_loss_exact(x, mask):
    return -(mask * keras.ops.log_sigmoid(x))


def hazards_so_far(x, y):
    hazard = ops.cumsum(ops.exp(x), axis=-1)
    return ops.log(hazard) - y * np.sqrt(2.0).astype("float32")


def hazards_so_far_exact(x, y):
    return ops.associative_scan(ops.logaddexp, x, axis=-1) - y * np.sqrt(2.0).astype("float32")
