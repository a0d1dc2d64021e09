"""Reference networks, built like those of `keras.applications` and usable alone."""

from stayfinite.models.backbones import preprocess_input
from stayfinite.models.embedding import EmbeddingNetwork
from stayfinite.models.freezing import freeze
from stayfinite.models.resnet3d import (
    ResNet3D,
    ResNet3D18,
    ResNet3D34,
    ResNet3D50,
    ResNet3D101,
    ResNet3D152,
)
from stayfinite.models.triplet import TripletNetwork

__all__ = [
    "EmbeddingNetwork",
    "ResNet3D",
    "ResNet3D18",
    "ResNet3D34",
    "ResNet3D50",
    "ResNet3D101",
    "ResNet3D152",
    "TripletNetwork",
    "freeze",
    "preprocess_input",
]
