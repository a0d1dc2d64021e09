"""A loop over a Keras model by an optimizer of Keras; one row of zeros makes a gradient NaN."""

import keras
import torch

keras.utils.set_random_seed(0)
x, y = torch.rand(64, 8), torch.rand(64, 1)
x[37] = 0.0
hidden = keras.layers.Dense(16, "relu", use_bias=False)
model = keras.Sequential([keras.Input((8,)), hidden, keras.layers.Dense(1, use_bias=False)])
optimizer = keras.optimizers.Adam(1e-3)
for begin in range(0, 64, 8):
    inputs, labels = x[begin : begin + 8], y[begin : begin + 8]
    model.zero_grad()
    out = model(inputs)
    loss = (torch.sqrt(out.square()) - labels).square().mean()  # <- here
    loss.backward()
    gradients = [weight.value.grad for weight in model.trainable_weights]
    with torch.no_grad():
        optimizer.apply(gradients, model.trainable_weights)
