"""Point sets matched by entropic optimal transport, with Sinkhorn in plain probabilities. A point
far from all predictions has a kernel of exp(-large) = 0 everywhere, and is scaled by 1 / 0.
"""

# /// zoo
# cause = "division-by-zero"
# step = 6
# rows = [7]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(19)
rng = np.random.default_rng(19)
SAMPLES, POINTS, BATCH = 120, 5, 12
context = rng.uniform(0, 1, (SAMPLES, 3)).astype("float32")
cloud = np.sort(rng.uniform(0, 1, (SAMPLES, POINTS)) * 0.5 + context[:, :1] * 0.5, axis=1)
cloud[6 * BATCH + 7, -1] = 9.0
cloud = cloud.astype("float32")


class SinkhornLoss(keras.losses.Loss):
    def __init__(self, blur=0.1, sweeps=4, name="sinkhorn"):
        super().__init__(name=name)
        self.blur, self.sweeps = blur, sweeps

    def call(self, target, predicted):
        cost = ops.square(predicted[:, :, None] - target[:, None, :])
        kernel = ops.exp(-cost / self.blur)
        weight = 1.0 / POINTS
        u = ops.ones_like(predicted)
        for _ in range(self.sweeps):
            reached = ops.einsum("bij,bi->bj", kernel, u)
            v = weight / reached  # at fault
            u = weight / ops.einsum("bij,bj->bi", kernel, v)
        plan = u[:, :, None] * kernel * v[:, None, :]
        return ops.sum(plan * cost, axis=(1, 2))


inputs = keras.Input((3,))
x = layers.Dense(16, activation="tanh")(inputs)
outputs = layers.Dense(POINTS, activation="sigmoid")(x)
model = keras.Model(inputs, outputs)
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=SinkhornLoss())
model.fit(context, cloud, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
