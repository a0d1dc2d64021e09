"""The step times of one network, or the peak memory of training it, on the backend in use.

Started by `benchmarks.overhead`; prints JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from benchmarks import blocks, device_memory, peers
from benchmarks.memory import peak_bytes
from benchmarks.networks import NETWORKS, SEED, Network


class Cost(NamedTuple):
    """Seconds on the clock, and of all processors together."""

    wall: float
    processor: float


class Clock(keras.callbacks.Callback):
    """The cost of an epoch from its first step until all of it, its flags too, is done.

    The last of the callbacks. It has no hook for a batch, so Keras does not wait for one.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        wall, processor = self._began
        self.cost = Cost(time.perf_counter() - wall, time.process_time() - processor)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["times", "memory", "device"])
    parser.add_argument("network", choices=list(NETWORKS))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--guarded", action="store_true")
    options = parser.parse_args()
    network = NETWORKS[options.network]
    with tempfile.TemporaryDirectory() as keep:
        if options.what == "memory":
            answer = peak_memory(network, keep, options.guarded)
        elif options.what == "device":
            answer = peak_device_memory(network, keep, options.guarded)
        else:
            answer = step_times(network, keep, options.peers, options.rounds)
    print(json.dumps(answer))


def peak_memory(network: Network, keep: str, guarded: bool) -> dict[str, Any]:
    """The peak of a process that does nothing but train."""
    bare, with_guard = peers.variants(keras.backend.backend(), keep, False)
    block = prepared(network, with_guard if guarded else bare, {})
    block()
    return {"peak_bytes": peak_bytes()}


class Sampler(keras.callbacks.Callback):
    """Tells the counter after each step."""

    def __init__(self, memory: device_memory.DeviceMemory) -> None:
        super().__init__()
        self._memory = memory

    def on_train_batch_end(self, batch, logs=None):
        self._memory.between_steps()


def peak_device_memory(network: Network, keep: str, guarded: bool) -> dict[str, Any]:
    """The peak of the arrays of the framework, of one block."""
    memory = device_memory.counting()
    bare, with_guard = peers.variants(keras.backend.backend(), keep, False)
    keras.utils.set_random_seed(SEED)
    x, y = network.arrays(network.num_steps)
    network.build().fit(
        x,
        y,
        batch_size=network.batch_size,
        shuffle=False,
        verbose=0,
        callbacks=[*(with_guard if guarded else bare).callbacks(), Sampler(memory)],
    )
    return {"peak_bytes": memory.peak_bytes()}


def step_times(network: Network, keep: str, with_peers: bool, rounds: int | None) -> dict[str, Any]:
    """Rows of the table, and what is not in it."""
    backend = keras.backend.backend()
    shared: dict[str, Any] = {}
    ready, missing = {}, peers.not_measured(backend) if with_peers else {}
    for variant in peers.variants(backend, keep, with_peers):
        try:
            ready[variant.name] = prepared(network, variant, shared)
        except Exception as error:
            if variant.name in (peers.BARE, peers.GUARDED):
                raise
            text = str(error).strip().partition("\n")[0]
            missing[variant.name] = f"{type(error).__name__}: {text}"
    load = os.getloadavg()[0]
    costs = blocks.in_turns(ready, rounds or network.num_blocks, peers.BARE)
    wall = {name: [cost.wall for cost in of_one] for name, of_one in costs.items()}
    processor = {name: [cost.processor for cost in of_one] for name, of_one in costs.items()}
    return {
        "rows": [dataclasses.asdict(row) for row in blocks.timings(wall, peers.BARE)],
        "processor": [dataclasses.asdict(row) for row in blocks.timings(processor, peers.BARE)],
        "load": [load, os.getloadavg()[0]],
        "not_measured": missing,
    }


def prepared(
    network: Network, variant: peers.Variant, shared: dict[str, Any]
) -> Callable[[], Cost]:
    """A function that trains one block and returns the cost of a step; all is compiled."""
    keras.utils.set_random_seed(SEED)
    model = network.build() if variant.own_network else shared[peers.BARE]
    shared.setdefault(variant.name, model)
    x, y = network.arrays(network.num_steps)

    def block() -> Cost:
        clock = Clock()
        gc.collect()
        with variant.switched_on():
            model.fit(
                x,
                y,
                batch_size=network.batch_size,
                shuffle=False,
                verbose=0,
                callbacks=[*variant.callbacks(), clock],
            )
        return Cost(*(seconds / network.num_steps for seconds in clock.cost))

    # Twice: the first compiles, the second still finds caches and pages cold.
    block(), block()
    return block


if __name__ == "__main__":
    main()
