"""BatchNormalization with a momentum computed from a window in samples: 1 - batch / window. The
window is shorter than a batch, the momentum is -2.2, and the moving statistics swing out of
float32.
"""

# /// zoo
# cause = "bad-statistics"
# step = 111
# fix = "source"
# value = "bounded"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(131)
rng = np.random.default_rng(131)
BATCH, WINDOW, STEPS = 32, 10, 60

x = rng.normal(2.0, 1.5, (BATCH * STEPS, 4)).astype("float32")
y = (np.tanh(x[:, :1]) - 0.3 * x[:, 1:2]).astype("float32")

momentum = 1 - BATCH / WINDOW

inputs = keras.Input((4,))
h = layers.BatchNormalization(momentum=momentum)(inputs)  # at fault
h = layers.Dense(8, activation="relu")(h)
outputs = layers.Dense(1)(h)
model = keras.Model(inputs, outputs)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
model.fit(x, y, batch_size=BATCH, epochs=3, shuffle=False, verbose=2)
