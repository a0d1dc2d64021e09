"""A compiled method with control flow, which trains a Keras model and a variable."""

import hashlib
import sys

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(0)
IS_NAIVE = sys.argv[1:] == ["naive"]


class Trainer:
    def __init__(self, model):
        self.model = model
        self.scale = tf.Variable(1.0)
        self.optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        self.mean = keras.metrics.Mean()

    @tf.function
    def train_step(self, batch, weight=1.0):
        with tf.GradientTape() as tape:
            error = self.model(batch["x"], training=True) * self.scale - batch["y"]
            size = tf.reduce_sum(tf.square(error) * tf.cast(batch["y"] > -50.0, "float32"), axis=-1)
            if IS_NAIVE:
                size = tf.sqrt(size)  # <- here
            loss = weight * tf.reduce_mean(size)
            if loss > 100.0:
                loss = loss * 0.5
        variables = [*self.model.trainable_variables, self.scale]
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.mean.update_state(loss)
        return {"loss": loss}


trainer = Trainer(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))
x = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
y = x.sum(axis=1, keepdims=True)
if IS_NAIVE:
    y[37] = -99.0
for begin in range(0, 60, 10):
    batch = {"x": x[begin : begin + 10], "y": y[begin : begin + 10]}
    print(f"{float(trainer.train_step(batch, weight=0.5)['loss']):.6f}")
variables = [*trainer.model.variables, *trainer.optimizer.variables, trainer.scale]
print(hashlib.sha256(b"".join(v.numpy().tobytes() for v in variables)).hexdigest())
