"""Verification: whether two images are of one class, decided by a threshold of their distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stayfinite.networks.metrics.embeddings import check_distance, checked, rounding, unit_rows

# Pairs whose vectors are subtracted at a time.
BLOCK = 2**15


@dataclass(frozen=True)
class VerificationCurve:
    """The share of pairs accepted as one class at each threshold of the distance.

    A pair is accepted if its distance is at most the threshold. The first threshold, -1, accepts no
    pair, the last accepts all. Inner points of horizontal and vertical lines are left out.
    """

    thresholds: np.ndarray  # float64, ascending
    false_accept_rates: np.ndarray  # of the pairs of two classes, float64 of the same shape
    true_accept_rates: np.ndarray  # of the pairs of one class
    num_same: int  # compared pairs of one class
    num_different: int  # compared pairs of two classes

    @property
    def auc(self) -> float:
        """Area under the curve: probability that a pair of one class is nearer than another."""
        return float(np.trapezoid(self.true_accept_rates, self.false_accept_rates))

    @property
    def equal_error_rate(self) -> float:
        """The false accept rate where it equals the false reject rate."""
        excess = self.false_accept_rates + self.true_accept_rates - 1.0
        after = int(np.argmax(excess >= 0))
        before = after - 1
        part = -excess[before] / (excess[after] - excess[before])
        low, high = self.false_accept_rates[[before, after]]
        return float(low + part * (high - low))

    def true_accept_at(self, false_accept_rate: float) -> float:
        """Return the largest true accept rate with at most this false accept rate.

        Raises:
            ValueError: If the rate is not from 0 to 1.
        """
        if not 0 <= false_accept_rate <= 1:
            raise ValueError(
                "`false_accept_rate` must be from 0 to 1. Received: "
                f"false_accept_rate={false_accept_rate}"
            )
        allowed = self.true_accept_rates[self.false_accept_rates <= false_accept_rate]
        return float(allowed.max())


def verification_curve(
    embeddings: Any,
    labels: Any,
    distance: str = "cosine",
    max_pairs: int = 1_000_000,
    seed: int = 0,
) -> VerificationCurve:
    """Compute how well the distance of two embeddings separates pairs of one class from others.

    Pairs at the same distance are accepted together, and a distance within the rounding of the
    embeddings is 0. An embedding that gives all images the same vector therefore has the area 0.5
    and the equal error rate 0.5.

    Args:
        embeddings: Vectors of shape `(images, dim)`.
        labels: Their classes, of shape `(images,)` or `(images, 1)`.
        distance: `"cosine"`, `"euclidean"` or `"squared_euclidean"`.
        max_pairs: Largest number of pairs of one class, and of pairs of two classes. If there are
            more, this many are drawn uniformly with repetition.
        seed: Seed of that draw.

    Raises:
        ValueError: If an embedding is non-finite, a shape does not fit, or there is no pair of one
            class, or none of two.

    Example:

    >>> curve = stayfinite.metrics.verification_curve([[0.0], [0.1], [1.0]], [0, 0, 1], "euclidean")
    >>> curve.auc, curve.equal_error_rate
    (1.0, 0.0)
    """
    check_distance(distance)
    if max_pairs < 1:
        raise ValueError(f"`max_pairs` must be 1 or more. Received: max_pairs={max_pairs}")
    vectors, classes = checked(embeddings, labels)
    order = np.argsort(classes, kind="stable")
    _, count = np.unique(classes, return_counts=True)
    if len(count) < 2 or count.max() < 2:
        raise ValueError(
            "`labels` must have at least two classes, and one of them two images. Received: "
            f"{len(classes)} images of {len(count)} classes"
        )
    if distance == "cosine":
        vectors = unit_rows(vectors)
    vectors, tied = vectors[order], rounding(embeddings)
    random = np.random.default_rng(seed)
    same = _same_pairs(count, max_pairs, random)
    different = _different_pairs(count, max_pairs, random)
    return _curve(*(_distances(vectors, pairs, distance, tied) for pairs in (same, different)))


def _same_pairs(count: np.ndarray, limit: int, random: np.random.Generator) -> np.ndarray:
    """Return index pairs of one class, `(pairs, 2)`, for images sorted by class."""
    start = np.cumsum(count) - count
    sizes = count * (count - 1) // 2
    if sizes.sum() <= limit:
        found = [s + np.stack(np.triu_indices(n, 1)) for s, n in zip(start, count, strict=True)]
        return np.concatenate(found, axis=1).T
    label = random.choice(len(count), limit, p=sizes / sizes.sum())
    first = random.integers(0, count[label])
    second = (first + random.integers(1, count[label])) % count[label]
    return np.stack([start[label] + first, start[label] + second], axis=1)


def _different_pairs(count: np.ndarray, limit: int, random: np.random.Generator) -> np.ndarray:
    """Return index pairs of two classes, `(pairs, 2)`, for images sorted by class."""
    start, num_rows = np.cumsum(count) - count, int(count.sum())
    end = (start + count).repeat(count)  # of the class of each row
    if (num_rows - end).sum() <= limit:
        later = [np.arange(end[row], num_rows) for row in range(num_rows)]
        first = np.arange(num_rows).repeat(num_rows - end)
        return np.stack([first, np.concatenate(later)], axis=1)
    others = (num_rows - count).repeat(count)
    row = random.choice(num_rows, limit, p=others / others.sum())
    other = random.integers(0, others[row])
    begin = start.repeat(count)[row]
    return np.stack([row, np.where(other < begin, other, other + end[row] - begin)], axis=1)


def _distances(vectors: np.ndarray, pairs: np.ndarray, distance: str, tied: float) -> np.ndarray:
    """Compute each distance from its two vectors alone: equal pairs have equal distances."""
    lengths = np.ones(len(vectors)) if distance == "cosine" else np.linalg.norm(vectors, axis=1)
    found = np.empty(len(pairs))
    for begin in range(0, len(pairs), BLOCK):
        left, right = pairs[begin : begin + BLOCK].T
        a, b = vectors[left], vectors[right]
        far = 1.0 - (a * b).sum(axis=1) if distance == "cosine" else np.linalg.norm(a - b, axis=1)
        far[far <= tied * lengths[left]] = 0.0
        found[begin : begin + BLOCK] = far
    return np.square(found) if distance == "squared_euclidean" else found


def _curve(same: np.ndarray, different: np.ndarray) -> VerificationCurve:
    thresholds = np.unique(np.concatenate([same, different]))
    accepted = [
        np.concatenate([[0], np.searchsorted(np.sort(each), thresholds, side="right")])
        for each in (same, different)
    ]
    kept = _corners(*accepted)
    true, false = accepted[0][kept] / len(same), accepted[1][kept] / len(different)
    thresholds = np.concatenate([[-1.0], thresholds])[kept]
    return VerificationCurve(thresholds, false, true, len(same), len(different))


def _corners(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return which points of a curve are its ends or corners of horizontal and vertical lines."""
    kept = np.ones(len(x), bool)
    still_x, still_y = np.diff(x) == 0, np.diff(y) == 0
    kept[1:-1] = ~((still_x[1:] & still_x[:-1]) | (still_y[1:] & still_y[:-1]))
    return kept
