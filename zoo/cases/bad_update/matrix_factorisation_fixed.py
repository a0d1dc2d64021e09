"""Matrix factorisation: warm start with SGD, then Adam with epsilon 0 as in a paper's appendix."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(43)
rng = np.random.default_rng(43)
USERS, FILMS, BATCH = 30, 50, 40
user = rng.integers(0, USERS, 600)
film = rng.integers(0, FILMS, 600)
stars = rng.uniform(1, 5, 600).astype("float32")

u, f = keras.Input((1,), dtype="int32"), keras.Input((1,), dtype="int32")
dot = layers.Dot(axes=-1)([layers.Embedding(USERS, 6)(u), layers.Embedding(FILMS, 6)(f)])
model = keras.Model([u, f], layers.Flatten()(dot))
pairs = [user[:, None], film[:, None]]

model.compile(keras.optimizers.SGD(0.05), loss="mse")
model.fit(pairs, stars, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)

model.compile(keras.optimizers.Adam(1e-3, epsilon=1e-7), loss="mse")
model.fit(pairs, stars, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
