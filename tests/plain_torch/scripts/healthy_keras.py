"""A loop over a Keras model by an optimizer of Keras with a clip, a schedule and dropout."""

import hashlib
import sys

import keras
import torch

keras.utils.set_random_seed(0)
x, y = torch.rand(64, 8), torch.rand(64, 1)
layers = [keras.layers.Dense(16, "relu"), keras.layers.Dropout(0.3), keras.layers.Dense(1)]
model = keras.Sequential(layers)
rate = keras.optimizers.schedules.ExponentialDecay(1e-2, 4, 0.5)
optimizer = keras.optimizers.AdamW(rate, clipnorm=0.1)
for step in range(12):
    begin = 8 * (step % 8)
    loss = (model(x[begin : begin + 8], training=True) - y[begin : begin + 8]).square().mean()
    weights = model.trainable_weights
    gradients = torch.autograd.grad(loss, [weight.value for weight in weights])
    optimizer.apply_gradients(zip(gradients, weights, strict=True))
values = [weight.numpy().tobytes() for weight in [*model.weights, *optimizer.variables]]
print(hashlib.sha256(b"".join(values)).hexdigest(), file=sys.stderr)
