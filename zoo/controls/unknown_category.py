"""Categories are counted from 0, and -1 means unknown; the model shifts them by one before it looks
them up.
"""

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(14)
brand = rng.integers(-1, 12, 140).astype("int32")
mileage = rng.uniform(1e3, 2e5, 140).astype("float32")
price = 30.0 - mileage / 1e4 + 0.5 * brand

brand_input = keras.Input((), dtype="int32", name="brand")
mileage_input = keras.Input((1,), name="mileage")
vector = keras.layers.Embedding(13, 4)(brand_input + 1)
scaled = keras.layers.Rescaling(1e-5)(mileage_input)
x = keras.layers.Concatenate()([vector, scaled])
x = keras.layers.Dense(16, activation="relu")(x)
model = keras.Model([brand_input, mileage_input], keras.layers.Dense(1)(x))
model.compile(keras.optimizers.Adam(0.01), "mae")
history = model.fit([brand, mileage], price, batch_size=14, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
