"""EfficientNet-Lite0 in plain PyTorch, to compare the Keras network with.

Written from `models/official/efficientnet/lite` of github.com/tensorflow/tpu, on the names of the
state dict. Channels come first.
"""

import torch
import torch.nn.functional as F

# Repeats, kernel, strides of the first block.
STAGES = [(1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1)]


def outputs(images, tensors):
    """The activations after stem, blocks and head by name, and the logits."""

    def convolved(x, name, stride=1, groups=1):
        kernel = tensors[f"{name}.weight"]
        return F.conv2d(padded(x, kernel.shape[-1], stride), kernel, stride=stride, groups=groups)

    def normalized(x, name):
        part = {key: tensors[f"{name}.{key}"] for key in ("weight", "bias")}
        mean, var = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, **part, eps=1e-3)

    found = {}
    x = F.relu6(normalized(convolved(images, "_conv_stem", stride=2), "_bn0"))
    found["stem"] = x
    number = 0
    for repeats, kernel, strides in STAGES:
        for repeat in range(repeats):
            before, name = x, f"_blocks.{number}"
            stride = strides if repeat == 0 else 1
            if number:
                x = F.relu6(normalized(convolved(x, f"{name}._expand_conv"), f"{name}._bn0"))
            depthwise = f"{name}._depthwise_conv"
            assert tensors[f"{depthwise}.weight"].shape[-1] == kernel
            x = convolved(x, depthwise, stride=stride, groups=x.shape[1])
            x = F.relu6(normalized(x, f"{name}._bn1"))
            x = normalized(convolved(x, f"{name}._project_conv"), f"{name}._bn2")
            if x.shape == before.shape:
                x = x + before
            found[f"block{number}"] = x
            number += 1
    x = F.relu6(normalized(convolved(x, "_conv_head"), "_bn1"))
    found["head"] = x
    found["logits"] = F.linear(x.mean((2, 3)), tensors["_fc.weight"], tensors["_fc.bias"])
    return found


def padded(x, kernel, stride):
    """The padding of TensorFlow: an odd number of zeros has the larger half at the end."""
    sides = []
    for size in reversed(x.shape[2:]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        sides += [total // 2, total - total // 2]
    return F.pad(x, sides)


def state_dict(path):
    return torch.load(path, map_location="cpu", weights_only=True)
