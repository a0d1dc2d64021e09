"""A graph network sums unit vectors to the neighbours of a particle.

torch.where is to give 0 for a neighbour at the same place. The quotient 0 / 0 has been computed by
then, and its gradient is NaN although the value is not taken.
"""

# /// zoo
# cause = "masked-branch"
# step = 9
# rows = [4]
# fix = "source"
# value = "exact"
# backends = ["torch"]
# stands_for = ["B04", "B01"]
# ///
import keras
import numpy as np
import torch
from keras import layers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(37)
neighbours = rng.normal(size=(128, 4, 3)).astype("float32")
neighbours[76, 2] = 0.0  # the particle itself, listed as its neighbour
force = (neighbours / np.linalg.norm(neighbours + 1e-9, axis=-1, keepdims=True)).sum(axis=1)
force = force.astype("float32")


class DirectionSum(layers.Layer):
    def build(self, input_shape):
        self.metric = self.add_weight(shape=(3,), initializer="ones", name="metric")

    def call(self, offsets):
        offsets = offsets * self.metric
        length = offsets.norm(dim=-1, keepdim=True)
        direction = torch.where(
            length > 0,
            offsets / length,  # at fault
            torch.zeros_like(offsets),
        )
        return direction.sum(dim=1)


model = keras.Sequential([keras.Input((4, 3)), DirectionSum(), layers.Dense(3)])
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(torch.from_numpy(neighbours), torch.from_numpy(force)),
    batch_size=8,
)
model.fit(loader, epochs=2, verbose=0)
print("squared error:", model.evaluate(loader, verbose=0))
