"""Every private name of Keras that all backends use, and what is built on them.

Each is reached through one small function here, or in `private_epochs.py`. A name that a release of
Keras does not have raises `CannotGuardError` with the release and the name.
`tests/frameworks/test_keras_private.py` exercises each of them, and
`tests/frameworks/test_private_names.py` finds private names elsewhere.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.attributes import set_attribute
from stayfinite.frameworks.keras.patches import replaced

__all__ = [
    "BaseOptimizer",
    "LossScaleOptimizer",
    "before_state_sync",
    "flatten_layers",
    "global_seed",
    "is_keras_schedule",
    "is_stateless",
    "keep_state_of_fit",
    "keep_stored_state",
    "learning_rate_of",
    "losses_seen",
    "make_global_seed",
    "note_shardings",
    "owner_of",
    "required",
    "symbolic_build",
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


def is_stateless() -> bool:
    """Whether variables stand for values of a state that a function is given, as on JAX.

    Private: an update must know whether it may change variables.
    """
    return _global_state().get_global_attribute("stateless_scope") is not None


def is_keras_schedule(rate: Any) -> bool:
    """Whether a learning rate is a schedule of Keras's own, which is free of side effects."""
    return any(type(rate) is kind for kind in vars(keras.optimizers.schedules).values())


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


def global_seed() -> Any:
    """The variable of the generator that Keras draws from without a seed; None if not in use."""
    generator = _global_state().get_global_attribute(_GLOBAL_SEED)
    return None if generator is None else generator.state


def make_global_seed() -> Any:
    """The same variable, made if it is not there."""
    from keras.src.random.seed_generator import global_seed_generator

    return global_seed_generator().state


_GLOBAL_SEED = "global_seed_generator"


def is_in_layer() -> bool:
    """Whether a layer is being called in this thread."""
    return _global_state().get_global_attribute("current_call_ctx") is not None


def _global_state() -> Any:
    from keras.src.backend.common import global_state

    return global_state


def keep_stored_state(model: Any) -> None:
    """Keep `fit` on JAX from overwriting the variables with its own copy of the state.

    Private: `fit` holds the state itself, and writes it to the variables at its end.
    """
    required(model, _STATE_SYNCED)
    model._jax_state_synced = True


def keep_state_of_fit(model: Any) -> None:
    """Undo `keep_stored_state`: `fit` writes its copy, which is a newer one, to the variables."""
    model._jax_state_synced = False


_STATE_SYNCED = "_jax_state_synced"


def before_state_sync(notify: Callable[[Any], None]) -> None:
    """From now on, call `notify(model)` before a model on JAX takes over the state of its `fit`.

    This happens before code reads or saves the model in the middle of `fit`. `notify` is a function
    of a module; once it is installed, it stays.
    """
    if notify in _notified_of_sync:
        return
    owner = owner_of(keras.Model, "jax_state_sync")
    plain = owner.jax_state_sync

    @functools.wraps(plain)
    def jax_state_sync(model: Any) -> None:
        if not model._jax_state_synced:
            notify(model)
        plain(model)

    owner.jax_state_sync = jax_state_sync
    _notified_of_sync.append(notify)


_notified_of_sync: list[Callable[[Any], None]] = []


def symbolic_build(model: Any, data: Any) -> None:
    """Build layers, metrics and optimizer for the shapes of `data`, without computing anything.

    Private: `fit` calls it before its first step; on TensorFlow not always.
    """
    required(model, "_symbolic_build")(data_batch=data)


# Private: a schedule can be replaced temporarily only in the method that reads the rate.
_CURRENT_RATE = "_get_current_learning_rate"


def current_learning_rate(optimizer: Any) -> Callable[[], Any]:
    """What gives the learning rate of the present step, that of a schedule too."""
    rate: Callable[[], Any] = required(optimizer, _CURRENT_RATE)
    return rate


def learning_rate_by(optimizer: Any, rate: Callable[[], Any]) -> AbstractContextManager[None]:
    """Inside the block, `rate` gives the learning rate of each step."""
    required(optimizer, _CURRENT_RATE)
    return set_attribute(optimizer, _CURRENT_RATE, rate)


def variables_of_layer(layer: Any, *, trained: bool) -> list[Any]:
    """The trained, or the other, variables that a layer has made, without those of layers in it.

    Private: `trainable_variables` leaves out those of a frozen layer.
    """
    return list(required(layer, "_trainable_variables" if trained else "_non_trainable_variables"))


def note_shardings(train_step: Callable[..., Any]) -> None:
    """Record the sharding of the variables, which the train step of Keras before 3.13 reads.

    Private: `fit`, `train_on_batch` and the like record it, and delete it at their end.
    """
    model = getattr(train_step, "__self__", None)
    record = getattr(model, "_record_training_state_sharding_spec", None)
    if record is not None and getattr(model, "_trainable_variable_shardings", None) is None:
        record()


@contextlib.contextmanager
def losses_seen(notify: Callable[[Any], None]) -> Iterator[None]:
    """Call `notify(loss)` when the train step of Keras adds a loss to its running mean.

    Private: `compute_loss` is public, but runs while JAX differentiates, so that the value which it
    returns cannot leave that trace.
    """

    def on_metrics(plain: Callable[..., Any]) -> Callable[..., Any]:
        def update_metrics(self: Any, metrics: Any, loss: Any, *args: Any, **kwargs: Any) -> Any:
            notify(loss)
            return plain(self, metrics, loss, *args, **kwargs)

        return update_metrics

    def on_tracker(plain: Callable[..., Any]) -> Callable[..., Any]:
        def update_state(self: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
            if self.name == "loss":
                notify(values)
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
