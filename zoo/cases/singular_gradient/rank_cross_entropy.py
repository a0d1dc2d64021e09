"""Documents of a query are ranked by the overlap of label and softmax score distributions.

A document with an unscaled click count gets so low a score that its softmax is exactly 0. Its
label is 0 too, so the term vanishes, but the derivative of sqrt at 0 is infinite and 0 * inf is
NaN.
"""

# /// zoo
# cause = "singular-gradient"
# step = 4
# rows = [6]
# fix = "source"
# value = "exact"
# backends = ["jax", "torch"]
# stands_for = ["GRIST 5"]
# ///
import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(8)
num_queries, num_docs, num_features = 72, 5, 6
docs = rng.normal(size=(num_queries, num_docs, num_features)).astype("float32")
relevance = docs @ np.array([1.0, 0.5, 0.0, -0.5, 0.0, 0.0], "float32")
labels = np.eye(num_docs, dtype="float32")[relevance.argmax(axis=1)]
docs[38, 1, 3] = 25000.0  # clicks, not log(clicks)
labels[38] = [0, 0, 1, 0, 0]

scorer = keras.layers.Dense(1, name="score")
inputs = keras.Input((num_docs, num_features))
ranker = keras.Model(inputs, keras.layers.Reshape((num_docs,))(scorer(inputs)))
scorer.set_weights([np.array([[0.1], [0.1], [0.0], [-0.1], [0.0], [0.0]], "float32"), np.zeros(1)])


def rank_cross_entropy(y_true, scores):
    probabilities = ops.softmax(scores, axis=-1)
    overlap = y_true * ops.sqrt(probabilities)  # at fault
    return -ops.mean(ops.sum(overlap, axis=-1))


ranker.compile(optimizer=keras.optimizers.Adagrad(0.05), loss=rank_cross_entropy)
for epoch in range(2):
    for start in range(0, num_queries, 8):
        batch = slice(start, start + 8)
        loss = ranker.train_on_batch(docs[batch], labels[batch])
    print(f"epoch {epoch}: loss {float(loss):.4f}")
