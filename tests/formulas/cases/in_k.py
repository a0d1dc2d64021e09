"""Written with `keras.ops` as `K`, in the way of Keras 2."""

import keras.ops as K
from keras.ops import exp, log


def focal(x, mask):
    p = K.sigmoid(x)
    loss = -mask * K.log(p)
    loss *= (1.0 - p) ** 2
    return K.mean(loss, axis=-1)


def focal_exact(x, mask):
    p = K.sigmoid(x)
    loss = -mask * K.log_sigmoid(x)
    loss *= (1.0 - p) ** 2
    return K.mean(loss, axis=-1)


def bare_names(x, y):
    return exp(x) / (exp(x) + exp(y))


def bare_names_exact(x, y):
    return K.sigmoid(x - y)


def cosine(x, y):
    dot = K.sum(x * y, axis=-1)
    lengths = K.sqrt(K.sum(x * x, axis=-1)) * K.sqrt(K.sum(y * y, axis=-1))
    return dot / lengths


def cosine_exact(x, y):
    scaled_x = x / K.stop_gradient(K.max(K.abs(x), axis=-1, keepdims=True))
    scaled_y = y / K.stop_gradient(K.max(K.abs(y), axis=-1, keepdims=True))
    root = K.sqrt(K.sum(scaled_y * scaled_y, axis=-1))
    product = K.sqrt(K.sum(scaled_x * scaled_x, axis=-1)) * root
    return K.sum(scaled_x * scaled_y, axis=-1) / product


def survival(x, mask):
    stayed = 1.0 - K.cumsum(mask, axis=-1)
    hazard = K.sigmoid(x)
    alive = K.prod(K.where(stayed > 0, 1.0 - hazard, 1.0), axis=-1)
    return K.log(alive * K.sum(hazard * mask, axis=-1))


def survival_exact(x, mask):
    stayed = 1.0 - K.cumsum(mask, axis=-1)
    return K.sum(stayed * K.log_sigmoid(-x) + mask * K.log_sigmoid(x), axis=-1)


def early_return(x, training=None):
    if training:
        return x
    total = K.exp(x) - K.exp(-x)
    return total / (K.exp(x) + K.exp(-x))


def early_return_exact(x, training=None):
    if training:
        return x
    return K.tanh(x)


def gathered(x, index):
    return K.log(K.take_along_axis(K.softmax(x, axis=-1), index, axis=-1))


def gathered_exact(x, index):
    return K.take_along_axis(K.log_softmax(x, axis=-1), index, axis=-1)


def rate_of_events(x, y):
    rate = K.exp(x)
    return rate - y * log(rate)


def rate_of_events_exact(x, y):
    rate = K.exp(x)
    return rate - y * x


def spread(x):
    z = x - K.mean(x, axis=-1, keepdims=True)
    return z / K.std(x, axis=-1, keepdims=True)


def spread_exact(x):
    z = x - K.mean(x, axis=-1, keepdims=True)
    return z / K.maximum(K.std(x, axis=-1, keepdims=True), 1e-07)
