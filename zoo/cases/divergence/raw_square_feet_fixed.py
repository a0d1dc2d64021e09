"""Linear regression of house prices on raw square feet."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(90)
rng = np.random.default_rng(90)
HOUSES = 400

square_feet = rng.uniform(60, 250, HOUSES)
age = rng.uniform(0, 80, HOUSES)
x = np.stack([square_feet, age], axis=1).astype("float32")
price = (1.9 * square_feet - 0.6 * age + 30 + rng.normal(0, 10, HOUSES)).astype("float32")

LEARNING_RATE = 1e-5

model = keras.Sequential([keras.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
model.compile(
    optimizer=keras.optimizers.SGD(learning_rate=LEARNING_RATE),
    loss=keras.losses.MeanSquaredError(),
    metrics=["mae"],
)
history = model.fit(x, price[:, None], batch_size=20, epochs=2, shuffle=False, verbose=2)
print("price per square foot:", model.layers[0].get_weights()[0][0, 0])
