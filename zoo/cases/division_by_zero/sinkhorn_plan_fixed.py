"""Point sets matched by entropic optimal transport, with Sinkhorn on logarithms."""

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
        log_kernel = -cost / self.blur
        log_weight = -np.log(POINTS)
        log_u = ops.zeros_like(predicted)
        for _ in range(self.sweeps):
            log_v = log_weight - ops.logsumexp(log_kernel + log_u[:, :, None], axis=1)
            log_u = log_weight - ops.logsumexp(log_kernel + log_v[:, None, :], axis=2)
        plan = ops.exp(log_u[:, :, None] + log_kernel + log_v[:, None, :])
        return ops.sum(plan * cost, axis=(1, 2))


inputs = keras.Input((3,))
x = layers.Dense(16, activation="tanh")(inputs)
outputs = layers.Dense(POINTS, activation="sigmoid")(x)
model = keras.Model(inputs, outputs)
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=SinkhornLoss())
model.fit(context, cloud, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
