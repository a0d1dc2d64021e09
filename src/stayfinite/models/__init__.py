"""Reference networks, built like those of `keras.applications` and usable alone."""

from stayfinite.models.backbones import preprocess_input
from stayfinite.models.embedding import EmbeddingNetwork
from stayfinite.models.freezing import freeze
from stayfinite.models.triplet import TripletNetwork

__all__ = ["EmbeddingNetwork", "TripletNetwork", "freeze", "preprocess_input"]
