"""The settings of a training. Keras is not imported, because `--help` reads the defaults."""

from __future__ import annotations

from dataclasses import dataclass

DEPTHS = (18, 34, 50, 101, 152)


@dataclass(frozen=True)
class ResNet3DSettings:
    """Settings of a ResNet3D on videos; lengths in frames, sizes in pixels."""

    data: str
    depth: int = 18
    filters: int = 64
    epochs: int = 50
    batch_size: int = 8
    clip_length: int = 16
    frame_stride: int = 1
    size: int = 112
    resize: int = 128
    learning_rate: float = 1e-3
    l2: float = 1e-4
    kernel_initializer: str = "he_normal"
    validation: float = 0.2
    test: float = 0.0
    patience: int = 8
    reduce_after: int = 3
    seed: int = 0
    flip: bool = True
    precision: str = "float32"
    problems: str = "leave out"
    inspect: str = "decode"
    workers: int = 1
    weights: str | None = None


@dataclass(frozen=True)
class SiameseSettings:
    """Settings of an embedding of images; sizes in pixels."""

    data: str
    backbone: str = "ResNet50"
    weights: str = "imagenet"
    size: int = 224
    embedding_dim: int = 128
    activation: str = "linear"
    mining: str = "batch_hard"
    distance: str = "euclidean"
    margin: str = "softplus"
    margin_size: float = 0.2
    classes_per_batch: int = 8
    images_per_class: int = 4
    head_epochs: int = 2
    epochs: int = 20
    whole_epochs: int = 0
    steps_per_epoch: int = 0
    learning_rate: float = 1e-4
    held_out: float = 0.25
    test: float = 0.0
    patience: int = 5
    seed: int = 0
    flip: bool = True
    precision: str = "float32"
    problems: str = "leave out"
    workers: int = 1
