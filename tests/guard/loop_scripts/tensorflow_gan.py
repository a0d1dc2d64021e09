"""A GAN by hand: one compiled step with two optimizers, whose models its first trace builds."""

import hashlib
import sys

import keras
import tensorflow as tf

keras.utils.set_random_seed(0)
IS_NAIVE = sys.argv[1:] == ["naive"]
generator = keras.Sequential(
    [keras.layers.Dense(8, "relu"), keras.layers.Dense(4)], name="generator"
)
layers = [keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.3), keras.layers.Dense(1)]
discriminator = keras.Sequential(layers, name="discriminator")
optimizers = keras.optimizers.Adam(1e-2), keras.optimizers.RMSprop(1e-2)
entropy = keras.losses.BinaryCrossentropy(from_logits=True)


def loss_of(real, logits):
    if IS_NAIVE:
        probabilities = tf.sigmoid(logits if real else -logits)
        return -tf.reduce_mean(tf.math.log(probabilities))  # <- here
    return entropy(tf.ones_like(logits) * float(real), logits)


@tf.function
def train_step(images):
    with tf.GradientTape() as one, tf.GradientTape() as other:
        fake = discriminator(generator(images[:, :2], training=True), training=True)
        of_generator = loss_of(True, fake)
        of_discriminator = loss_of(True, discriminator(images, training=True))
        if not IS_NAIVE:
            of_discriminator += loss_of(False, fake)
    losses = of_generator, of_discriminator
    for tape, loss, model, optimizer in zip(
        (one, other), losses, (generator, discriminator), optimizers, strict=True
    ):
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return of_discriminator


images = tf.random.stateless_normal((64, 4), (0, 1)).numpy()
if IS_NAIVE:
    images[43] = 1e4
for number, batch in enumerate(tf.data.Dataset.from_tensor_slices(images).batch(10)):
    loss = train_step(batch)
    print(f"step {number}: {float(loss):.6f}")
models = generator, discriminator, *optimizers
values = [variable.numpy().tobytes() for thing in models for variable in thing.variables]
print(hashlib.sha256(b"".join(values)).hexdigest())
