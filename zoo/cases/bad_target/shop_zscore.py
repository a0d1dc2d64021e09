"""Sales anomalies: targets are standardised within each shop."""

# /// zoo
# cause = "bad-target"
# step = 7
# rows = [11]
# fix = "data"
# ///

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(36)
rng = np.random.default_rng(36)
BATCH = 25
shop = np.repeat(np.arange(100), 5)
shop[7 * BATCH + 11] = 100  # opened yesterday
x = rng.normal(size=(500, 6)).astype("float32")
sales = 100 + 10 * x[:, 0] + rng.normal(size=500)

target = np.empty(500, dtype="float32")
with np.errstate(invalid="ignore"):
    for s in np.unique(shop):
        mine = sales[shop == s]
        target[shop == s] = (mine - mine.mean()) / mine.std()

inputs = keras.Input((6,))
code = keras.Input((1,), dtype="int32")
e = layers.Flatten()(layers.Embedding(101, 4)(code))
h = layers.Dense(16, activation="relu")(layers.Concatenate()([inputs, e]))
model = keras.Model([inputs, code], layers.Dense(1)(h))
model.compile(keras.optimizers.Adamax(0.01), loss=keras.losses.LogCosh())
model.fit([x, shop[:, None]], target[:, None], batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
