"""Every private name of Keras that all backends use, and what is built on them.

Each is reached through one small function here. A name that a release of Keras does not have raises
`CannotGuardError` with the release and the name. `tests/frameworks/test_keras_private.py` exercises
each of them, and `tests/frameworks/test_private_names.py` finds private names elsewhere.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import keras

from stayfinite.errors import CannotGuardError
from stayfinite.files.writing import put
from stayfinite.frameworks.attributes import set_attribute
from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.subject import Layer, Subject, state_variables
from stayfinite.graph.graph import Role

__all__ = [
    "BaseOptimizer",
    "EpochIterator",
    "LossScaleOptimizer",
    "before_state_sync",
    "build_for",
    "callbacks_at_work",
    "collapsed_scales",
    "dataset_at_work",
    "epoch_iterator_at_work",
    "epoch_of_backup",
    "flatten_layers",
    "global_seed",
    "has_collapsed",
    "has_fallen",
    "is_keras_schedule",
    "is_spent",
    "keep_stored_state",
    "layer_at",
    "learning_rate_of",
    "loss_scales",
    "losses_seen",
    "make_global_seed",
    "may_keep_infinity",
    "note_shardings",
    "optimizers_of",
    "own_statistics",
    "owner_of",
    "required",
    "roles",
    "scaled_learning_rate",
    "scaled_learning_rates",
    "settings",
    "start_at_epoch",
    "symbolic_build",
    "uses_default_metrics",
    "uses_default_train_step",
    "variables_of",
]


def required(owner: Any, name: str) -> Any:
    """The attribute `name` of a Keras object or class.

    Raises:
        CannotGuardError: This release of Keras has no such attribute.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        raise _missing(owner, name) from None


def owner_of(owner: type, name: str) -> Any:
    """The class among the bases of `owner` that defines `name`, where a hook reaches all of them.

    Raises:
        CannotGuardError: This release of Keras has no such attribute.
    """
    for base in owner.__mro__:
        if name in vars(base):
            return base
    raise _missing(owner, name)


def _missing(owner: Any, name: str) -> CannotGuardError:
    kind = owner if isinstance(owner, type) else type(owner)
    return CannotGuardError(
        f"Keras {keras.__version__} has no `{kind.__name__}.{name}`, which stayfinite needs; "
        "install a release of Keras that docs/versions.md lists"
    )


LossScaleOptimizer = keras.optimizers.LossScaleOptimizer
# The public `Optimizer` inherits `apply`, so hooks of it belong on its base.
BaseOptimizer = owner_of(keras.optimizers.Optimizer, "apply")


def flatten_layers(model: Any) -> list[Any]:
    """Every layer inside a model, nested ones too.

    Private: `layers` leaves out those that a layer of the user's own holds as attributes.
    """
    return list(required(model, "_flatten_layers")())


