"""The generator of a GAN is trained on log(1 - D(G(z))), as in the first paper.

For one latent vector, drawn with a wrong scale, the discriminator says exactly 1. The difference
is 0 in float32 and its logarithm -inf.
"""

# /// zoo
# cause = "log-of-zero"
# step = 6
# rows = [12]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 31"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
z = np.random.default_rng(18).normal(size=(256, 8))
z[108] = 100.0 * np.abs(z[108])
z = z.astype("float32")

noise = keras.Input((8,))
lifting = keras.initializers.RandomUniform(0.0, 0.4, seed=9)
sample = layers.Dense(6, activation="relu", kernel_initializer=lifting, name="generator")(noise)
critic = layers.Dense(1, activation="sigmoid", kernel_initializer=lifting, name="discriminator")
critic.trainable = False
verdict = critic(sample)
chain = keras.Model(noise, verdict)


def minimax(_, d_of_g):
    return ops.mean(
        ops.log(  # at fault
            ops.subtract(1.0, d_of_g)
        )
    )


chain.compile(optimizer=keras.optimizers.RMSprop(5e-4), loss=minimax)
for epoch in range(2):
    for i in range(0, len(z), 16):
        loss = chain.train_on_batch(z[i : i + 16], np.zeros((16, 1), "float32"))
    print(f"epoch {epoch}: {float(loss):.3f}")
