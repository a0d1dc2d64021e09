"""A Wasserstein critic is trained with a penalty that pulls the norm of its input gradient to 1.

The critic is a ReLU network without biases. At a blank image all its units are off, the gradient
is exactly 0, and the square root in the norm is differentiated at 0 by the second backward pass.
"""

# /// zoo
# cause = "singular-gradient"
# step = 16
# rows = [7]
# fix = "source"
# value = "exact"
# backends = ["torch"]
# stands_for = ["A13", "A08"]
# ///
import keras
import numpy as np
import torch
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
real = (load_digits().data[:320] / 16.0).astype("float32")
real[263] = 0.0  # an empty form field
fake = np.random.default_rng(0).uniform(size=real.shape).astype("float32")


class Critic(keras.Model):
    def __init__(self, penalty=10.0):
        super().__init__()
        self.penalty = penalty
        self.net = keras.Sequential(
            [
                layers.Dense(32, activation="relu", use_bias=False),
                layers.Dense(1, use_bias=False),
            ]
        )

    def call(self, images):
        return self.net(images)

    def train_step(self, data):
        real_images, fake_images, _ = keras.utils.unpack_x_y_sample_weight(data)
        self.zero_grad()
        points = real_images.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(self(points).sum(), points, create_graph=True)
        norm = gradient.pow(2).sum(dim=1).sqrt()  # at fault
        loss = self(fake_images).mean() - self(real_images).mean()
        loss = loss + self.penalty * (norm - 1.0).pow(2).mean()
        loss.backward()
        trainable = list(self.trainable_weights)
        with torch.no_grad():
            self.optimizer.apply([w.value.grad for w in trainable], trainable)
        return {"loss": loss.detach()}


critic = Critic()
critic.build((None, 64))
critic.compile(optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5))
history = critic.fit(real, fake, batch_size=16, epochs=2, shuffle=False, verbose=0)
print("critic loss:", history.history["loss"])
