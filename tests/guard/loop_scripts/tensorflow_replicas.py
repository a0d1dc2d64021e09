"""A compiled step that a strategy runs in threads of its own."""

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(0)
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.1)


def update(inputs):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(inputs)))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


@tf.function
def step(inputs):
    losses = strategy.run(update, args=(inputs,))
    return strategy.reduce(tf.distribute.ReduceOp.MEAN, losses, axis=None)


for _ in range(3):
    print(f"{float(step(np.ones((4, 3), 'float32'))):.6f}")
