"""A text-to-speech model predicts phoneme durations; the loss compares their logarithms.

Sentences are padded and the loss is multiplied by a mask. At padding the predicted duration is
exactly 0, its logarithm -inf, and 0 * -inf is NaN: a mask that multiplies does not remove it.
"""

# /// zoo
# cause = "masked-branch"
# step = 7
# rows = [2]
# fix = "source"
# value = "exact"
# stands_for = ["B07"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(3)
LENGTH = 7
phonemes = rng.uniform(0.5, 1.5, size=(96, LENGTH, 5))
durations = phonemes @ np.array([1.0, 2.0, 0.5, 1.5, 1.0])
mask = np.ones((96, LENGTH))
phonemes[58, 5:], durations[58, 5:], mask[58, 5:] = 0.0, 1.0, 0.0  # a shorter sentence
phonemes = phonemes.astype("float32")
targets = np.stack([durations, mask], axis=-1).astype("float32")


class LogDuration(keras.losses.Loss):
    def call(self, y_true, y_pred):
        wanted, mask = y_true[..., 0], y_true[..., 1]
        predicted = ops.squeeze(y_pred, axis=-1)
        log_predicted = ops.log(predicted)  # at fault
        error = ops.square(ops.log(wanted) - log_predicted)
        return ops.sum(error * mask, axis=1) / ops.sum(mask, axis=1)


positive = keras.initializers.RandomUniform(0.1, 0.5, seed=0)
model = keras.Sequential(
    [
        keras.Input((LENGTH, 5)),
        layers.Conv1D(8, 1, use_bias=False, kernel_initializer=positive, activation="relu"),
        layers.Dense(1, use_bias=False, kernel_initializer=positive, activation="relu"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=LogDuration())
model.fit(phonemes, targets, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(phonemes, targets, verbose=0))
