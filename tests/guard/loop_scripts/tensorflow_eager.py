"""Two updates that are not compiled: one in the body of a loop, one in a function."""

import hashlib
import sys

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(0)
IS_NAIVE = sys.argv[1:] == ["naive"]
layers = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.2), keras.layers.Dense(2)]
model = keras.Sequential([keras.Input((3,)), *layers])
critic = keras.Sequential([keras.layers.Dense(1)])
optimizer = keras.optimizers.Adam(1e-2)
of_critic = keras.optimizers.SGD(0.1, momentum=0.9)


def loss_of(logits, labels):
    normalizer = tf.reduce_logsumexp(logits, axis=-1)
    if IS_NAIVE:
        normalizer = tf.math.log(tf.reduce_sum(tf.exp(logits), axis=-1))  # <- here
    return tf.reduce_mean(normalizer - tf.gather(logits, labels, batch_dims=1))


def train_critic(inputs):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(critic(inputs) - 1.0))
    gradients = tape.gradient(loss, critic.trainable_variables)
    of_critic.apply_gradients(zip(gradients, critic.trainable_variables, strict=True))


x = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
labels = (x[:, 0] > 0).astype("int32")
if IS_NAIVE:
    x[37] = 1e4
for step in range(6):
    part = slice(10 * step, 10 * step + 10)
    train_critic(tf.convert_to_tensor(np.clip(x[part], -3.0, 3.0)))
    with tf.GradientTape() as tape:
        loss = loss_of(model(x[part], training=not IS_NAIVE), labels[part])
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    print(f"{float(loss):.6f}")
variables = [v for thing in (model, critic, optimizer, of_critic) for v in thing.variables]
print(hashlib.sha256(b"".join(v.numpy().tobytes() for v in variables)).hexdigest())
