"""Accident counts are fitted with the Poisson loss on the output of a linear layer.

Nothing keeps a linear output positive. For a road that is much quieter than the rest the predicted
rate is negative, and the loss takes its logarithm.
"""

# /// zoo
# cause = "out-of-domain"
# step = 12
# rows = [9]
# fix = "source"
# value = "undefined"
# stands_for = ["D08"]
# ///
import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(3)
traffic = rng.uniform(0.5, 2.0, size=(240, 4))
traffic[153] = -3.0  # "no data" in this file
counts = rng.poisson(np.clip(2.0 * traffic.sum(axis=1), 0, None)).astype("float32")
traffic = traffic.astype("float32")

model = keras.Sequential(
    [
        keras.Input((4,)),
        keras.layers.Dense(
            1,
            kernel_initializer=keras.initializers.Constant(1.0),
        ),
    ]
)
model.compile(
    optimizer=keras.optimizers.SGD(learning_rate=0.001),
    loss=keras.losses.Poisson(),  # at fault
)
model.fit(traffic, counts[:, None], batch_size=12, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(traffic[:144], counts[:144, None], verbose=0))
