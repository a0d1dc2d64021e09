"""What a training takes of the memory of its device, by what each framework counts.

On a CPU the device is the host, but these are the numbers of the arrays of the framework only: what
the guard keeps as arrays of NumPy, as a snapshot, is not on the device, and is in the memory of the
process (`memory.py`). The same numbers are measured on a GPU.
"""

from __future__ import annotations

import abc
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import keras


class DeviceMemory(abc.ABC):
    """Counts from its creation on; `between_steps` has to be called after each step."""

    @abc.abstractmethod
    def between_steps(self) -> None:
        """A step has been made."""

    @abc.abstractmethod
    def peak_bytes(self) -> int:
        """The largest number of bytes in use at one time. Counting ends."""


def counting() -> DeviceMemory:
    """What counts on the backend in use."""
    kinds = {"jax": _JaxMemory, "tensorflow": _TensorFlowMemory, "torch": _TorchMemory}
    return kinds[keras.backend.backend()]()


class _JaxMemory(DeviceMemory):
    """Arrays that are alive between two steps, and what the largest compiled program adds.

    XLA's own analysis says what a program needs beyond the state that is donated to it.
    """

    def __init__(self) -> None:
        self._alive = 0

    def between_steps(self) -> None:
        import jax

        self._alive = max(self._alive, sum(array.nbytes for array in jax.live_arrays()))

    def peak_bytes(self) -> int:
        from jax.extend import backend

        programs = [
            executable.get_compiled_memory_stats()
            for executable in backend.get_backend().live_executables()
        ]
        return self._alive + max(map(_beyond_donated, programs))


def _beyond_donated(program: Any) -> int:
    """Batch, results and intermediate values of a program, without what is in donated memory."""
    # A step is given its batch by the host; other programs are given arrays that are alive.
    is_step = program.alias_size_in_bytes > 0
    given = program.argument_size_in_bytes - program.alias_size_in_bytes if is_step else 0
    results = program.output_size_in_bytes - program.alias_size_in_bytes
    return int(given + results + program.temp_size_in_bytes)


class _TensorFlowMemory(DeviceMemory):
    """What the allocator of the device counts."""

    def __init__(self) -> None:
        import tensorflow as tf

        if os.environ.get("TF_CPU_ALLOCATOR_USE_BFC") != "1":
            raise RuntimeError("set TF_CPU_ALLOCATOR_USE_BFC=1 before TensorFlow is imported")
        self._config = tf.config
        self._device = "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0"
        tf.config.experimental.reset_memory_stats(self._device)

    def between_steps(self) -> None:
        pass

    def peak_bytes(self) -> int:
        return int(self._config.experimental.get_memory_info(self._device)["peak"])


class _TorchMemory(DeviceMemory):
    """What the allocator of the device counts: that of a CPU tells the profiler."""

    def __init__(self) -> None:
        import torch

        self._cuda = torch.cuda if torch.cuda.is_available() else None
        if self._cuda is not None:
            self._cuda.reset_peak_memory_stats()
            return
        self._profile = torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        )
        self._profile.start()

    def between_steps(self) -> None:
        pass

    def peak_bytes(self) -> int:
        if self._cuda is not None:
            return int(self._cuda.max_memory_allocated())
        self._profile.stop()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            self._profile.export_chrome_trace(str(path))
            events = json.loads(path.read_text())["traceEvents"]
        return max(each["args"]["Total Allocated"] for each in events if each["name"] == "[memory]")
