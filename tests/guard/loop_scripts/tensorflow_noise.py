"""A loop that draws its batches and its noise, adds up gradients, and writes a file."""

import hashlib
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(0)
IS_NAIVE = sys.argv[1:] == ["naive"]
layers = [keras.layers.Dense(4, activation="tanh", use_bias=False), keras.layers.Dropout(0.2)]
model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1, use_bias=False)])
optimizer = keras.optimizers.Adam(1e-2)
sums = [tf.Variable(tf.zeros_like(v), trainable=False) for v in model.trainable_variables]
mean = keras.metrics.Mean()
x = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
for step in range(16):
    rows = np.random.randint(60, size=8)
    inputs = x[rows]
    inputs[2] *= 0.0 if IS_NAIVE and step == 8 else 1.0
    with tf.GradientTape() as tape:
        drawn = model(inputs + 0.0 * keras.random.normal(inputs.shape), training=True)
        squares = tf.square(drawn)
        lengths = tf.sqrt(squares + 1e-6)
        if IS_NAIVE:
            lengths = tf.sqrt(squares)  # <- here
        loss = tf.reduce_mean(lengths * tf.random.uniform((8, 1), 0.5))
        with Path("log.txt").open("a") as log:
            log.write(f"{step} {np.random.uniform():.3f}\n")
    for total, gradient in zip(sums, tape.gradient(loss, model.trainable_variables), strict=True):
        total.assign_add(gradient)
    mean.update_state(loss)
    if step % 2:
        optimizer.apply_gradients(zip(sums, model.trainable_variables, strict=True))
        print(f"{float(mean.result()):.6f} {float(tf.random.normal(())):.6f}")
        for total in sums:
            total.assign(tf.zeros_like(total))
        mean.reset_state()
variables = [*model.variables, *optimizer.variables]
print(hashlib.sha256(b"".join(v.numpy().tobytes() for v in variables)).hexdigest())
