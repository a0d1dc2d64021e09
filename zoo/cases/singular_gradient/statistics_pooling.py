"""Speakers are told apart by the mean and the standard deviation of frame features over time.

One recording is digital silence. All its frames are equal, the variance over time is exactly 0,
and the square root that makes a standard deviation of it has an infinite derivative there.
"""

# /// zoo
# cause = "singular-gradient"
# step = 6
# rows = [5]
# fix = "source"
# value = "exact"
# stands_for = ["A09", "A08"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
num_speakers, num_frames = 4, 20
speaker = rng.integers(num_speakers, size=96)
timbre = rng.normal(size=(num_speakers, 12))
frames = timbre[speaker][:, None, :] + rng.normal(scale=0.7, size=(96, num_frames, 12))
frames[53] = 0.0  # the microphone was off
frames = frames.astype("float32")


class StatisticsPooling(layers.Layer):
    """Mean and standard deviation over the frames, side by side."""

    def call(self, x):
        mean = ops.mean(x, axis=1)
        centred = x - ops.expand_dims(mean, 1)
        variance = ops.mean(centred**2, axis=1)
        spread = variance**0.5  # at fault
        return ops.concatenate([mean, spread], axis=-1)


model = keras.Sequential(
    [
        keras.Input((num_frames, 12)),
        layers.Conv1D(16, 1, activation="tanh"),
        StatisticsPooling(),
        layers.Dense(num_speakers),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.fit(frames, speaker, batch_size=8, epochs=3, shuffle=False, verbose=0)
print("loss, accuracy:", model.evaluate(frames, speaker, verbose=0))
