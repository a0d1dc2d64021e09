"""The network of `sigmoid_mlp.py` with the binary cross entropy of Keras on logits."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(13)
measures = rng.normal(size=(300, 8))
defective = (measures[:, :2].sum(axis=1) > 0.5).astype("float32")
measures[188] = 0.0
measures[188, 7], defective[188] = 1e5, 1.0
measures = measures.astype("float32")

to_no_defect = np.zeros((8, 1), "float32")
to_no_defect[7] = -0.01
part = keras.Input((8,), name="part")
hidden = layers.Dense(10, activation="sigmoid")(part)
shortcut = layers.Dense(1, kernel_initializer=keras.initializers.Constant(to_no_defect))(part)
score = layers.Add()([layers.Dense(1)(hidden), shortcut])
network = keras.Model(part, score)


network.compile(
    optimizer=keras.optimizers.SGD(1e-4), loss=keras.losses.BinaryCrossentropy(from_logits=True)
)
network.fit(measures, defective[:, None], batch_size=12, epochs=2, shuffle=False, verbose=0)
print("loss:", network.evaluate(measures[:180], defective[:180, None], verbose=0))
