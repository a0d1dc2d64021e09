"""Reference networks: the public name of `stayfinite.networks.models`."""

from stayfinite.networks.models import (
    EfficientNetLite0,
    EmbeddingNetwork,
    ResNet3D,
    ResNet3D18,
    ResNet3D34,
    ResNet3D50,
    ResNet3D101,
    ResNet3D152,
    TripletNetwork,
    freeze,
    preprocess_input,
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
