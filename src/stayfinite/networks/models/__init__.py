"""Reference networks, built like those of `keras.applications`."""

from stayfinite.networks.models.efficientnet_lite import EfficientNetLite0
from stayfinite.networks.models.embedding import EmbeddingNetwork, TripletNetwork, preprocess_input
from stayfinite.networks.models.freezing import freeze
from stayfinite.networks.models.resnet3d import (
    ResNet3D,
    ResNet3D18,
    ResNet3D34,
    ResNet3D50,
    ResNet3D101,
    ResNet3D152,
)

__all__ = [
    "EfficientNetLite0",
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
