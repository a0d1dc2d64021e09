"""A student learns from the sparse probabilities of a teacher, with a Kullback-Leibler loss.

tf.where drops the terms whose target is 0. Where the student's probability has underflowed as
well, the dropped term is log(0 / 0), and its gradient is NaN.
"""

# /// zoo
# cause = "masked-branch"
# step = 5
# rows = [10]
# fix = "source"
# backends = ["tensorflow"]
# stands_for = ["B07", "D07"]
# ///
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
    log_ratio = tf.math.log(target / student)  # at fault
    terms = tf.where(tf.equal(target, 0.0), 0.0, target * log_ratio)
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
