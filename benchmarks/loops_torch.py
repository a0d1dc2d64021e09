"""The loops over `torch.optim` that `loops.py` measures."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import stayfinite

_WARM_UP = 10


class DenseLoop:
    """Dense layers."""

    depth, width, batch = 3, 64, 32
    optimizer: type[torch.optim.Optimizer] = torch.optim.AdamW

    def __init__(self) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.model = self.made()
        self.loader: DataLoader[Any] = DataLoader(self.data(self.batch * 64), self.batch)

    def made(self) -> nn.Module:
        """The network."""
        layers: list[nn.Module] = []
        for _ in range(self.depth):
            layers += [nn.Linear(self.width, self.width), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(self.width, 1))

    def data(self, size: int) -> TensorDataset:
        """Samples."""
        return TensorDataset(torch.randn(size, self.width), torch.randn(size, 1))

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of a batch."""
        return nn.functional.mse_loss(outputs, targets)

    def seconds(self, num_steps: int, *, guarded: bool) -> float:
        """Processor seconds of a step."""
        optimizer = self.optimizer(self.model.parameters(), lr=1e-4)
        with stayfinite.watching() if guarded else contextlib.nullcontext():
            self.train(optimizer, _WARM_UP)
            return self.train(optimizer, num_steps)

    def train(self, optimizer: torch.optim.Optimizer, num_steps: int) -> float:
        """Train, and return the processor seconds of a step."""
        batches = len(self.loader)
        began, num_left = time.process_time(), num_steps
        while num_left > 0:
            for inputs, targets in itertools.islice(self.loader, min(batches, num_left)):
                optimizer.zero_grad()
                loss = self.loss(self.model(inputs), targets)
                loss.backward()
                self.clip()
                optimizer.step()
            num_left -= batches
        return (time.process_time() - began) / num_steps

    def clip(self) -> None:
        """Clip the gradients, or nothing."""


class DenseSgdLoop(DenseLoop):
    """The same with SGD."""

    optimizer = torch.optim.SGD


class WideLoop(DenseLoop):
    """Few large tensors."""

    depth, width, batch = 4, 512, 256


class WideSgdLoop(WideLoop):
    """The same with SGD."""

    optimizer = torch.optim.SGD


class WideClippedLoop(WideLoop):
    """The same with gradients that the loop clips by their norm."""

    def clip(self) -> None:
        """Clip the gradients."""
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)


class TransformerLoop(DenseLoop):
    """148 tensors, most of them small."""

    depth, width, batch, length, vocabulary = 12, 48, 4, 32, 64

    def made(self) -> nn.Module:
        """The network."""
        layer = nn.TransformerEncoderLayer(self.width, 4, 4 * self.width, 0.0, batch_first=True)
        return nn.Sequential(
            nn.Embedding(self.vocabulary, self.width),
            nn.TransformerEncoder(layer, self.depth),
            nn.LayerNorm(self.width),
            nn.Linear(self.width, self.vocabulary, bias=False),
        )

    def data(self, size: int) -> TensorDataset:
        """Sequences of numbers, as inputs and targets."""
        sequences = torch.randint(0, self.vocabulary, (size, self.length + 1))
        return TensorDataset(sequences[:, :-1], sequences[:, 1:])

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of a batch."""
        return nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())


class LargeTransformerLoop(TransformerLoop):
    """3.3 million parameters in 52 tensors."""

    depth, width, batch, length, vocabulary = 4, 256, 8, 64, 256


class ConvolutionLoop(DenseLoop):
    """Convolutions with batch normalisation: activations of megabytes, buffers."""

    batch = 16

    def made(self) -> nn.Module:
        """The network."""
        layers: list[nn.Module] = []
        for before, after, stride in ((3, 32, 1), (32, 64, 2), (64, 128, 2), (128, 128, 1)):
            layers.append(nn.Conv2d(before, after, 3, stride, 1, bias=False))
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))

    def data(self, size: int) -> TensorDataset:
        """Images and classes."""
        return TensorDataset(torch.randn(size, 3, 32, 32), torch.randint(0, 10, (size,)))

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of a batch."""
        return nn.functional.cross_entropy(outputs, targets)


LOOPS: Mapping[str, type[DenseLoop]] = {
    "3 layers of 64, batch of 32, AdamW": DenseLoop,
    "3 layers of 64, batch of 32, SGD": DenseSgdLoop,
    "4 layers of 512, batch of 256, AdamW": WideLoop,
    "4 layers of 512, batch of 256, SGD": WideSgdLoop,
    "4 layers of 512, batch of 256, AdamW, clipped": WideClippedLoop,
    "transformer of 148 tensors, AdamW": TransformerLoop,
    "transformer of 3.3 million parameters, AdamW": LargeTransformerLoop,
    "convolutions, AdamW": ConvolutionLoop,
}
