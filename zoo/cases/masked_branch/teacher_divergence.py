"""A student learns from the probabilities of a teacher, with a Kullback-Leibler loss.

One example was labelled by hand, with two probabilities of 0. tf.where drops their terms from the
value, but the gradient of the dropped logarithm is 0 * (1 / 0), NaN.
"""

# /// zoo
# cause = "masked-branch"
# step = 5
# rows = [10]
# fix = "source"
# value = "exact"
# backends = ["tensorflow"]
# stands_for = ["B07", "D07"]
# ///
import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(0)
rng = np.random.default_rng(29)
points = rng.normal(size=(192, 3)).astype("float32")
scores = points @ np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [0.5, 0.5, -1.0]])
teacher = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
teacher[90] = [1.0, 0.0, 0.0]
teacher = teacher.astype("float32")


def divergence(target, student):
    log_ratio = tf.math.log(target / student)  # at fault
    terms = tf.where(tf.equal(target, 0.0), 0.0, target * log_ratio)
    return tf.reduce_sum(terms, axis=-1)


start = keras.initializers.Constant([[0.5, -0.5, 0.0]] * 3)
student = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(3, activation="softmax", kernel_initializer=start)]
)
student.compile(optimizer=keras.optimizers.SGD(0.05), loss=divergence)
train = tf.data.Dataset.from_tensor_slices((points, teacher)).batch(16)
student.fit(train, epochs=2, verbose=0)
print("divergence:", student.evaluate(train, verbose=0))
