"""Plain mixed precision: float16 layers, float32 weights, and the loss scale that Keras adds."""
# /// zoo
# stands_for = ["H07"]
# ///

import keras
import numpy as np
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
keras.config.set_dtype_policy("mixed_float16")
digits = load_digits()
x = (digits.data[:480] / 16.0).astype("float32")

model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(32, activation="gelu"),
        keras.layers.Dense(10),
        keras.layers.Activation("softmax", dtype="float32"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy")
history = model.fit(x, digits.target[:480], batch_size=32, epochs=3, verbose=0)
kinds = sorted({np.asarray(weight).dtype.name for weight in model.get_weights()})
print("loss", history.history["loss"][-1], kinds)
