"""Hand-written steps under `jax.jit` that apply an optimizer, guarded as they are.

`jax.jit` of a function of the user's returns an object of this module. The first call of it that
traces an update of Keras, optax or equinox is ended there, before anything was computed, and is
made again as a guarded step.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MethodType
from typing import Any, Protocol

from stayfinite.errors import UsageError
from stayfinite.frameworks.hand_written import StepGuard
from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.plain.names_read import NamesRead, TracedNames, form_of
from stayfinite.frameworks.jax.plain.optax_updates import JudgedUpdate
from stayfinite.frameworks.jax.plain.origins import UpdateOrigins
from stayfinite.frameworks.jax.plain.pure_calls import TAPE
from stayfinite.frameworks.jax.plain.subject import PlainJax
from stayfinite.frameworks.jax.plain.uncompiled_updates import UncompiledUpdates
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.graph.code_owner import is_user_file

Function = Callable[..., Any]

# What compiles a step, and what applies an update, by module.
_COMPILERS = (("jax", "jit"), ("jax", "pmap"), ("flax.nnx", "jit"), ("equinox", "filter_jit"))
_UPDATES = {"optax": "apply_updates", "equinox": "apply_updates"}
# First calls of a function that show whether it computes gradients.
_WATCHED_CALLS = 8
# Whether the function that is traced now may turn out to be a step.
_IS_LOOKING: ContextVar[bool] = ContextVar("_IS_LOOKING", default=False)


class StepListener(Protocol):
    """What is done with the steps that are found."""

    def guard(self, step: PlainJax) -> StepGuard:
        """The guard of a step."""
        ...

    def left_alone(self, name: str, why: WhyNot | str) -> None:
        """A step is not guarded; the reason is a clause."""
        ...


class FoundSteps:
    """The hooks by which steps are found; `install` them again after further imports.

    Args:
        listener: Told of each step.
        updates: Told of each call that may be a part of a step.
    """

    def __init__(self, listener: StepListener, updates: UncompiledUpdates) -> None:
        self._listener = listener
        self._updates = updates
        self._undo: dict[tuple[str, str], Callable[[], None]] = {}

    def install(self) -> None:
        """Hook the libraries that are imported by now, each once."""
        for module, name in _COMPILERS:
            self._hook(module, name, self._compiling)
        for module, name in _UPDATES.items():
            self._hook(module, name, _updating)
        # Keras imports JAX itself; its optimizers are there once its own import is done.
        if hasattr(sys.modules.get("keras"), "Model"):
            # Imported here, because other steps do not need Keras.
            from stayfinite.frameworks.keras import private as keras_private

            for owner in (keras_private.BaseOptimizer, keras_private.LossScaleOptimizer):
                self._replace((owner.__name__, ""), owner, "stateless_apply", _updating)

    def close(self) -> None:
        """Find no further step; those that were found stay guarded."""
        while self._undo:
            self._undo.popitem()[1]()

    def _hook(self, module: str, name: str, make: Callable[[Function], Function]) -> None:
        if module in sys.modules and hasattr(sys.modules[module], name):
            self._replace((module, name), sys.modules[module], name, make)

    def _replace(
        self, key: tuple[str, str], owner: Any, name: str, make: Callable[[Function], Function]
    ) -> None:
        if key not in self._undo:
            plain = getattr(owner, name)
            setattr(owner, name, functools.wraps(plain)(make(plain)))
            self._undo[key] = lambda: setattr(owner, name, plain)

    def _compiling(self, plain: Function) -> Function:
        def compiling(*args: Any, **options: Any) -> Any:
            made = plain(*args, **options)
            if args and callable(args[0]):
                return self._found(args[0], made)
            if hasattr(made, "lower"):
                return made
            # A decorator, of which only the options are known.
            return lambda function: self._found(function, made(function))

        return compiling

    def _found(self, function: Any, compiled: Any) -> Any:
        if _is_of_user(function):
            return JitStep(compiled, self._listener, self._updates)
        if isinstance(function, JudgedUpdate):
            return function.compiled_as(compiled)
        return compiled


class JitStep:
    """What `jax.jit` returned for a function of the user's, with the same attributes.

    Args:
        compiled: What it returned.
        listener: Told if the function is a step.
        updates: Told of each call if it is none, as a step may be several calls.
    """

    def __init__(self, compiled: Any, listener: StepListener, updates: UncompiledUpdates) -> None:
        functools.update_wrapper(self, compiled, updated=())
        self._compiled = compiled
        self._listener = listener
        self._updates = updates
        self._guard: StepGuard | None = None
        self._is_left_alone = False
        # Whether it computes gradients, as far as one of so many first calls has shown.
        self._is_gradient = False
        # What each of its programs read when it was traced, and how many there were.
        self._names = TracedNames()
        self._num_programs = -1
        self._num_watched = _WATCHED_CALLS

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Call the function; a guarded step if it applies an optimizer."""
        if self._is_left_alone or TAPE.is_ignored:
            return self._compiled(*args, **keywords)
        if self._guard is not None:
            return self._guard.call(args, keywords)
        token = _IS_LOOKING.set(True)
        try:
            return self._updates.called(
                self, self._watched, args, keywords, lambda: self._is_gradient
            )
        except _AppliesUpdateError:
            pass
        finally:
            _IS_LOOKING.reset(token)
        return self._first_step(args, keywords)

    def _watched(self, *args: Any, **keywords: Any) -> Any:
        """Call the function, and see whether it computes gradients."""
        if self._is_gradient or not self._num_watched:
            return self._call(args, keywords)
        self._num_watched -= 1

        def notify(*_: Any) -> None:
            self._is_gradient = True

        with private.gradients_seen(notify):
            return self._call(args, keywords)

    def _call(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        out = self._compiled(*args, **keywords)
        num_programs = private.num_programs(self._compiled)
        if num_programs != self._num_programs:
            self._num_programs = num_programs
            self._names.note(form_of(args, keywords), self._compiled)
        return out

    @property
    def compiled(self) -> Any:
        """What `jax.jit` returned."""
        return self._compiled

    def names_read(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> NamesRead:
        """What the function read when it was traced for such a call."""
        return self._names.of(form_of(args, keywords))

    def _first_step(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        try:
            step = PlainJax(self._compiled, None)
            guard = self._listener.guard(step)
            labels = step.calls.labels_of(args, keywords)
            step.calls.note_gradients(k for k, tree in labels.items() if TAPE.comes_from(tree))
            step.calls.require_state(args, keywords)
            TAPE.note_judged((args, keywords))
            if step.calls.places and not step.shows_gradient and TAPE.comes_from((args, keywords)):
                step.origins = UpdateOrigins(step)
        except UsageError as error:
            self._is_left_alone = True
            self._listener.left_alone(str(getattr(self, "__name__", "step")), str(error))
            return self._compiled(*args, **keywords)
        self._guard = guard
        return guard.call(args, keywords)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A method of `instance`."""
        return self if instance is None else MethodType(self, instance)

    def __getattr__(self, name: str) -> Any:
        """An attribute of what `jax.jit` returned."""
        if name == "_compiled":
            raise AttributeError(name)  # of an object that is being copied
        return getattr(self._compiled, name)


class _AppliesUpdateError(BaseException):
    """The function that is traced applies an optimizer.

    Not an `Exception`: the user's own `except Exception` must not swallow it.
    """


def _updating(plain: Function) -> Function:
    def update(*args: Any, **keywords: Any) -> Any:
        if _IS_LOOKING.get() and private.is_tracing((args, keywords)):
            raise _AppliesUpdateError
        return plain(*args, **keywords)

    return update


def _is_of_user(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    return code is not None and is_user_file(code.co_filename)
