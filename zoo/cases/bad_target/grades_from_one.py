"""Classifies wines into grades 1 to 4 with a cross entropy that looks up the log-probability.

The grades count from 1 and the classes from 0, so grade 4 lies beyond the table. On JAX such a
look-up gives NaN; grade 4 is rare and comes first in step 5.
"""
# /// zoo
# cause = "bad-target"
# step = 5
# rows = [9, 14]
# fix = "data"
# backends = ["jax"]
# stands_for = ["I08", "I09"]
# ///

import keras
import numpy as np
from keras import ops


def wines():
    rng = np.random.default_rng(6)
    grades = rng.choice([1, 2, 3], size=160)
    grades[[5 * 16 + 9, 5 * 16 + 14, 130]] = 4
    chemistry = rng.normal(size=(160, 5)) + 0.8 * grades[:, None]
    return chemistry.astype("float32"), grades.reshape(-1, 1)


def cross_entropy(grades, logits):
    """Return minus the log-probability of the true grade."""
    log_probabilities = ops.log_softmax(logits)
    index = ops.cast(grades, "int32")
    return -ops.take_along_axis(log_probabilities, index, axis=-1)[:, 0]


keras.utils.set_random_seed(0)
chemistry, grades = wines()
model = keras.Sequential(
    [
        keras.Input((5,)),
        keras.layers.Dense(16, activation="selu"),
        keras.layers.Dense(4),
    ]
)
model.compile(keras.optimizers.Adam(0.005), loss=cross_entropy)
history = model.fit(chemistry, grades, batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
