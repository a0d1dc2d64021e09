"""Written with TensorFlow."""

import tensorflow as tf


def snippets(x, y):
    similarity = tf.reduce_sum(x[:, None] * y, axis=-1) / 0.07
    ratio = tf.exp(similarity[:, 0]) / tf.reduce_sum(tf.exp(similarity), axis=-1)
    return -tf.math.log(ratio)


def snippets_exact(x, y):
    similarity = tf.reduce_sum(x[:, None] * y, axis=-1) / 0.07
    return tf.math.reduce_logsumexp(similarity, axis=-1) - similarity[:, 0]


def complement(x):
    p = tf.nn.sigmoid(x)
    return tf.math.log(1 - p)


def complement_exact(x):
    return tf.math.log_sigmoid(-x)


def plus(x, y):
    with tf.name_scope("plus"):
        total = tf.math.exp(x) + tf.math.exp(y)
    return tf.math.log(total)


def plus_exact(x, y):
    with tf.name_scope("plus"):
        total = tf.math.exp(x) + tf.math.exp(y)
    return tf.math.reduce_logsumexp(tf.stack([x, y], axis=-1), axis=-1)


def bounded(x):
    if x.shape[-1] > 3:
        x = tf.clip_by_value(x, -50.0, 50.0)
    return tf.math.log(tf.nn.softmax(x, axis=-1))


def bounded_exact(x):
    if x.shape[-1] > 3:
        x = tf.clip_by_value(x, -50.0, 50.0)
    return tf.nn.log_softmax(x, axis=-1)


def unit(x):
    return x / tf.norm(x, axis=-1, keepdims=True)


def unit_exact(x):
    scaled_x = x / tf.stop_gradient(tf.reduce_max(tf.abs(x), axis=-1, keepdims=True))
    return scaled_x / tf.sqrt(tf.reduce_sum(tf.square(scaled_x), axis=-1, keepdims=True))


def masked(x, mask):
    return tf.where(mask > 0, tf.math.log(x), tf.zeros_like(x))


def masked_exact(x, mask):
    return tf.where(mask > 0, tf.math.log(tf.where(mask > 0, x, 1.0)), tf.zeros_like(x))


def kept_dtype(x):
    wide = tf.cast(x, tf.float32)
    return tf.exp(wide) / (1.0 + tf.exp(wide))


def kept_dtype_exact(x):
    wide = tf.cast(x, tf.float32)
    return tf.sigmoid(wide)
