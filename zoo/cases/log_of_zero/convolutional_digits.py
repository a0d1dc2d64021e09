"""A small convolutional network reads digits of two scanners.

The images of the second scanner were left at 0 to 255. Some class is ruled out so firmly for them
that its softmax is 0, and the logarithm in the cross entropy is -inf.
"""

# /// zoo
# cause = "log-of-zero"
# step = 8
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 1", "GRIST 6", "GRIST 7", "GRIST 8", "GRIST 14", "GRIST 24", "GRIST 29"]
# ///
import keras
from keras import layers
from keras import ops as K
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
digits = load_digits()
images = digits.images[:512, :, :, None].astype("float32") / 16.0
images[256:] *= 255.0
labels = keras.utils.to_categorical(digits.target[:512], 10)

image = keras.Input((8, 8, 1))
h = layers.Conv2D(8, 3, activation="relu")(image)
h = layers.MaxPooling2D()(h)
h = layers.Flatten()(h)
h = layers.Dense(32, activation="relu")(h)
probability = layers.Dense(10, activation="softmax")(h)
cnn = keras.Model(image, probability)


def entropy(target, output):
    log_output = K.log(output)  # at fault
    return K.mean(-K.sum(target * log_output, axis=-1))


cnn.compile(optimizer=keras.optimizers.Adam(1e-3), loss=entropy)
history = cnn.fit(images, labels, batch_size=32, epochs=3, shuffle=False, verbose=0)
print("loss by epoch:", history.history["loss"])
