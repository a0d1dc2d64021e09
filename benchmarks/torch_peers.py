"""What guarding a loop over `torch.optim` costs: `python -m benchmarks.torch_peers`.

Each network is trained by the same loop in one process, once a block with each of the variants in
turn, so that a change of the machine's load reaches all of them. Times are processor time. A ratio
is that of a block to the plain block of the same turn; the table has the median and the quartiles.

Lightning's `detect_anomaly=True` turns on `torch.autograd.set_detect_anomaly` for `fit`, and checks
that the loss is finite; the column has these two in the plain loop.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import stayfinite

PLAIN = "plain"


@dataclass(frozen=True)
class Network:
    """Dense layers of `width`, `depth` of them, on batches of `batch` samples."""

    depth: int
    width: int
    batch: int

    @property
    def name(self) -> str:
        return f"{self.depth} of {self.width}, {self.batch}"

    def model(self) -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(self.depth):
            layers += [nn.Linear(self.width, self.width), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(self.width, 1))


NETWORKS = (Network(3, 64, 32), Network(4, 256, 128), Network(4, 512, 256))


@dataclass(frozen=True)
class Variant:
    """Something added to the loop.

    Attributes:
        name: The column of the table.
        around: Entered around a block.
        check: Called with the loss before the backward pass.
    """

    name: str
    around: Callable[[nn.Module], AbstractContextManager[Any]] = lambda model: nullcontext()
    check: Callable[[torch.Tensor], object] = lambda loss: None


def variants() -> list[Variant]:
    """The plain loop first; peers that are not installed are left out."""
    found = [
        Variant(PLAIN),
        Variant("stayfinite", lambda model: stayfinite.watching()),
        Variant("set_detect_anomaly", lambda model: torch.autograd.set_detect_anomaly(True)),
        Variant(
            "Lightning detect_anomaly",
            lambda model: torch.autograd.set_detect_anomaly(True),
            _require_finite,
        ),
    ]
    if importlib.util.find_spec("transformers") is not None:
        found.append(Variant("DebugUnderflowOverflow", _debugged))
    return found


def _require_finite(loss: torch.Tensor) -> None:
    if not torch.isfinite(loss).all():
        raise ValueError(f"the loss is {loss}")


@contextlib.contextmanager
def _debugged(model: nn.Module) -> Iterator[None]:
    from transformers.debug_utils import DebugUnderflowOverflow

    debug = DebugUnderflowOverflow(model)
    try:
        yield
    finally:
        del debug
        for module in model.modules():
            module._forward_hooks.clear()


def train(model: nn.Module, loader: DataLoader[Any], num_epochs: int, variant: Variant) -> float:
    """Processor seconds of a step."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    num_steps = 0
    with variant.around(model):
        began = time.process_time()
        for _ in range(num_epochs):
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(model(inputs), targets)
                variant.check(loss)
                loss.backward()
                optimizer.step()
                num_steps += 1
        return (time.process_time() - began) / num_steps


def measure(network: Network, num_turns: int, seconds: float) -> dict[str, list[float]]:
    """The seconds of a step in each block, by variant."""
    torch.manual_seed(0)
    size = network.batch * 16
    data = TensorDataset(torch.randn(size, network.width), torch.randn(size, 1))
    loader = DataLoader(data, network.batch)
    model = network.model()
    found: dict[str, list[float]] = {variant.name: [] for variant in variants()}
    step = train(model, loader, 2, Variant(PLAIN))
    num_epochs = max(1, round(seconds / step / 16))
    for turn in range(num_turns + 1):
        for variant in variants():
            took = train(model, loader, num_epochs, variant)
            if turn > 0:  # the first one warms up
                found[variant.name].append(took)
    return found


def ratio(times: list[float], plain: list[float]) -> str:
    """Median and quartiles of the ratios of a turn."""
    ratios = [one / other for one, other in zip(times, plain, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torch_peers")
    parser.add_argument("--turns", type=int, default=12, metavar="N", help="blocks of each variant")
    parser.add_argument("--seconds", type=float, default=0.5, metavar="S", help="of a plain block")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = [variant.name for variant in variants()]
    print(f"| layers, batch | step | {' | '.join(names[1:])} |")
    print(f"| {' | '.join(['---'] * (len(names) + 1))} |")
    for network in NETWORKS:
        found = measure(network, options.turns, options.seconds)
        plain = found[PLAIN]
        ratios = [ratio(found[name], plain) for name in names[1:]]
        step = statistics.median(plain) * 1e3
        print(f"| {network.name} | {step:.2g} ms | {' | '.join(ratios)} |", flush=True)


if __name__ == "__main__":
    main()
