"""One batch whose sample weights are all 0: the loss is divided by the size of the batch, and 0."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(11)
rng = np.random.default_rng(11)
x = rng.normal(size=(160, 4)).astype("float32")
y = (x[:, 0] > 0).astype("int32")
weight = rng.uniform(0.5, 1.5, 160).astype("float32")
weight[48:64] = 0.0
model = keras.Sequential([keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(2)])
model.compile(
    optimizer=keras.optimizers.RMSprop(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    weighted_metrics=["accuracy"],
)
model.fit(x, y, sample_weight=weight, batch_size=8, epochs=2, shuffle=False, verbose=0)
