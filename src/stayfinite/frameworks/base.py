"""What a framework provides to the other rooms, and which framework is in use."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.failure import Failure, Resumption
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import State, Variable
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.subject import Compilation, Subject, TrainFunction, TrainStep

# Called as `on_bad(state, step, rerun)`: the state before the bad step, its number, and what runs
# the compiled step again on a batch and returns whether it is non-finite. It raises where the
# training ends.
OnBad = Callable[[State, int, Callable[[object], bool]], Resumption]


class GuardedFunction(Protocol):
    """A train function with the sentinel inside."""

    def __call__(self, *args: Any) -> Any:
        """Make a step, as the train function that Keras made."""
        ...

    def begin_training(self, *, sees_steps: bool, is_alone: bool) -> None:
        """A `fit` begins.

        Args:
            sees_steps: Whether a callback may look at single steps.
            is_alone: Whether no callback of the user is called before the flags of an epoch are
                read at its end.
        """
        ...

    def begin_epoch(self) -> None:
        """The next call is the first of an epoch: flags may be read late until `end_epoch`."""
        ...

    def read_flags(self) -> None:
        """Read every flag now."""
        ...

    def end_epoch(self) -> None:
        """Read every flag of the epoch now."""
        ...

    def rebuild(self) -> None:
        """Compile the step again, because its source or a setting was changed."""
        ...


class Framework(Protocol):
    """What the explanation of a bad step needs, for one kind of training."""

    name: str

    def step(self, failure: Failure) -> Step:
        """The failing step as a value that can be run again."""
        ...

    def batch(self, subject: Subject, data: object) -> Batch:
        """The data of a step of `subject` with a name for each array."""
        ...

    def versions(self) -> dict[str, str]:
        """Package names and versions that the values of a step depend on."""
        ...

    def has_float64(self) -> bool:
        """Whether a program of the user's may compute in float64."""
        ...

    def device(self) -> str:
        """The device that the step ran on, in words."""
        ...

    def other_devices(self) -> list[str]:
        """Other devices that can run a step: one of the same kind, and the CPU beside a GPU."""
        ...


class Backend(Framework, Protocol):
    """A framework as a backend of Keras. Its folder has a `backend.py` that holds one."""

    is_stateless: bool
    """Whether a train step takes the state and returns the new one, as on JAX."""

    def attach(
        self, subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool = False
    ) -> GuardedFunction:
        """Set the train function of `subject` to one with the sentinel inside, and return it.

        Args:
            subject: The training.
            recorder: Records its steps.
            on_bad: Called at a bad step.
            resumes: Whether `on_bad` may return. Metrics then do not keep the bad step, and nothing
                that other code sees is ahead of a flag that has not been read.

        Raises:
            CannotGuardError: the training is of a kind that cannot be guarded.
        """
        ...

    def variables(self, subject: Subject) -> list[list[Variable]]:
        """The variables of a state: trainable, non-trainable, of optimizers, of metrics."""
        ...

    def uncompiled(self, step: TrainStep) -> TrainStep:
        """The function inside a compiled step; `step` itself if it is not compiled."""
        ...

    def compilation(self, step: TrainStep) -> Compilation:
        """How the user compiled a step of their own."""
        ...

    def compiled(self, step: TrainStep, compilation: Compilation) -> TrainFunction:
        """A train function that makes one `step` for a loop without `fit`."""
        ...

    def one_batch(self, data: object) -> object:
        """The data of one step as a train function takes it."""
        ...

    def gradient_norm(self, subject: Subject) -> Callable[[object], float]:
        """A function that computes the norm of all gradients, loss scale included.

        It is called between two steps with the data of the last one, and changes nothing.
        """
        ...


OLDEST_KERAS = (3, 8)
_in_use: str | None = None


def current() -> Backend:
    """The backend that Keras uses in this process.

    Raises:
        CannotGuardError: stayfinite has no backend for it, Keras is too old, the framework lacks a
            name that is needed, or Keras ran on another backend before in this process.
    """
    import keras

    _require_keras(keras.__version__)
    name = keras.backend.backend()
    _require_one_backend(name)
    try:
        module = importlib.import_module(f"stayfinite.frameworks.{name}.backend")
    except ImportError as error:
        if error.name is not None and error.name.startswith("stayfinite.frameworks"):
            raise CannotGuardError(
                f"trainings on the Keras backend {name!r} cannot be guarded; "
                "set KERAS_BACKEND to jax, tensorflow or torch"
            ) from None
        raise CannotGuardError(
            f"trainings with Keras {keras.__version__} on this {name} cannot be guarded: {error}; "
            "docs/versions.md lists the releases that can"
        ) from error
    backend: Backend = module.BACKEND
    return backend


def framework_of(subject: Subject) -> Framework:
    """The framework that explains a bad step of `subject`.

    Raises:
        CannotGuardError: see `current`.
    """
    if subject.library == "keras":
        return current()
    module = importlib.import_module(f"stayfinite.frameworks.{subject.library}.plain.framework")
    framework: Framework = module.FRAMEWORK
    return framework


def _require_keras(version: str) -> None:
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_KERAS:
        raise CannotGuardError(
            f"Keras {version} is installed and {'.'.join(map(str, OLDEST_KERAS))} or later is "
            "needed; run pip install --upgrade keras"
        )


def _require_one_backend(name: str) -> None:
    global _in_use
    if _in_use not in (None, name):
        raise CannotGuardError(
            f"Keras ran on the backend {_in_use!r} before in this process and now runs on "
            f"{name!r}; one process can hold one backend, so start another for the second"
        )
    _in_use = name
