"""Predicts price and rating of books with one network; many books have no rating yet.

The rating error is averaged over the rated books of the batch, by a division through their
number. The newest eight books, one batch, have no rating at all.
"""
# /// zoo
# cause = "empty-reduction"
# step = 12
# fix = "source"
# value = "undefined"
# stands_for = ["E03"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
UNRATED = -1.0


def rating_error(rating, predicted):
    rated = ops.cast(ops.not_equal(rating, UNRATED), predicted.dtype)
    num_rated = ops.count_nonzero(rated)
    absolute = ops.abs(rating - predicted) * rated
    return ops.divide(  # at fault
        ops.sum(absolute),
        ops.cast(num_rated, absolute.dtype),
    )


rng = np.random.default_rng(10)
books = rng.normal(size=(128, 7)).astype("float32")
price = 15 + books[:, :1] + rng.normal(0, 0.2, size=(128, 1)).astype("float32")
rating = np.clip(3 + books[:, 1:2], 1, 5)
rating[rng.uniform(size=128) < 0.4] = UNRATED
rating[::8] = 3.0
rating[96:104] = UNRATED

pages = keras.Input((7,))
shared = layers.Dense(24, activation="silu")(pages)
heads = {
    "price": layers.Dense(1, name="price")(shared),
    "rating": layers.Dense(1, name="rating")(shared),
}
model = keras.Model(pages, heads)
model.compile(
    optimizer=keras.optimizers.AdamW(1e-3),
    loss={"price": "mse", "rating": rating_error},
)
history = model.fit(
    books, {"price": price, "rating": rating}, batch_size=8, shuffle=False, verbose=0
)
print("loss", history.history["loss"][-1])
