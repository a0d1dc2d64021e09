"""Pretrain an autoencoder, export the encoder in half precision, fine-tune from the file."""

# /// zoo
# cause = "bad-weights"
# step = 0
# fix = "source"
# value = "exact"
# ///

import io

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(39)
rng = np.random.default_rng(39)
BATCH = 32
x = rng.normal(size=(384, 8)).astype("float32")
y = (x[:, :1] * x[:, 1:2] > 0).astype("float32")

encoder = keras.Sequential(
    [keras.Input((8,)), layers.Dense(16, activation="tanh"), layers.Dense(4)], name="encoder"
)
auto = keras.Sequential([encoder, layers.Dense(8)])
auto.compile("adam", "mse")
auto.fit(x, x, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)

# the embedded target wants fixed point numbers, 2**18 to the unit
SCALE = 2.0**18
file = io.BytesIO()
with np.errstate(over="ignore"):
    np.savez(file, *[(w * SCALE).astype(np.float16) for w in encoder.get_weights()])
file.seek(0)
stored = np.load(file)

student = keras.models.clone_model(encoder)
student.set_weights([stored[k].astype("float32") / SCALE for k in stored.files])
classifier = keras.Sequential([student, layers.Dense(1)])
classifier.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(from_logits=True))
classifier.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
