"""Classifies molecules by attention of each atom to its neighbours, in PyTorch's own functions.

`masked_fill` puts -inf where there is no bond. An ion, one atom without bonds, has a row of -inf
only. That row is not in the loss, but its NaN passes through the pooling of the atoms.
"""
# /// zoo
# cause = "fully-masked-row"
# step = 9
# rows = [0]
# fix = "source"
# value = "undefined"
# backends = ["torch"]
# stands_for = ["F01"]
# ///

import keras
import numpy as np
import torch

keras.utils.set_random_seed(0)
ATOMS, WIDTH = 5, 6


class NeighbourAttention(keras.layers.Layer):
    def build(self, shapes):
        self.project = self.add_weight(shape=(WIDTH, WIDTH), initializer="identity")

    def call(self, inputs):
        atoms, bonds = inputs
        keys = atoms @ self.project.value
        scores = torch.bmm(atoms, keys.transpose(1, 2)) / WIDTH**0.5
        scores = scores.masked_fill(bonds == 0, float("-inf"))
        attention = torch.softmax(scores, dim=-1)  # at fault
        return torch.bmm(attention, keys)

    def compute_output_shape(self, shapes):
        return shapes[0]


rng = np.random.default_rng(5)
atoms = rng.normal(size=(88, ATOMS, WIDTH)).astype("float32")
bonds = np.zeros((88, ATOMS, ATOMS), "float32")
chain = np.arange(ATOMS)
bonds[:, chain[:-1], chain[1:]] = bonds[:, chain[1:], chain[:-1]] = 1
bonds[72, 2] = bonds[72, :, 2] = 0
bonds[72, 0, 1] = bonds[72, 1, 0] = 1
soluble = atoms[:, :, 0].mean(axis=1) > 0

atoms_in, bonds_in = keras.Input((ATOMS, WIDTH)), keras.Input((ATOMS, ATOMS))
pooled = keras.layers.GlobalMaxPooling1D()(NeighbourAttention()([atoms_in, bonds_in]))
model = keras.Model([atoms_in, bonds_in], keras.layers.Dense(1)(pooled))
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(
        *map(torch.tensor, (atoms, bonds, soluble.astype("float32")[:, None]))
    ),
    batch_size=8,
)
model.compile(
    optimizer=keras.optimizers.Adam(1e-3), loss=keras.losses.BinaryCrossentropy(from_logits=True)
)
last = None
for a, b, y in loader:
    last = model.train_on_batch([a, b], y)
print("loss", float(last))
