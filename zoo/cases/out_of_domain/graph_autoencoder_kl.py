"""A variational graph autoencoder is regularised by the divergence of its codes from N(0, 1).

The output named logvar is a logarithm already, and the formula takes its logarithm once more. The
first node whose logvar is negative gives NaN.
"""

# /// zoo
# cause = "out-of-domain"
# step = 8
# rows = [4]
# fix = "source"
# value = "undefined"
# stands_for = ["GRIST 4"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(1)
num_nodes, num_features = 96, 10
features = rng.uniform(0.2, 1.0, size=(num_nodes, num_features))
features[68] *= -1.0  # a node whose features were centred
adjacency = (rng.uniform(size=(num_nodes, num_nodes)) < 0.08).astype("float32")
features = features.astype("float32")


class VGAE(keras.Model):
    def __init__(self, size):
        super().__init__()
        positive = keras.initializers.RandomUniform(0.1, 0.5, seed=2)
        self.mu = layers.Dense(size, name="mu")
        self.logvar = layers.Dense(size, kernel_initializer=positive, name="logvar")
        self.decoder = layers.Dense(num_nodes, name="edges")

    def kl_loss(self, mu, logvar):
        inner = 1 + ops.log(logvar) - mu**2 - ops.exp(logvar)  # at fault
        return -0.5 * ops.mean(ops.sum(inner, axis=1))

    def call(self, x):
        mu, logvar = self.mu(x), self.logvar(x)
        self.add_loss(1e-3 * self.kl_loss(mu, logvar))
        return self.decoder(mu)


vgae = VGAE(4)
vgae.compile(
    optimizer=keras.optimizers.Adam(1e-3), loss=keras.losses.BinaryCrossentropy(from_logits=True)
)
vgae.fit(features, adjacency, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss:", vgae.evaluate(features[:64], adjacency[:64], verbose=0))
