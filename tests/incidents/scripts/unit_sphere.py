"""Embeddings are put on the unit sphere by a Lambda; one sample is blank."""

import keras
import numpy as np

keras.utils.set_random_seed(2)
rng = np.random.default_rng(2)
images = rng.uniform(size=(60, 4, 4, 1)).astype("float32")
images[22] = 0.0
labels = rng.integers(0, 3, 60)
model = keras.Sequential(
    [
        keras.Input((4, 4, 1)),
        keras.layers.Conv2D(4, 2, use_bias=False),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Lambda(lambda features: keras.ops.normalize(features, axis=1)),  # <- here
        keras.layers.Dense(3, activation="softmax"),
    ]
)
model.compile("adam", loss="sparse_categorical_crossentropy")
model.fit(images, labels, batch_size=12, shuffle=False, verbose=0)
