"""Predicts four blood values of a patient from his vital signs.

One value of one patient was never measured. It is NaN in the table of targets, and so is the loss.
"""
# /// zoo
# cause = "bad-target"
# step = 8
# rows = [3]
# fix = "data"
# stands_for = ["I01"]
# ///

import keras
import numpy as np


def patients(count):
    rng = np.random.default_rng(17)
    vital = rng.normal(size=(count, 6)).astype("float32")
    mixing = rng.normal(size=(6, 4)) / 2.0
    blood = np.tanh(vital @ mixing).astype("float32")
    blood[8 * 20 + 3, 1] = np.nan
    return vital, blood


keras.utils.set_random_seed(0)
vital, blood = patients(240)
inputs = keras.Input((6,), name="vital_signs")
hidden = keras.layers.Dense(24, activation="gelu")(inputs)
hidden = keras.layers.LayerNormalization()(hidden)
outputs = keras.layers.Dense(4, name="blood_values")(hidden)
model = keras.Model(inputs, outputs)
model.compile(
    optimizer=keras.optimizers.AdamW(2e-3, weight_decay=1e-4),
    loss=keras.losses.MeanAbsoluteError(),
)
history = model.fit(vital, blood, batch_size=20, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
