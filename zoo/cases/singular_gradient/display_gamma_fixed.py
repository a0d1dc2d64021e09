"""The denoiser of `display_gamma.py`; black stays black, without a slope."""

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(2)
clean = rng.uniform(0.2, 0.8, size=(32, 8, 8, 3)).astype("float32")
noisy = clean + rng.uniform(0.0, 0.1, size=clean.shape).astype("float32")
for photo in (clean, noisy):
    photo[21, :, :3] = 0.0
    photo[21, :, -3:] = 0.0


def to_display(linear):
    linear = ops.clip(linear, 0.0, 1.0)
    is_lit = linear > 0
    encoded = ops.where(is_lit, ops.power(ops.where(is_lit, linear, 1.0), 1.0 / 2.4), 0.0)
    return 1.055 * encoded - 0.055


@keras.saving.register_keras_serializable()
def displayed_error(y_true, y_pred):
    return ops.mean(ops.abs(to_display(y_true) - to_display(y_pred)), axis=(1, 2, 3))


positive = keras.initializers.RandomUniform(0.0, 0.1, seed=3)
denoiser = keras.Sequential(
    [
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(6, 3, padding="same", use_bias=False, kernel_initializer=positive),
        keras.layers.ReLU(),
        keras.layers.Conv2D(3, 1, use_bias=False, kernel_initializer=positive),
    ]
)
denoiser.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss=displayed_error)
denoiser.fit(noisy, clean, batch_size=4, epochs=3, shuffle=False, verbose=0)
print("displayed error:", denoiser.evaluate(noisy, clean, verbose=0))
