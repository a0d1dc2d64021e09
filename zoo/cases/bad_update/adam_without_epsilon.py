"""Trains a digit classifier, then trains on with an Adam whose epsilon is 0, as a paper has it.

Some pixels are black in each image. Their weights never had a gradient, so the new Adam divides
0 by 0 for them.
"""
# /// zoo
# cause = "bad-update"
# step = 8
# fix = "setting"
# stands_for = ["K07", "H12"]
# ///

import keras
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
digits = load_digits()
images = (digits.data[:512] / 16.0).astype("float32")
labels = digits.target[:512]

model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dropout(0.1),
        keras.layers.Dense(10),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.2, momentum=0.9), loss)
model.fit(images, labels, batch_size=64, epochs=1, verbose=0)

adam = keras.optimizers.Adam(learning_rate=1e-3, beta_2=0.98, epsilon=0.0)  # at fault
model.compile(adam, loss, metrics=["accuracy"])
history = model.fit(images, labels, batch_size=64, epochs=2, verbose=0)
print("loss", history.history["loss"][-1])
