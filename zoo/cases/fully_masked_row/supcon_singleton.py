"""Supervised contrastive learning: the log-sum-exp over the partners of the same class. In one
batch a class occurs once, and its image has no partner.
"""

# /// zoo
# cause = "fully-masked-row"
# step = 3
# rows = [6]
# fix = "source"
# value = "bounded"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(60)
rng = np.random.default_rng(60)
BATCH, STEPS, CLASSES = 8, 14, 3

labels = np.stack([rng.permutation([0, 0, 0, 1, 1, 2, 2, 2]) for _ in range(STEPS)])
labels[3] = [0, 1, 0, 1, 1, 0, 2, 1]
labels = labels.reshape(-1)
centres = rng.normal(0, 1, (CLASSES, 10))
images = (centres[labels] + rng.normal(0, 0.4, (len(labels), 10))).astype("float32")


def supervised_contrastive(y_true, embedding, temperature=0.2):
    label = ops.reshape(y_true, (-1, 1))
    unit = ops.normalize(embedding, axis=-1)
    similarity = ops.matmul(unit, ops.transpose(unit)) / temperature
    itself = ops.eye(ops.shape(similarity)[0]) > 0
    others = ops.where(itself, -np.inf, similarity)
    partner = ops.logical_and(label == ops.transpose(label), ops.logical_not(itself))
    partners = ops.where(partner, similarity, -np.inf)
    attract = ops.logsumexp(partners, axis=1)  # at fault
    return ops.logsumexp(others, axis=1) - attract


encoder = keras.Sequential(
    [keras.Input((10,)), layers.Dense(16, activation="relu"), layers.Dense(6)]
)
encoder.compile(optimizer=keras.optimizers.Adam(5e-3), loss=supervised_contrastive)
encoder.fit(images, labels, batch_size=BATCH, epochs=3, shuffle=False, verbose=2)
