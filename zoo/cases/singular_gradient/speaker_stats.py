"""Speaker embedding with statistics pooling: mean and standard deviation over time. A clip of
digital silence has the same frame everywhere; its deviation is 0 and has no gradient.
"""

# /// zoo
# cause = "singular-gradient"
# step = 4
# rows = [2, 9]
# fix = "source"
# value = "exact"
# backends = ["jax", "tensorflow"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(8)
rng = np.random.default_rng(8)
SPEAKERS, FRAMES, BANDS = 4, 20, 6
labels = rng.integers(0, SPEAKERS, 160)
voice = rng.normal(0, 1, (SPEAKERS, BANDS))
clips = voice[labels][:, None, :] + rng.normal(0, 0.7, (160, FRAMES, BANDS))
clips = clips.astype("float32")
for silent in (66, 73):
    clips[silent] = 0.0


class StatsPool(layers.Layer):
    """x-vector pooling: (batch, time, channels) to (batch, 2 * channels)."""

    def call(self, frames):
        mean = ops.mean(frames, axis=1)
        spread = ops.std(frames, axis=1)  # at fault
        return ops.concatenate([mean, spread], axis=-1)


model = keras.Sequential(
    [
        keras.Input((FRAMES, BANDS)),
        layers.Dense(12, activation="gelu", use_bias=False),
        StatsPool(),
        layers.Dense(SPEAKERS),
    ]
)
model.compile(
    optimizer=keras.optimizers.Nadam(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.fit(clips, labels, batch_size=16, epochs=2, shuffle=False, verbose=2)
