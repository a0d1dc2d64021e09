"""The network of `convolutional_digits.py` with a log-softmax in the loss."""

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
probability = layers.Dense(10)(h)
cnn = keras.Model(image, probability)


def entropy(target, output):
    log_output = K.log_softmax(output)
    return K.mean(-K.sum(target * log_output, axis=-1))


cnn.compile(optimizer=keras.optimizers.Adam(1e-3), loss=entropy)
history = cnn.fit(images, labels, batch_size=32, epochs=3, shuffle=False, verbose=0)
print("loss by epoch:", history.history["loss"])