def variables_of(optimizer: Any) -> list[Any]:
    """The variables that an optimizer was built for, in the order of gradients without variables.

    Private: needed where a train step calls `apply` with gradients only. The loss scale of
    Keras 3.8 builds only the optimizer inside it.
    """
    while isinstance(optimizer, LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return list(required(optimizer, "_trainable_variables"))


def learning_rate_of(optimizer: Any) -> Any:
    """The learning rate as it was set: a variable, a schedule or a function of the user's own.

    Private: `learning_rate` gives the present number, and calls the function for it.
    """
    return required(optimizer, "_learning_rate")


def is_keras_schedule(rate: Any) -> bool:
    """Whether a learning rate is a schedule of Keras's own, which is free of side effects."""
    return any(type(rate) is kind for kind in vars(keras.optimizers.schedules).values())


def dataset_at_work() -> Any:
    """The `PyDataset` that the innermost `fit` on this thread was given; None if it has none."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "fit" and isinstance(frame.f_locals.get("self"), keras.Model):
            data = frame.f_locals.get("x")
            return data if isinstance(data, keras.utils.PyDataset) else None
        frame = frame.f_back
    return None


def callbacks_at_work() -> Any:
    """The list of callbacks that is calling one of them on this thread; None if none is."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, keras.callbacks.CallbackList):
            return owner
        frame = frame.f_back
    return None


def write_to_board(
    board: Any, tag: str, text: str, step: int, charts: Mapping[str, Sequence[tuple[int, float]]]
) -> None:
    """Write a text in Markdown, and charts, into the log of the `TensorBoard` callback `board`.

    Private: Keras opens its file of events under this name only.

    Args:
        board: The callback.
        tag: The name of the text, and of the group of the charts.
        text: The text.
        step: Its step.
        charts: Step and value of each point, by the name of the chart.

    Raises:
        Exception: what TensorFlow raises where TensorBoard is not installed or the disk is full.
    """
    writer = required(board, "_train_writer")
    with writer.as_default():
        board.summary.text(tag, text, step=step)
        for name, points in charts.items():
            for number, value in points:
                board.summary.scalar(f"{tag}/{name}", value, step=number)
    writer.flush()


def epoch_iterator_at_work() -> EpochIterator | None:
    """The iterator over the data of the `fit` that called this function; None outside `fit`."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        iterator = frame.f_locals.get("epoch_iterator")
        if iterator is not None and hasattr(iterator, "_enumerate_iterator"):
            return EpochIterator(iterator)
        frame = frame.f_back
    return None


class EpochIterator:
    """The object that gives a `fit` its batches, epoch after epoch.

    Private: Keras has no other place at which the callbacks of a step are done, and none to leave
    out batches.
    """

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self.steps_per_execution: int = iterator.steps_per_execution
        self.plain: Callable[[], Iterator[Any]] = required(iterator, "_enumerate_iterator")

    def replace(self, enumeration: Callable[[], Iterator[Any]]) -> None:
        """Have each epoch enumerated by `enumeration`, which gives what `plain` gives."""
        self._iterator._enumerate_iterator = enumeration

    @property
    def num_batches(self) -> int | None:
        """Batches of an epoch, if known."""
        number: int | None = self._iterator.num_batches
        return number

    @property
    def under_way(self) -> Any:
        """The iterator over batches that an epoch of `steps_per_epoch` goes on with; or None."""
        goes_on = self.is_begun and self._iterator._steps_seen
        return self._iterator._current_iterator if goes_on else None

    @property
    def spans_epochs(self) -> bool:
        """Whether an iterator over batches is used for several epochs."""
        return bool(self._iterator.steps_per_epoch)

    @property
    def is_begun(self) -> bool:
        """Whether the iterator of the next epoch has been made, be it without a batch drawn."""
        return self.spans_epochs and self._iterator._current_iterator is not None

    def begin_under_way(self, num_drawn: int) -> Any:
        """Make such an iterator, of which so many batches will have been drawn."""
        batches = iter(self._iterator._get_iterator())
        self._iterator._current_iterator, self._iterator._steps_seen = batches, num_drawn
        return batches

    def until_exhausted(self) -> Any:
        """A context in which the end of the data ends the epoch, as in `fit`."""
        return self._iterator.catch_stop_iteration()

    @property
    def adapter(self) -> str:
        """The name of the class that adapts the data of the user."""
        return type(self._iterator.data_adapter).__name__

    @property
    def shuffles(self) -> bool:
        """Whether arrays are shuffled."""
        return bool(getattr(self._iterator.data_adapter, "_shuffle", False))

    @property
    def source(self) -> Any:
        """The object of the user that gives the batches; None for arrays and generators."""
        held = vars(self._iterator.data_adapter)
        names = ("py_dataset", "_dataloader", "_dataset")
        return next((held[name] for name in names if name in held), None)

    @property
    def element_spec(self) -> Any:
        """The form of a batch on TensorFlow, where a model may be built by its first step."""
        return required(self._iterator, "_distributed_dataset").element_spec


def build_for(model: Any, iterator: EpochIterator) -> None:
    """Make all variables of `model`, those of its optimizer and metrics included."""
    if keras.backend.backend() == "tensorflow":
        # The other trainers have done so before the callbacks are called.
        required(model, "_symbolic_build")(data_batch=iterator.element_spec)


def start_at_epoch(model: Any, epoch: int | None) -> None:
    """Have the `fit` that has begun start at `epoch`, counted from 0; None for its own."""
    required(model, "_initial_epoch")
    model._initial_epoch = epoch


def global_seed() -> Any:
    """The variable of the generator that Keras draws from without a seed; None if not in use."""
    generator = _global_state().get_global_attribute(_GLOBAL_SEED)
    return None if generator is None else generator.state


def make_global_seed() -> Any:
    """The same variable, made if it is not there."""
    from keras.src.random.seed_generator import global_seed_generator

    return global_seed_generator().state


_GLOBAL_SEED = "global_seed_generator"


def _global_state() -> Any:
    from keras.src.backend.common import global_state

    return global_state


@contextlib.contextmanager
def epoch_of_backup(callback: Any, is_saved: Callable[[], bool]) -> Iterator[None]:
    """Inside the block, `BackupAndRestore` writes the number of its epoch to a file beside its own.

    At the end the file is put in the place of its own if it has changed and `is_saved()`.

    Private: the callback has no other place to say where that file is.
    """
    there = required(callback, "_training_metadata_path")
    if "://" in there:  # not a file of this machine
        yield
        return
    new = Path(f"{there}.new")
    with contextlib.suppress(FileNotFoundError):
        # The callback may keep a second backup, which it makes of the first.
        shutil.copy(there, new)
    before = new.read_bytes() if new.exists() else b""
    callback._training_metadata_path = str(new)
    try:
        yield
        if new.exists() and is_saved() and new.read_bytes() != before:
            put(new, Path(there))
    finally:
        callback._training_metadata_path = there
        new.unlink(missing_ok=True)


def layer_at(layers: Sequence[Layer], path: str) -> Layer | None:
    """The layer whose path is `path`; None where there is none.

    The path of an op begins with the name of the model, that of a layer or weight may not.
    """
    for layer in layers:
        if getattr(layer, "path", None) == path:
            return layer
    name = path.rpartition("/")[2]
    named = [layer for layer in layers if layer.name == name]
    return named[0] if len(named) == 1 else None


def uses_default_train_step(model: Any) -> bool:
    """Whether the train step of a model is Keras's own, so that only metrics follow the update."""
    step = getattr(model.train_step, "__func__", None)
    return step is keras.Model.train_step


def uses_default_metrics(model: Any) -> bool:
    """Whether `compute_metrics` of a model is Keras's own."""
    compute = getattr(model.compute_metrics, "__func__", None)
    return compute is keras.Model.compute_metrics


def keep_stored_state(model: Any) -> None:
    """Keep `fit` on JAX from overwriting the variables with its own copy of the state.

    Private: `fit` holds the state itself, and writes it to the variables at its end.
    """
    required(model, _STATE_SYNCED)
    model._jax_state_synced = True


_STATE_SYNCED = "_jax_state_synced"


def before_state_sync(tell: Callable[[Any], None]) -> None:
    """From now on, call `tell(model)` before a model on JAX takes over the state of its `fit`.

    Whoever reads or saves a model in the middle of `fit` has this done first. `tell` is a function
    of a module; once it is installed, it stays.
    """
    if tell in _told_of_sync:
        return
    owner = owner_of(keras.Model, "jax_state_sync")
    plain = owner.jax_state_sync

    @functools.wraps(plain)
    def jax_state_sync(model: Any) -> None:
        if not model._jax_state_synced:
            tell(model)
        plain(model)

    owner.jax_state_sync = jax_state_sync
    _told_of_sync.append(tell)


_told_of_sync: list[Callable[[Any], None]] = []


def optimizers_of(model: Any) -> list[Any]:
    """Every optimizer that a model holds: its compiled one, then those of its own attributes.

    A generative adversarial network has two. The optimizer inside a `LossScaleOptimizer` is not
    listed: its variables are among those of the outer one.
    """
    found: list[Any] = []
    for candidate in (model.optimizer, *vars(model).values()):
        if isinstance(candidate, BaseOptimizer) and not any(o is candidate for o in found):
            found.append(candidate)
    inner = [o.inner_optimizer for o in found if isinstance(o, LossScaleOptimizer)]
    return [o for o in found if not any(o is i for i in inner)]


def loss_scales(optimizers: Sequence[Any]) -> list[int]:
    """Where in the optimizer variables of a state the scales of `LossScaleOptimizer` are."""
    found: list[int] = []
    first = 0
    for optimizer in optimizers:
        variables = optimizer.variables
        if isinstance(optimizer, LossScaleOptimizer) and optimizer.built:
            scale = optimizer.dynamic_scale
            found += [first + n for n, v in enumerate(variables) if v is scale]
        first += len(variables)
    return found


def loss_scale_paths(optimizers: Sequence[Any]) -> list[str]:
    """The paths of the variables at `loss_scales`."""
    variables = [variable for optimizer in optimizers for variable in optimizer.variables]
    return [variables[n].path for n in loss_scales(optimizers)]


def loss_scale(optimizers: Sequence[Any]) -> float | None:
    """The scale of the first optimizer, if it is a `LossScaleOptimizer`."""
    first = optimizers[0] if optimizers else None
    if not isinstance(first, LossScaleOptimizer) or not first.built:
        return None
    return float(keras.ops.convert_to_numpy(first.dynamic_scale))


def inner_optimizer(optimizer: Any) -> Any:
    """The optimizer inside a `LossScaleOptimizer`; any other optimizer itself."""
    return optimizer.inner_optimizer if isinstance(optimizer, LossScaleOptimizer) else optimizer


def has_fallen(before: Any, after: Any) -> Any:
    """Whether a step was skipped to lower a loss scale, as the backend's boolean."""
    return after < before


def is_spent(scale: Any) -> bool:
    """Whether a loss scale is at its minimum, so that a step which it skips is bad."""
    return float(scale) <= 1.0


def collapsed_scales(
    optimizers: Sequence[Any], before: Sequence[Any], after: Callable[[int], Any]
) -> list[str]:
    """The paths of the loss scales for which `has_collapsed` is true.

    `before` are the optimizer variables of a state; `after(n)` is what number `n` of them became.
    """
    variables = [variable for optimizer in optimizers for variable in optimizer.variables]
    # As numbers: a step in float64 has another dtype than the state.
    return [
        variables[n].path
        for n in loss_scales(optimizers)
        if has_collapsed(float(before[n]), float(after(n)))
    ]


def has_collapsed(before: Any, after: Any) -> Any:
    """Whether a step halved a loss scale that was already at its minimum, as the backend's boolean.

    Gradients that overflow are the normal way of finding the scale. If they are not finite although
    the loss was not magnified at all, it is not the scale that made them so, and every further
    step is skipped, too.
    """
    return (after < 1.0) & (after < before)


def roles(subject: Subject) -> list[list[Role]]:
    """The role of each variable of `state_variables(subject)`.

    A frozen weight is non-trainable, but not a moving statistic.
    """
    trainable, others, of_optimizers, of_metrics = state_variables(subject)
    frozen = {
        id(variable)
        for layer in subject.layers()
        for variable in required(layer, "_trainable_variables")
    }
    return [
        ["weight"] * len(trainable),
        ["weight" if id(variable) in frozen else "statistics" for variable in others],
        ["optimizer"] * len(of_optimizers),
        ["metric"] * len(of_metrics),
    ]


def own_statistics(subject: Subject) -> list[int]:
    """Positions in the non-trainable state of the statistics that no layer of Keras keeps."""
    of_keras = _variables_of_keras(subject)
    group = subject.non_trainable_variables
    return [
        position
        for position, (variable, role) in enumerate(zip(group, roles(subject)[1], strict=True))
        if role == "statistics" and id(variable) not in of_keras
    ]


def may_keep_infinity(subject: Subject) -> list[int]:
    """Positions, among trainable and then other variables, of those that no layer of Keras has.

    Such a variable may hold an infinity on purpose: the bound of a clip, a minimum so far. A kernel
    or a moving mean of Keras may not.
    """
    of_keras = _variables_of_keras(subject)
    variables = [*subject.trainable_variables, *subject.non_trainable_variables]
    return [number for number, variable in enumerate(variables) if id(variable) not in of_keras]


def _variables_of_keras(subject: Subject) -> set[int]:
    return {
        id(variable)
        for layer in subject.layers()
        if type(layer).__module__.partition(".")[0] == "keras"
        for held in ("_trainable_variables", "_non_trainable_variables")
        for variable in required(layer, held)
    }


def symbolic_build(model: Any, data: Any) -> None:
    """Build layers, metrics and optimizer for the shapes of `data`, without computing anything.

    Private: `fit` calls it before its first step; on TensorFlow not always.
    """
    required(model, "_symbolic_build")(data_batch=data)


@contextlib.contextmanager
def settings(subject: Subject, values: Mapping[str, Any]) -> Iterator[None]:
    """Attributes of the optimizers of `subject` with other values inside the block.

    A number for `learning_rate` also replaces a schedule. `constraint` is set on
    each trainable weight. An optimizer that has no such attribute is left as it is.
    """
    with contextlib.ExitStack() as stack:
        for outer in subject.optimizers:
            inner = outer.inner_optimizer if isinstance(outer, LossScaleOptimizer) else outer
            for name, value in values.items():
                if name == "learning_rate":
                    # Not a default argument: a schedule is called without any.
                    rate = _constant(value)
                    stack.enter_context(_learning_rate_function(inner, rate))
                elif hasattr(inner, name):
                    stack.enter_context(set_attribute(inner, name, value))
        if "constraint" in values:
            variables: list[Any] = subject.trainable_variables
            for variable in variables:
                stack.callback(setattr, variable, "constraint", variable.constraint)
                variable.constraint = values["constraint"]
        yield


# Private: a schedule can be replaced temporarily only in the method that reads the rate.
_CURRENT_RATE = "_get_current_learning_rate"


def _learning_rate_function(optimizer: Any, rate: Callable[[], Any]) -> Any:
    required(optimizer, _CURRENT_RATE)
    return set_attribute(optimizer, _CURRENT_RATE, rate)


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


@contextlib.contextmanager
def scaled_learning_rate(optimizer: Any, factor: float) -> Iterator[None]:
    """The learning rate of `optimizer` times `factor` inside the block, schedules included."""
    target = optimizer.inner_optimizer if isinstance(optimizer, LossScaleOptimizer) else optimizer
    plain = required(target, _CURRENT_RATE)
    with _learning_rate_function(target, lambda: plain() * factor):
        yield


@contextlib.contextmanager
def scaled_learning_rates(subject: Subject, factor: float) -> Iterator[None]:
    """`scaled_learning_rate` for every optimizer of `subject`."""
    with contextlib.ExitStack() as stack:
        for optimizer in subject.optimizers:
            stack.enter_context(scaled_learning_rate(optimizer, factor))
        yield


def note_shardings(train_step: Callable[..., Any]) -> None:
    """Record the sharding of the variables, which the train step of Keras before 3.13 reads.

    Private: `fit`, `train_on_batch` and the like record it, and delete it at their end.
    """
    model = getattr(train_step, "__self__", None)
    record = getattr(model, "_record_training_state_sharding_spec", None)
    if record is not None and getattr(model, "_trainable_variable_shardings", None) is None:
        record()


@contextlib.contextmanager
def losses_seen(tell: Callable[[Any], None]) -> Iterator[None]:
    """Call `tell(loss)` when the train step of Keras adds a loss to its running mean.

    Private: `compute_loss` is public, but runs while JAX differentiates, so that the value which it
    returns cannot leave that trace.
    """

    def on_metrics(plain: Callable[..., Any]) -> Callable[..., Any]:
        def update_metrics(self: Any, metrics: Any, loss: Any, *args: Any, **kwargs: Any) -> Any:
            tell(loss)
            return plain(self, metrics, loss, *args, **kwargs)

        return update_metrics

    def on_tracker(plain: Callable[..., Any]) -> Callable[..., Any]:
        def update_state(self: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
            if self.name == "loss":
                tell(values)
            return plain(self, values, *args, **kwargs)

        return update_state

    if hasattr(keras.Model, _UPDATE_METRICS):
        owner = owner_of(keras.Model, _UPDATE_METRICS)
        hook = (owner, _UPDATE_METRICS, on_metrics)
    else:
        # Keras 3.8 updates its loss tracker in the train step itself.
        hook = (keras.metrics.Mean, "update_state", on_tracker)
    with replaced([hook]):
        yield


_UPDATE_METRICS = "_update_metrics_variables"
