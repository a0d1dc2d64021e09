"""A table with a gap: the target of one sample of the very first batch is NaN."""

import keras
import numpy as np

keras.utils.set_random_seed(11)
rng = np.random.default_rng(11)
table = rng.normal(size=(50, 4)).astype("float32")
table[3, -1] = np.nan
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
model.compile("adam", loss="huber")
model.fit(table[:, :3], table[:, 3], batch_size=10, shuffle=False, verbose=0)
