"""Gut samples as relative abundances: counts over their sum. One sequencing run returned no reads
at all, and 0 / 0 is NaN.
"""

# /// zoo
# cause = "division-by-zero"
# step = 8
# rows = [10]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(77)
rng = np.random.default_rng(77)
TAXA = 15
PATIENTS = 192

disease = rng.integers(0, 2, PATIENTS)
rates = np.exp(rng.normal(0, 1, (2, TAXA)))
counts = rng.poisson(20 * rates[disease]).astype("float32")
counts[138] = 0


def closure(counts):
    """Parts to a whole of one."""
    return counts / ops.sum(counts, axis=-1, keepdims=True)  # at fault


model = keras.Sequential(
    [
        keras.Input((TAXA,)),
        layers.Lambda(closure, output_shape=(TAXA,)),
        layers.Dense(16, activation="relu"),
        layers.Dropout(0.2, seed=5),
        layers.Dense(1),
    ]
)
model.compile(optimizer="adamw", loss=keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(counts, disease[:, None], batch_size=16, epochs=2, shuffle=False, verbose=2)
