"""A generative adversarial network with two optimizers; the losses are written with logarithms."""

import keras
import numpy as np
import tensorflow as tf


class Gan(keras.Model):
    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        self.judge = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
        self.built = True

    def compile(self, generator_optimizer, judge_optimizer):
        super().compile()
        self.generator_optimizer = generator_optimizer
        self.judge_optimizer = judge_optimizer

    def train_step(self, real):
        noise = tf.fill((tf.shape(real)[0], 2), 0.5)
        with tf.GradientTape() as tape:
            believed = tf.math.log(self.judge(real))  # <- here
            doubted = tf.math.log(1 - self.judge(self.generator(noise)))
            judge_loss = -tf.reduce_mean(believed + doubted)
        weights = self.judge.trainable_weights
        self.judge_optimizer.apply(tape.gradient(judge_loss, weights), weights)
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(self.judge(self.generator(noise))))
        weights = self.generator.trainable_weights
        self.generator_optimizer.apply(tape.gradient(loss, weights), weights)
        return {"judge_loss": judge_loss, "loss": loss}


keras.utils.set_random_seed(3)
real = np.random.default_rng(3).uniform(size=(40, 3)).astype("float32")
real[29] = -400.0
model = Gan()
model.judge.layers[0].set_weights([np.ones((3, 1), "float32"), np.zeros(1, "float32")])
model.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4))
model.fit(real, batch_size=8, shuffle=False, verbose=0)
