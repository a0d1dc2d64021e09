"""Losses for embeddings: the public name of `stayfinite.networks.losses`."""

from stayfinite.networks.losses import (
    BatchHardTripletLoss,
    SemiHardTripletLoss,
    TripletLoss,
    cosine_distance,
    euclidean_distance,
    l2_norm,
    l2_normalize,
    squared_euclidean_distance,
    triplet_loss,
)

__all__ = [
    "BatchHardTripletLoss",
    "SemiHardTripletLoss",
    "TripletLoss",
    "cosine_distance",
    "euclidean_distance",
    "l2_norm",
    "l2_normalize",
    "squared_euclidean_distance",
    "triplet_loss",
]
