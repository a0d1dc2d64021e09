"""A hand-written step that trains a Keras model, as a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from stayfinite.errors import UsageError
from stayfinite.frameworks import base
from stayfinite.frameworks.hand_written import HandWrittenStep
from stayfinite.frameworks.keras.subject import KerasSubject
from stayfinite.frameworks.loss_log import LoggedLoss
from stayfinite.frameworks.optimizers import Optimizer
from stayfinite.frameworks.state import Variable
from stayfinite.frameworks.subject import Compilation, Subject, TrainFunction, TrainStep


def keras_loop(step: Callable[..., Any], model: Any, optimizer: Any) -> KerasLoop:
    """The loop of a step of the user's own, as the framework of Keras takes it.

    Raises:
        UsageError: `optimizer` is not one of Keras, nor a list of them.
    """
    optimizers = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    for each in optimizers:
        if not isinstance(each, keras.optimizers.Optimizer):
            raise UsageError(
                f"optimizer={each!r:.60} is not a keras.optimizers.Optimizer; pass the optimizer "
                "that the step uses, or a list of them"
            )
        if not each.built:
            each.build(model.trainable_variables)
    kind = KerasStatelessLoop if base.current().is_stateless else KerasLoop
    return kind(step, model, optimizers)


class KerasLoop(HandWrittenStep, KerasSubject):
    """A hand-written step that changes the variables of a model in place.

    Args:
        step: The user's step, called with a batch.
        model: The Keras model that it trains.
        optimizers: The optimizers that it applies, at least one.

    Attributes:
        before_step: Called with the loop before each step of any loop.
    """

    before_step: Callable[[Subject], object] = staticmethod(lambda subject: None)

    def __init__(self, step: Callable[..., Any], model: Any, optimizers: Sequence[Any]) -> None:
        backend = base.current()
        self._backend = backend
        self._model = model
        self._optimizers = list(optimizers)
        self._step = backend.uncompiled(step)
        self._compilation = backend.compilation(step)
        self._takes_one_argument = False

    @property
    def model(self) -> Any:
        """The model."""
        return self._model

    def kept_alive(self) -> KerasLoop:
        """The loop itself, which refers to its model."""
        return self

    @property
    def optimizers(self) -> list[Optimizer]:
        """As they were given."""
        return list(self._optimizers)

    @property
    def train_step(self) -> TrainStep:
        """The user's step on one batch."""
        return self._call

    @property
    def compilation(self) -> Compilation:
        """As the user compiled the step."""
        return self._compilation

    def make_train_function(self, step: TrainStep | None = None) -> TrainFunction:
        """Compile `step` as the user compiled the step of the loop."""
        function = self._backend.compiled(step or self.train_step, self._compilation)
        self.train_function = function
        return function

    def call(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Make one guarded step with the arguments of the user's call; returns its result.

        Raises:
            UsageError: there are keyword arguments.
        """
        assert self.train_function is not None
        _require_positional(keywords)
        batch = self._batch_of(args)
        self.before_step(self)
        return self.train_function(self._backend.one_batch(batch))

    def bad_loss(self) -> LoggedLoss | None:
        """None: a step with a non-finite loss is bad."""
        return None

    def _call(self, data: Any) -> Any:
        return self._step(data) if self._takes_one_argument else self._step(*data)

    def _batch_of(self, args: tuple[Any, ...]) -> Any:
        """The batch: the arguments, or the only one."""
        self._takes_one_argument = len(args) == 1
        return args[0] if self._takes_one_argument else args


class KerasStatelessLoop(KerasLoop):
    """A hand-written step from state to state, as on JAX."""

    def __init__(self, step: Callable[..., Any], model: Any, optimizers: Sequence[Any]) -> None:
        super().__init__(step, model, optimizers)
        self._metrics: list[Variable] = []
        self._structure: Any = None

    @property
    def metrics_variables(self) -> list[Variable]:
        """One for each array of the fourth part of the state, which the user's loop holds."""
        return list(self._metrics)

    @property
    def train_step(self) -> TrainStep:
        """The user's step as Keras has it: `(state, data)` to `(logs, state)`."""
        return self._stateless

    def call(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Make one guarded step; the first argument is the state.

        Raises:
            UsageError: it is not a state of the model and its optimizer, or there are keyword
                arguments.
        """
        assert self.train_function is not None
        _require_positional(keywords)
        state, *rest = args
        parts = self._parts(state)
        if len(self._metrics) != len(parts[3]):
            self._metrics = [_MetricValue(value) for value in parts[3]]
        self._structure = state
        batches = self._backend.one_batch(self._batch_of(tuple(rest)))
        self.before_step(self)
        logs, new = self.train_function(tuple(parts), batches)
        return logs["out"], keras.tree.pack_sequence_as(state, _flat(new))

    def _stateless(self, state: Any, data: Any) -> Any:
        packed = keras.tree.pack_sequence_as(self._structure, _flat(state))
        one = self._takes_one_argument
        out, new = self._step(packed, data) if one else self._step(packed, *data)
        return {"loss": _loss_of(out), "out": out}, tuple(self._parts(new))

    def _parts(self, state: Any) -> list[list[Any]]:
        """`state` as Keras's four lists; a fourth part, of metrics, may be missing."""
        expected = (
            len(self.trainable_variables),
            len(self.non_trainable_variables),
            len(self.optimizers[0].variables),
        )
        parts = [list(part) for part in state] if isinstance(state, tuple | list) else []
        if len(parts) not in (3, 4) or tuple(map(len, parts[:3])) != expected:
            raise UsageError(
                "the state of a guarded step has to be (trainable, non-trainable, optimizer "
                f"variables) of the model and its optimizer, of lengths {expected}; received "
                f"{tuple(map(len, parts)) or type(state).__name__}"
            )
        return [*parts, *[[]] * (4 - len(parts))]


class _MetricValue:
    """The value of a metric that the user's loop holds; a `Variable`."""

    path = "metric"

    def __init__(self, value: Any) -> None:
        self.value = value

    def assign(self, value: Any) -> None:
        self.value = value


def _require_positional(keywords: Mapping[str, Any]) -> None:
    if keywords:
        raise UsageError(
            f"a guarded step of a Keras model takes positional arguments only; received "
            f"{', '.join(f'{name}=' for name in keywords)}"
        )


def _flat(state: Any) -> list[Any]:
    return [value for part in state for value in part]


def _loss_of(out: Any) -> Any:
    if isinstance(out, dict):
        return out.get("loss")
    return out[0] if isinstance(out, tuple | list) else out
