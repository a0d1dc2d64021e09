"""Losses for embeddings with finite values and gradients at every finite input."""

from stayfinite.networks.losses.distances import (
    cosine_distance,
    euclidean_distance,
    l2_norm,
    l2_normalize,
    squared_euclidean_distance,
)
from stayfinite.networks.losses.mining import BatchHardTripletLoss, SemiHardTripletLoss
from stayfinite.networks.losses.triplet import TripletLoss, triplet_loss

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
