"""Passing an exam is predicted from hours of study, with the binary cross entropy of the lessons.

One student entered seconds. The sigmoid of the score is exactly 1 in float32, the student did not
pass, and log(1 - 1) is -inf.
"""

# /// zoo
# cause = "log-of-zero"
# step = 8
# rows = [3]
# fix = "source"
# value = "exact"
# backends = ["torch"]
# stands_for = [
#   "GRIST 2a", "GRIST 2b", "GRIST 9a", "GRIST 9b", "GRIST 26", "GRIST 33", "GRIST 37", "GRIST 38",
#   "GRIST 53", "GRIST 56", "D01",
# ]
# ///
import keras
import numpy as np
import torch

keras.utils.set_random_seed(0)
rng = np.random.default_rng(2)
hours = rng.uniform(0, 8, size=(80, 2)).astype("float32")
passed = (hours.sum(axis=1, keepdims=True) + rng.normal(size=(80, 1)) > 8).astype("float32")
hours[67] = [3600.0, 7200.0]
passed[67] = 0.0


def cost(y, hypothesis):
    return -(
        y * torch.log(hypothesis) + (1 - y) * torch.log(1 - hypothesis)  # at fault
    ).mean()


model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros"),
    ]
)
model.compile(optimizer=keras.optimizers.SGD(0.05), loss=cost)
model.fit(hours, passed, batch_size=8, epochs=5, shuffle=False, verbose=0)
print("cost:", model.evaluate(hours[:40], passed[:40], verbose=0))
