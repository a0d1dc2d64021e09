"""A recurrent net with relu and a recurrent matrix that expands. Short sequences are well; the
bucket of long ones grows out of float32."""

# /// zoo
# cause = "divergence"
# step = 14
# fix = "source"
# value = "bounded"
# ///
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
        layers.SimpleRNN(  # at fault
            16, activation="relu", recurrent_initializer=keras.initializers.Orthogonal(gain=2.5)
        ),
        layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(1e-4), loss="mse")
model.fit(Buckets(), epochs=1, shuffle=False, verbose=0)
