"""Periods of comets from a predicted eccentricity: the semi-minor axis is a * sqrt(1 - e**2). For a
hyperbolic visitor the network predicts e > 1.
"""

# /// zoo
# cause = "out-of-domain"
# step = 5
# rows = [4]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(13)
rng = np.random.default_rng(13)
COMETS = 132

elements = rng.uniform(0.1, 0.8, (COMETS, 2)).astype("float32")
true_e = 0.6 * elements[:, 0] + 0.2 * elements[:, 1]
semi_minor = np.sqrt(1 - true_e**2).astype("float32")
elements[5 * 12 + 4] = (3.1, 2.4)


def minor_axis(eccentricity):
    """b / a of an ellipse."""
    squared = eccentricity**2
    return ops.sqrt(1 - squared)  # at fault


inputs = keras.Input((2,))
eccentricity = layers.Dense(
    1,
    use_bias=False,
    kernel_initializer=keras.initializers.Constant(0.4),
    name="eccentricity",
)(inputs)
outputs = layers.Lambda(minor_axis, output_shape=(1,))(eccentricity)
model = keras.Model(inputs, outputs)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
model.fit(elements, semi_minor[:, None], epochs=4, batch_size=12, shuffle=False, verbose=0)
print("loss", model.evaluate(elements[:60], semi_minor[:60, None], verbose=0))
