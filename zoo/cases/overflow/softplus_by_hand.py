"""A regression with softplus written as log(1 + exp(x)). A single turnover that is large, though
not wrong, is too much for exp."""

# /// zoo
# cause = "overflow"
# step = 15
# rows = [5]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(49)
rng = np.random.default_rng(49)

turnover = rng.lognormal(0.5, 0.8, (192, 2)).astype("float32")
staff = np.log1p(turnover.sum(axis=1, keepdims=True)).astype("float32")
turnover[125] = 900.0, 300.0
staff[125] = np.log1p(1200.0)

smooth_relu = lambda x: ops.log(1.0 + ops.exp(x))  # at fault

model = keras.Sequential()
model.add(keras.Input((2,)))
model.add(layers.Dense(10, activation=smooth_relu, kernel_initializer="he_normal"))
model.add(layers.Dense(1))
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=keras.losses.Huber())
model.fit(turnover, staff, batch_size=8, epochs=1, shuffle=False, verbose=0)
