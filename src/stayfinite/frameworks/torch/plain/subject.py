"""A loop over `torch.optim` as a subject."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import CodeType

import numpy as np
import torch

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.base import GuardedFunction, OnBad
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import LastingChange
from stayfinite.frameworks.hand_written import PlainStep
from stayfinite.frameworks.library_setting import LibrarySetting, SettingValue
from stayfinite.frameworks.loop_values import LoopValues
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import RandomState, Tensor, Variable
from stayfinite.frameworks.subject import (
    Compilation,
    HeldArray,
    TrainFunction,
    TrainStep,
    state_variables,
)
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain import library_objects
from stayfinite.frameworks.torch.plain.data import LoopData, scalars_of
from stayfinite.frameworks.torch.plain.half_precision import halves_as
from stayfinite.frameworks.torch.plain.held_values import name_of
from stayfinite.frameworks.torch.plain.lasting import lasting_settings
from stayfinite.frameworks.torch.plain.modules import NamedModule
from stayfinite.frameworks.torch.plain.optimizer import TorchOptimizer, clips, parameters_of
from stayfinite.frameworks.torch.plain.other_updates import OtherUpdates
from stayfinite.frameworks.torch.plain.remade import RemadeStep
from stayfinite.frameworks.torch.plain.saved_weights import save_modules, save_tensors
from stayfinite.frameworks.torch.plain.subject_names import SubjectNames, is_of_user
from stayfinite.frameworks.torch.plain.variables import TorchVariable
from stayfinite.graph.graph import Role


class TorchLoop(PlainStep):
    """The modules and the optimizer of one step of a loop.

    The weights are the parameters of the optimizer. Parameters that it does not train, such as
    those of another network in the same loop, and all buffers are the non-trainable variables.

    Args:
        optimizer: The optimizer that the step applies.
        roots: The outermost modules that own its parameters.
        others: Outermost modules that take part in the step beside them.
        remade: Makes the step again.

    Attributes:
        clipped: Clippings in force: `clipnorm`, `global_clipnorm`, `clipvalue`.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        roots: Sequence[NamedModule],
        others: Sequence[NamedModule],
        remade: RemadeStep,
    ) -> None:
        self.roots = list(roots)
        self._others = list(others)
        self.remade = remade
        self.clipped: dict[str, float] = {}
        names = SubjectNames(self.roots, self._others)
        self._names = {id(tensor): name for name, tensor, _ in names.tensors}
        self.optimizer = TorchOptimizer(optimizer, self._names)
        trained = {id(parameter) for parameter in parameters_of(optimizer)}
        rest = [entry for entry in names.tensors if id(entry[1]) not in trained]
        self._rest = [TorchVariable(name, tensor) for name, tensor, _ in rest]
        self._rest_roles: list[Role] = [role for _, _, role in rest]
        self._own = [
            number
            for number, (_, tensor, role) in enumerate(rest)
            if role == "statistics" and is_of_user(tensor, self.roots)
        ]
        self._paths = names.paths

    @property
    def modules(self) -> list[torch.nn.Module]:
        """The outermost modules of the step."""
        return [each.module for each in (*self.roots, *self._others)]

    def kept_alive(self) -> TorchLoop:
        """The subject itself, which refers to its modules."""
        return self

    @property
    def library(self) -> str:
        """PyTorch, without Keras."""
        return "torch"

    def attach(self, recorder: Recorder, on_bad: OnBad, *, resumes: bool) -> GuardedFunction:
        """Never: a loop is guarded by hooks in PyTorch.

        Raises:
            CannotGuardError: always.
        """
        raise CannotGuardError("a loop over torch.optim has no train function to guard")

    @property
    def fixed_rate(self) -> WhyNot | None:
        """None: the optimizer has its learning rate in `param_groups`."""
        return None

    @property
    def name(self) -> str:
        """The name of the first module."""
        return self.roots[0].name if self.roots else self.optimizer.name

    @property
    def kind(self) -> str:
        """The class of the first module."""
        return type(self.roots[0].module).__name__ if self.roots else "parameters"

    @property
    def trainable_variables(self) -> list[Variable]:
        """The parameters of the optimizer."""
        return list(self.optimizer.weights)

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Other parameters, and all buffers."""
        return list(self._rest)

    @property
    def optimizers(self) -> Sequence[TorchOptimizer]:
        """The one that the step applies."""
        return [self.optimizer]

    @property
    def train_step(self) -> TrainStep:
        """The step of the user's loop on its data, with the update."""
        return functools.partial(self.remade.make, self)

    @property
    def compilation(self) -> Compilation:
        """Eager: a replay does not compile."""
        return Compilation(eager=True)

    def roles(self) -> list[list[Role]]:
        """Buffers are statistics."""
        slots = self.optimizer.variables
        return [
            ["weight"] * len(self.optimizer.weights),
            self._rest_roles,
            ["optimizer"] * len(slots),
            [],
        ]

    def may_keep_infinity(self) -> list[int]:
        """Buffers of the user's modules, such as a mask of infinities."""
        first = len(self.trainable_variables)
        return [first + position for position in self._own]

    @contextlib.contextmanager
    def settings(self, values: Mapping[str, object]) -> Iterator[None]:
        """Settings of the optimizer by their names in Keras, and clippings."""
        outer, self.clipped = self.clipped, clips(values)
        try:
            with self.optimizer.settings(values):
                yield
        finally:
            self.clipped = outer

    def library_settings(self) -> list[LibrarySetting]:
        """Those of the trainer, of models and of modules of installed libraries."""
        return library_objects.settings(self.remade.trainer, self.modules, self._paths)

    @contextlib.contextmanager
    def library_value(self, setting: LibrarySetting, value: SettingValue) -> Iterator[None]:
        """One of `library_settings` with another value."""
        objects = self.remade.trainer, self.modules
        with library_objects.replaced_value(*objects, setting, value):
            yield

    @contextlib.contextmanager
    def half_as(self, dtype: str) -> Iterator[None]:
        """Variables and operations in half precision as `dtype`."""
        with halves_as(dtype, self.optimizer.inner, state_variables(self)):
            yield

    @functools.cached_property
    def _other_updates(self) -> OtherUpdates:
        return self.remade.other_updates(self)

    @property
    def tensor_names(self) -> Mapping[int, str]:
        """The name of each tensor of the modules, by its identity."""
        return self._names

    def whole_iteration(self) -> AbstractContextManager[None] | None:
        """With the updates of the other optimizers; None where none trains a part of the step."""
        others = self._other_updates
        return self.remade.with_others(others) if others.are_there else None

    @property
    def is_iteration_whole(self) -> bool:
        """Whether each of these optimizers was applied in a run."""
        return self._other_updates.are_complete

    @contextlib.contextmanager
    def scaled_learning_rates(self, factor: float) -> Iterator[None]:
        """The learning rate of each group times `factor`."""
        with self.optimizer.scaled(factor):
            yield

    def layer_path(self, chain: Sequence[object]) -> str | None:
        """The qualified name of the innermost module in `chain`."""
        for called in reversed(chain):
            path = self._paths.get(id(called))
            if path is not None:
                return path
        return None

    def make_train_function(self, step: TrainStep | None = None) -> TrainFunction:
        """The step itself: nothing compiles it."""
        return step or self.train_step

    def prepare(self, data: object) -> None:
        """Make the slots of the optimizer, for the weights that have a gradient.

        The weights get other values.
        """
        for parameter in parameters_of(self.optimizer.inner):
            if parameter.grad is not None:
                parameter.grad = torch.zeros_like(parameter.grad)
        with self.remade.unobserved():
            self.optimizer.inner.step()
        self.optimizer = TorchOptimizer(self.optimizer.inner, self._names)

    def loop_values(self, data: object) -> LoopValues | None:
        """The numbers and strings of its names, its learning rates and its loss scale."""
        assert isinstance(data, LoopData)
        rates = tuple(str(float(group["lr"])) for group in self.optimizer.inner.param_groups)
        return LoopValues(
            tuple(scalars_of(each) for each in data.iterations), rates, self.remade.scale
        )

    def with_loop_values(
        self, data: object, values: LoopValues, random: RandomState | None
    ) -> object:
        """`data` with the values of another step; the learning rates and the scale are set."""
        assert isinstance(data, LoopData)
        for group, rate in zip(self.optimizer.inner.param_groups, values.rates, strict=False):
            group["lr"] = float(rate)
        if values.scale is not None:
            self.remade.set_scale(float(values.scale))
        return data.as_in(values.iterations, random)

    def without_samples(self, batch: Batch, samples: Sequence[int]) -> object:
        """The data of `batch` with other samples of it in the place of `samples`."""
        data, other = batch.data, batch.without(samples).data
        assert isinstance(data, LoopData) and isinstance(other, LoopData)
        pairs = zip(data.leaves(), other.leaves(), strict=True)
        return data.with_leaves([_alike(old, new) for (_, old), (_, new) in pairs])

    def lasting(self, change: LastingChange) -> Callable[[], None]:
        """What has the optimizer applied with `change` from now on, whatever its loop sets."""
        return functools.partial(lasting_settings(self.optimizer.inner).add, change)

    def holder_of(
        self, array: np.ndarray, codes: Sequence[CodeType], data: object
    ) -> HeldArray | None:
        """A name that the loop reads."""
        return name_of(array, data) if isinstance(data, LoopData) else None

    def save_weights(self, path: Path) -> None:
        """Write the state of each module, which its `load_state_dict` takes.

        That of a further module is in a file with its name: `last_good.encoder.safetensors`.
        Without a module, the parameters of the optimizer are written. Of sharded weights each
        process writes its part.
        """
        save_modules(self.roots, self._others, path)
        if not self.roots:
            save_tensors({v.path: private.tensor_of(v) for v in self.optimizer.weights}, path)


def _alike(old: Tensor, new: Tensor) -> Tensor:
    """`new` as a tensor on the device of `old`, if that is one."""
    if not isinstance(old, torch.Tensor):
        return new
    return torch.as_tensor(new, dtype=old.dtype, device=old.device)
