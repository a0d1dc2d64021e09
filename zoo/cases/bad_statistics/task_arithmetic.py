"""Task arithmetic: the fine-tuned model is taken away from the base one, with the moving variance
as if it were a weight. It comes out negative, and the frozen backbone uses it."""

# /// zoo
# cause = "bad-statistics"
# step = 40
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(81)
rng = np.random.default_rng(81)

x = rng.normal(size=(160, 5)).astype("float32") * 3.0
y = (x[:, :1] > 0).astype("float32")

backbone = keras.Sequential(
    [
        keras.Input((5,)),
        layers.Dense(8),
        layers.BatchNormalization(momentum=0.9),
        layers.Activation("relu"),
    ]
)
inputs = keras.Input((5,))
model = keras.Model(inputs, layers.Dense(1)(backbone(inputs)))
model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy(from_logits=True))

base = backbone.get_weights()
model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
tuned = backbone.get_weights()

backbone.set_weights([b - 1.0 * (t - b) for b, t in zip(base, tuned)])
backbone.trainable = False
model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(x, 1 - y, batch_size=8, epochs=1, shuffle=False, verbose=0)
