"""Padding is masked, dropout and batch normalization are on, the float16 loss is scaled."""

import keras
import numpy as np

keras.mixed_precision.set_global_policy("mixed_float16")
words = np.random.default_rng(0).integers(1, 20, (32, 6))
words[:, 4:] = 0
model = keras.Sequential(
    [
        keras.Input((6,), dtype="int32"),
        keras.layers.Embedding(20, 8, mask_zero=True),
        keras.layers.GRU(8),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(1, dtype="float32"),
    ]
)
scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=2.0**60)
model.compile(scaled, loss="mse")
model.fit(words, np.zeros(32), batch_size=8, epochs=3, verbose=0)
