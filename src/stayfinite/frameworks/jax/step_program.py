"""The program of a step on JAX, which all states and batches of the same shapes share."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax.numpy as jnp

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.jax import devices, float64, private
from stayfinite.frameworks.jax.capture import TracedStep, trace_step
from stayfinite.frameworks.jax.capture_program import JaxProgram
from stayfinite.frameworks.jax.executor import Executor
from stayfinite.frameworks.recording.axes import other_size
from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject
from stayfinite.graph.graph import Graph
from stayfinite.strict import caught, is_internal

# Equations of a step that is traced in a fraction of a second.
_QUICK_TO_TRACE = 3000
InPlace = Callable[[], AbstractContextManager[object]]


class StepProgram:
    """The program of a step, which all states and batches of the same shapes share.

    Args:
        subject: The training whose step is traced.
        state: Its shapes decide.
        batch: Its shapes decide.
        in_place: The step is traced inside it.
    """

    def __init__(
        self,
        subject: Subject,
        state: State,
        batch: Batch,
        in_place: InPlace = contextlib.nullcontext,
    ) -> None:
        self.subject = subject
        self.in_place = in_place
        self._example = state, batch
        self._elsewhere: dict[Any, Executor] = {}
        with in_place():
            self.traced: TracedStep = trace_step(subject, state, batch)

    @functools.cached_property
    def graph(self) -> Graph:
        """The step op by op."""
        return self.traced.graph(self._resized())

    def _resized(self) -> JaxProgram | None:
        """The program on another number of samples; None where tracing it would take long."""
        samples = self.traced.num_samples
        if samples is None or len(self.traced.program.equations) > _QUICK_TO_TRACE:
            return None
        state, batch = self._example
        try:
            other = batch.resized(other_size(samples)).map(jnp.asarray)
            with self.in_place():
                return trace_step(self.subject, state, other).program
        except Exception as error:
            # The step takes no other number of samples; the axes are followed through it instead.
            if is_internal(error):
                caught("tracing the step on another number of samples", error)
            return None

    @functools.cached_property
    def executor(self) -> Executor:
        """Runs the program as it is."""
        return Executor(self.traced.program, self.traced.gradients.values())

    @functools.cached_property
    def whole_executor(self) -> Executor:
        """Runs the program in one piece, as a training does: XLA fuses, and so rounds, as there."""
        return Executor(self.traced.program, whole=True)

    def executor_on(self, device: Any) -> Executor:
        """Runs the program on another device, where that is the default one."""
        if device not in self._elsewhere:
            borders = self.traced.gradients.values()
            program = devices.program_on(self.traced.program, device)
            self._elsewhere[device] = Executor(program, borders, device=device)
        return self._elsewhere[device]

    @functools.cached_property
    def wide_executor(self) -> Executor:
        """Runs the program in float64, inside `float64_enabled`."""
        with private.float64_enabled():
            program = float64.widened(self.traced.program)
            return Executor(program, self.traced.gradients.values(), draft=True)
