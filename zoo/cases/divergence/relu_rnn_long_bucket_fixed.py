"""A recurrent net with tanh, on buckets of short and long sequences."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(63)


class Buckets(keras.utils.PyDataset):
    LENGTHS = [4 + i % 2 for i in range(14)] + [400] * 2

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(63)
        self.batches = [rng.normal(size=(8, t, 3)).astype("float32") for t in self.LENGTHS]

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        x = self.batches[i]
        return x, x[:, -1, :1]


model = keras.Sequential(
    [
        keras.Input((None, 3)),
        layers.SimpleRNN(
            16, activation="tanh", recurrent_initializer=keras.initializers.Orthogonal(gain=1.0)
        ),
        layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(1e-4), loss="mse")
model.fit(Buckets(), epochs=1, shuffle=False, verbose=0)
