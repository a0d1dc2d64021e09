"""Plain functions as the library of a step: gradients are what `jax.grad` gives, at its level."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.library import Scope, SeenGradients, SeenLoss
from stayfinite.frameworks.jax.plain.pure_step import PureStep
from stayfinite.frameworks.jax.plain.trees import name_of, paths_of
from stayfinite.frameworks.jax.plain.values import StepData
from stayfinite.frameworks.jax.unrolled import unrolled_loops
from stayfinite.frameworks.state import State, Tensor
from stayfinite.frameworks.subject import Subject


@dataclass(frozen=True)
class Named:
    """What a gradient belongs to."""

    path: str


class PlainLibrary:
    """The `StepLibrary` of one step without Keras."""

    judges_loss = False

    def __init__(self, step: PureStep) -> None:
        self._step = step
        self._is_explaining = False
        self._functions: list[Any] = []

    @contextlib.contextmanager
    def watched(self, seen: SeenGradients, *, scaled_too: bool = False) -> Iterator[SeenLoss]:
        """Show what is differentiated in the trace of the step itself."""
        level = private.trace_level()
        loss = SeenLoss()

        def notify(function: Any, arguments: Any, value: Any, gradients: Any) -> None:
            is_skipped = self._step.skips_bad_updates and not scaled_too
            if is_skipped:
                return
            if not private.same_trace_level(level):
                shown = (arguments, value, gradients)
                outer = private.without_vmap(level, shown) if self._is_explaining else None
                if outer is None:
                    return
                arguments, value, gradients = outer
            loss.add(value)
            if self._is_explaining:
                self._functions.append(function)
            seen(jax.tree.leaves(gradients), self._names(arguments, gradients))

        with private.gradients_seen(notify):
            yield loss
        given, self._step.traced_gradients = self._step.traced_gradients, []
        if given and not (self._is_explaining or self._step.skips_bad_updates):
            seen(given, [Named("gradient") for _ in given])

    def _names(self, arguments: Any, gradients: Any) -> list[Named]:
        given, known = jax.tree.leaves(arguments), self._step.traced_names
        paths = [f"gradient/{name_of(path)}" for path in paths_of(gradients)]
        # Weights that were cast or updated before are other arrays than those of the state.
        if len(given) == len(self._step.weights):
            paths = self._step.weights
        return [Named(known.get(id(leaf), path)) for leaf, path in zip(given, paths, strict=True)]

    @contextlib.contextmanager
    def traced(self, subject: Subject, batch: Batch, scope: Scope) -> Iterator[None]:
        """A step can be traced as it is.

        A loss is often a function inside the step, made anew in each trace. The last ones are kept,
        because a source fix is applied to live functions.
        """
        self._is_explaining, self._functions = True, []
        self._step.is_on_one_device = True
        assert isinstance(batch.data, StepData)
        try:
            with self._step.names_read(batch.data).bound(), unrolled_loops():
                yield
        finally:
            self._is_explaining = self._step.is_on_one_device = False

    def loss_scales(self, subject: Subject) -> list[int]:
        """None: a loss scale is a part of the state like any other."""
        return []

    def learning_rates(self, names: Sequence[str]) -> list[str]:
        """The rates in states of `optax.inject_hyperparams`, unless a schedule sets them."""
        scheduled = "/hyperparams_states/learning_rate"
        return [
            name
            for name in names
            if name.endswith("/hyperparams/learning_rate")
            and not any(name.rpartition("/hyperparams/")[0] + scheduled in other for other in names)
        ]

    def has_spent_scale(self, subject: Subject, state: State) -> bool:
        """Whether the step skips bad updates by itself; one that is explained was not skipped."""
        return self._step.skips_bad_updates

    def has_collapsed(self, before: Any, after: Any) -> Any:
        """False: there is no loss scale, see `loss_scales`."""
        return False

    def collapsed_scales(
        self, subject: Subject, before: Sequence[Tensor], after: Callable[[int], Tensor]
    ) -> list[str]:
        """None: there is no loss scale, see `loss_scales`."""
        return []
