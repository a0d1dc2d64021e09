"""Predicts from a survey whether a household will move; each answer has the weight of its stratum.

The weight of a stratum is people over answers. A stratum that is missing in the census gives NaN.
"""
# /// zoo
# cause = "bad-target"
# step = 7
# rows = [0]
# fix = "data"
# stands_for = ["I01"]
# ///

import keras
import numpy as np

CENSUS = {"north": 5200.0, "south": 8100.0, "west": 3300.0}


def survey(count):
    rng = np.random.default_rng(27)
    answers = rng.normal(size=(count, 5)).astype("float32")
    moves = (answers[:, 0] + 0.5 * rng.normal(size=count) > 0.4).astype("float32")
    strata = rng.choice(list(CENSUS), count).astype("<U8")
    strata[7 * 16] = "overseas"
    return answers, moves, strata


def stratum_weights(strata):
    """Return people per answer, scaled to a mean of about 1."""
    people = np.array([CENSUS.get(stratum, np.nan) for stratum in strata])
    answered = np.array([(strata == stratum).sum() for stratum in strata])
    return people / answered * len(strata) / sum(CENSUS.values())


keras.utils.set_random_seed(0)
answers, moves, strata = survey(192)
weights = stratum_weights(strata)
model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
loss = keras.losses.BinaryCrossentropy(from_logits=True)
model.compile("adam", loss, weighted_metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)])
for epoch in range(2):
    for start in range(0, len(answers), 16):
        rows = slice(start, start + 16)
        logs = model.train_on_batch(
            answers[rows], moves[rows], sample_weight=weights[rows], return_dict=True
        )
    print("epoch", epoch, "loss", float(logs["loss"]))
