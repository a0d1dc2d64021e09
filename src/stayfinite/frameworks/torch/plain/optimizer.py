"""A `torch.optim.Optimizer` as an optimizer of a subject."""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stayfinite.frameworks.optimizers import Moments, PlainOptimizer
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain.variables import TorchVariable

# The settings of Keras that reports and remedies name, by their names in `param_groups`.
_SETTINGS = {"learning_rate": "lr", "weight_decay": "weight_decay", "epsilon": "eps"}
_WITH_MOMENTS = (torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam, torch.optim.RAdam)
# The other value of a setting, by the number of its group, its name and its value.
_Replace = Callable[[int, str, Any], Any]
_CLIPS = ("clipnorm", "global_clipnorm", "clipvalue")


class TorchOptimizer(PlainOptimizer):
    """An optimizer with the names of its parameters.

    Its variables are the tensors of its state at the time of construction. A step may add others,
    which the function `held` takes away again.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, names: Mapping[int, str]) -> None:
        self.inner = optimizer
        self._weights = [
            TorchVariable(names.get(id(parameter), f"parameter {number}"), parameter)
            for number, parameter in enumerate(parameters_of(optimizer))
        ]
        self._slots = [
            TorchVariable(f"{self.name}/{weight.path}/{key}", value)
            for weight, parameter in zip(self._weights, parameters_of(optimizer), strict=True)
            for key, value in optimizer.state.get(parameter, {}).items()
            if isinstance(value, torch.Tensor)
        ]
        self._replacements: list[_Replacement] = []

    @property
    def name(self) -> str:
        """Its class in lower case."""
        return self.kind.lower()

    @property
    def kind(self) -> str:
        """Its class in PyTorch."""
        return type(self.inner).__name__

    @property
    def variables(self) -> Sequence[TorchVariable]:
        """The tensors of its state."""
        return list(self._slots)

    @property
    def weights(self) -> Sequence[TorchVariable]:
        """Its parameters under their names in the modules."""
        return list(self._weights)

    @property
    def learning_rate(self) -> float:
        """That of the first group of parameters."""
        return float(self.inner.param_groups[0]["lr"])

    @property
    def epsilon(self) -> tuple[str, float] | None:
        """`eps` of the first group of parameters."""
        given = self.inner.param_groups[0].get("eps")
        return ("eps", float(given)) if isinstance(given, float | int) else None

    def moments(self) -> list[Moments]:
        """Those of Adam and its like; none of any other class, which may define them otherwise."""
        if type(self.inner) not in _WITH_MOMENTS:
            return []
        paths = {variable.path for variable in self._slots}
        decays = [group["betas"] for group in self.inner.param_groups for _ in group["params"]]
        names = [f"{self.name}/{weight.path}/exp_avg" for weight in self._weights]
        pairs = [Moments(each, f"{each}_sq", d) for each, d in zip(names, decays, strict=True)]
        return [pair for pair in pairs if {pair.first, pair.second} <= paths]

    def missing(self) -> list[tuple[str, torch.Tensor]]:
        """The tensors of its state that are no variables: those that a first step has made."""
        known = {id(private.tensor_of(variable)) for variable in self._slots}
        return [
            (f"{self.name}/{weight.path}/{key}", value)
            for weight, parameter in zip(self._weights, parameters_of(self.inner), strict=True)
            for key, value in self.inner.state.get(parameter, {}).items()
            if isinstance(value, torch.Tensor) and id(value) not in known
        ]

    @contextlib.contextmanager
    def settings(self, values: Mapping[str, Any]) -> Iterator[None]:
        """Settings by their names in Keras with other values inside the block."""
        with self._replaced(lambda _, name, value: _given(name, value, values)):
            yield

    @contextlib.contextmanager
    def scaled(self, factor: float, limits: Sequence[float] = ()) -> Iterator[None]:
        """The learning rate of each group times `factor` inside the block, at most its limit.

        A group that was added later has no limit.
        """

        def replace(group: int, name: str, value: Any) -> Any:
            if name != "lr":
                return value
            rate = value * factor
            return min(rate, limits[group]) if group < len(limits) else rate

        with self._replaced(replace):
            yield

    def replace_again(self) -> None:
        """Replace the settings that the step itself has set since the block began."""
        for replacement in self._replacements:
            pairs = zip(self.inner.param_groups, replacement.given, strict=True)
            for number, (group, given) in enumerate(pairs):
                for name, value in given.items():
                    if group[name] is not value:
                        group[name] = replacement.replace(number, name, group[name])

    def schedulers(self) -> list[str]:
        """The classes of the schedulers that were created for it."""
        # An optimizer has no reference to them.
        kinds = [
            type(each).__name__
            for each in gc.get_objects()
            if issubclass(type(each), torch.optim.lr_scheduler.LRScheduler)
            and getattr(each, "optimizer", None) is self.inner
        ]
        return sorted(set(kinds))

    def bad_settings(self) -> list[tuple[str, float]]:
        """The numbers among its settings that are not finite, by their names."""
        found = {}
        for group in self.inner.param_groups:
            for name, value in group.items():
                if isinstance(value, float) or (torch.is_tensor(value) and value.ndim == 0):
                    number = float(value)
                    if not math.isfinite(number):
                        found[name] = number
        return list(found.items())

    @contextlib.contextmanager
    def _replaced(self, replace: _Replace) -> Iterator[None]:
        groups = self.inner.param_groups
        before = [dict(group) for group in groups]
        given = [
            {name: replace(n, name, value) for name, value in group.items() if name != "params"}
            for n, group in enumerate(groups)
        ]
        for group, values in zip(groups, given, strict=True):
            group.update(values)
        self._replacements.append(_Replacement(replace, given))
        try:
            yield
        finally:
            self._replacements.pop()
            for group, kept in zip(groups, before, strict=True):
                group.update(kept)


@dataclass(frozen=True)
class _Replacement:
    """How settings are replaced, and what they became, group by group."""

    replace: _Replace
    given: list[dict[str, Any]]


@contextlib.contextmanager
def held(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """The slots that exist, the settings and the gradients are the same after the block.

    Values of tensors are not put back.
    """
    state = {parameter: copied(own) for parameter, own in optimizer.state.items()}
    groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    parameters = parameters_of(optimizer)
    gradients = [parameter.grad for parameter in parameters]
    try:
        yield
    finally:
        optimizer.state.clear()
        optimizer.state.update(state)
        for group, kept in zip(optimizer.param_groups, groups, strict=True):
            group.update(kept)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient


def copied(slots: Mapping[str, Any]) -> dict[str, Any]:
    """The slots of a parameter; LBFGS has lists of tensors among them."""
    return {k: list(v) if isinstance(v, list) else v for k, v in slots.items()}


def parameters_of(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Its parameters, group after group."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def gradients_of(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """The gradients that it would be given now, dense values of sparse ones."""
    found = []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            gradient = parameter.grad
            if gradient is not None:
                found.append(private.dense_values(gradient) if gradient.is_sparse else gradient)
    return found


def dense_gradient(parameter: torch.Tensor) -> torch.Tensor | None:
    """The gradient of a parameter, also where an embedding gives it as a sparse tensor."""
    gradient = parameter.grad
    return gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient


def clips(values: Mapping[str, Any]) -> dict[str, float]:
    """The clippings among settings."""
    return {name: values[name] for name in _CLIPS if values.get(name) is not None}


def clip(optimizer: torch.optim.Optimizer, clipped: Mapping[str, float]) -> None:
    """Clip the gradients that `optimizer` is about to be given."""
    parameters = [p for p in parameters_of(optimizer) if p.grad is not None]
    if "clipnorm" in clipped:
        for parameter in parameters:
            torch.nn.utils.clip_grad_norm_([parameter], clipped["clipnorm"])
    if "global_clipnorm" in clipped:
        torch.nn.utils.clip_grad_norm_(parameters, clipped["global_clipnorm"])
    if "clipvalue" in clipped:
        torch.nn.utils.clip_grad_value_(parameters, clipped["clipvalue"])


def _given(name: str, value: Any, values: Mapping[str, Any]) -> Any:
    if name in values:
        return values[name]
    for keras_name, own in _SETTINGS.items():
        if own == name and keras_name in values:
            return values[keras_name]
    return value
