"""Defects of parts are predicted by a two-layer sigmoid network with its own cross entropy.

A part whose measurements were entered in the wrong unit is judged faultless with certainty: the
sigmoid is exactly 0, the part is defective, and log(p) is -inf.
"""

# /// zoo
# cause = "log-of-zero"
# step = 15
# rows = [8]
# fix = "source"
# value = "exact"
# stands_for = [
#   "GRIST 2a", "GRIST 2b", "GRIST 9a", "GRIST 9b", "GRIST 26", "GRIST 33", "GRIST 37", "GRIST 38",
#   "GRIST 53", "GRIST 56", "D01",
# ]
# ///
import keras
import numpy as np
from keras import layers, ops

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
p_defect = layers.Activation("sigmoid", name="p_defect")(score)
network = keras.Model(part, p_defect)


@keras.saving.register_keras_serializable()
class HandWrittenBCE(keras.losses.Loss):
    def call(self, y_true, y_pred):
        positive = y_true * ops.log(y_pred)  # at fault
        negative = (1.0 - y_true) * ops.log(1.0 - y_pred)
        return -ops.mean(positive + negative, axis=-1)


network.compile(optimizer=keras.optimizers.SGD(1e-4), loss=HandWrittenBCE())
network.fit(measures, defective[:, None], batch_size=12, epochs=2, shuffle=False, verbose=0)
print("loss:", network.evaluate(measures[:180], defective[:180, None], verbose=0))
