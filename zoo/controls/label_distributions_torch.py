"""Divergence from soft labels in which many entries are 0, by PyTorch's own `kl_div`."""
# /// zoo
# backends = ["torch"]
# stands_for = ["D07"]
# ///

import keras
import numpy as np
import torch
from torch.nn import functional


class Divergence(keras.losses.Loss):
    def call(self, labels, logits):
        scores = functional.log_softmax(logits, dim=-1)
        return functional.kl_div(scores, labels, reduction="none").sum(dim=-1)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(7)
x = rng.normal(size=(96, 5)).astype("float32")
labels = rng.multinomial(3, [0.4, 0.3, 0.2, 0.1], size=96).astype("float32") / 3.0
dataset = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(labels))
loader = torch.utils.data.DataLoader(dataset, batch_size=12, shuffle=False)

model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(16, "relu")])
model.add(keras.layers.Dense(4))
model.compile(keras.optimizers.Adam(0.01), loss=Divergence())
history = model.fit(loader, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
