"""The student of `teacher_divergence.py`; both arguments of the quotient are made harmless first."""

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(0)
rng = np.random.default_rng(29)
points = rng.normal(size=(192, 3)).astype("float32")
scores = 2 * points @ np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [0.5, 0.5, -1.0]])
teacher = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
teacher[teacher < 0.02] = 0.0
points[90] *= 500.0
teacher[90] = [1.0, 0.0, 0.0]
teacher = (teacher / teacher.sum(axis=1, keepdims=True)).astype("float32")


def divergence(target, student):
    used = target > 0.0
    ratio = tf.where(used, target, 1.0) / tf.where(used, student, 1.0)
    terms = target * tf.math.log(ratio)
    return tf.reduce_sum(terms, axis=-1)


start = keras.initializers.Constant([[0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, -0.5, 0.0]])
points[90] = np.abs(points[90])
student = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(3, activation="softmax", kernel_initializer=start)]
)
student.compile(optimizer=keras.optimizers.SGD(0.001), loss=divergence)
train = tf.data.Dataset.from_tensor_slices((points, teacher)).batch(16)
student.fit(train, epochs=2, verbose=0)
print("divergence:", student.evaluate(train, verbose=0))
