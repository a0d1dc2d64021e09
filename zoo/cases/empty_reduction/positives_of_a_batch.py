"""Defects on a line, the losses of positives and negatives averaged apart. One batch has no
defect."""

# /// zoo
# cause = "empty-reduction"
# step = 14
# fix = "source"
# value = "undefined"
# backends = ["torch"]
# ///
import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import layers

keras.utils.set_random_seed(39)
rng = np.random.default_rng(39)

x = rng.normal(size=(200, 5)).astype("float32")
defect = (np.arange(200) % 3 == 0).astype("float32")
defect[14 * 8 : 15 * 8] = 0


class Inspector(keras.Model):
    def __init__(self):
        super().__init__()
        self.net = keras.Sequential([layers.Dense(16, activation="relu"), layers.Dense(1)])

    def call(self, x):
        return self.net(x)[:, 0]

    def train_step(self, data):
        x, y = data
        self.zero_grad()
        logit = self(x, training=True)
        loss = self.balanced(F.binary_cross_entropy_with_logits(logit, y, reduction="none"), y)
        loss.backward()
        variables = list(self.trainable_weights)
        with torch.no_grad():
            self.optimizer.apply([v.value.grad for v in variables], variables)
        return {"loss": loss.detach()}

    def balanced(self, each, y):
        return 0.5 * each[y > 0.5].mean() + 0.5 * each[y <= 0.5].mean()  # at fault


model = Inspector()
model.compile(optimizer=keras.optimizers.Adam(1e-3))
model.fit(x, defect, batch_size=8, epochs=1, shuffle=False, verbose=0)
