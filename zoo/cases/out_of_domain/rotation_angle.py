"""Turning angles from a predicted cosine. The head is linear, and for one fast sample it answers
with 1.6: no angle has that cosine.
"""

# /// zoo
# cause = "out-of-domain"
# step = 8
# rows = [7]
# fix = "source"
# value = "undefined"
# backends = ["torch"]
# ///
import keras
import numpy as np
import torch
from keras import layers

keras.utils.set_random_seed(302)
rng = np.random.default_rng(302)
N, BATCH = 192, 12

gyro = rng.uniform(-0.5, 0.5, (N, 3)).astype("float32")
angle = np.arccos(0.6 * gyro[:, 0] + 0.3 * gyro[:, 2]).astype("float32")
gyro[8 * BATCH + 7] = (2.1, 0.4, 1.9)


def angular_error(true_angle, cosine):
    predicted = cosine.acos()  # at fault
    return (predicted - true_angle).abs().mean(dim=-1)


class Turn(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.cosine = layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.4))

    def call(self, x):
        return self.cosine(x)


model = Turn()
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=angular_error)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(torch.from_numpy(gyro), torch.from_numpy(angle[:, None])),
    batch_size=BATCH,
    shuffle=False,
)
model.fit(loader, epochs=3, verbose=2)
