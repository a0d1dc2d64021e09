"""Radar: the phase of the I/Q signal after a learned gain imbalance correction. A dropped pulse is
recorded as 0 + 0j, and the angle of the origin has no derivative.
"""

# /// zoo
# cause = "singular-gradient"
# step = 9
# rows = [6]
# fix = "source"
# value = "exact"
# backends = ["jax", "tensorflow"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(5)
rng = np.random.default_rng(5)
PULSES, SAMPLES, BATCH = 240, 12, 12

speed = rng.uniform(0.05, 0.25, PULSES)
phase = speed[:, None] * np.arange(SAMPLES)[None, :] + rng.uniform(-0.2, 0.2, PULSES)[:, None]
in_phase = 1.1 * np.cos(phase)
quadrature = 0.9 * np.sin(phase)
iq = np.stack([in_phase, quadrature], axis=-1).astype("float32")
iq[9 * BATCH + 6, 4] = 0.0  # the receiver was blanked
speed = speed.astype("float32")


@keras.saving.register_keras_serializable()
class PhaseExtractor(layers.Layer):
    def build(self, input_shape):
        self.gain = self.add_weight(shape=(2,), initializer="ones")

    def call(self, iq):
        balanced = iq * self.gain
        i, q = balanced[..., 0], balanced[..., 1]
        return ops.arctan2(q, i)  # at fault


inputs = keras.Input((SAMPLES, 2))
angles = PhaseExtractor()(inputs)
x = layers.Dense(8, activation="tanh")(angles)
outputs = layers.Dense(1)(x)
model = keras.Model(inputs, outputs)
model.compile("adam", loss=keras.losses.Huber())
model.fit(iq, speed, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
