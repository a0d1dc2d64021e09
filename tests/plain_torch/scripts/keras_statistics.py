"""A loop by an optimizer of Keras; a sample that is NaN reaches moving statistics."""

import hashlib
import sys

import keras
import torch

keras.utils.set_random_seed(0)
x, y = torch.rand(64, 8), torch.rand(64, 1)
x[37, 2] = float("nan")
model = keras.Sequential(
    [
        keras.Input((8,)),
        keras.layers.Dense(16, "relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(1),
    ]
)
optimizer = keras.optimizers.Adam(1e-2)
for begin in range(0, 64, 8):
    inputs, labels = x[begin : begin + 8], y[begin : begin + 8]
    loss = (model(inputs, training=True) - labels).square().mean()
    model.zero_grad()
    loss.backward()
    gradients = [weight.value.grad for weight in model.trainable_weights]
    with torch.no_grad():
        optimizer.apply(gradients, model.trainable_weights)
digest = hashlib.sha256()
for variable in model.variables + optimizer.variables:
    digest.update(variable.numpy().tobytes())
print("end", digest.hexdigest(), file=sys.stderr)
