"""Updates that a loop on JAX makes outside of `jax.jit`, judged before the program gets them.

The hooks are here, with the notes of the calls that give an update its gradients. Updates of optax
are judged in `optax_updates`, those that a program writes itself in `own_updates`, and by operators
in `operator_updates`.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax

from stayfinite.frameworks.jax.plain.joined_step import JoinedStep, putting, ways
from stayfinite.frameworks.jax.plain.names_read import NamesRead
from stayfinite.frameworks.jax.plain.operator_updates import OperatorUpdates
from stayfinite.frameworks.jax.plain.optax_updates import JudgedUpdate, OptaxUpdates
from stayfinite.frameworks.jax.plain.own_updates import OwnUpdates
from stayfinite.frameworks.jax.plain.pure_calls import TAPE, PureCall, name_of_user
from stayfinite.frameworks.jax.plain.update_arrays import are_finite
from stayfinite.frameworks.jax.plain.update_listener import GoodUpdate, JaxUpdateListener

Function = Callable[..., Any]


@runtime_checkable
class ReadsNames(Protocol):
    """A compiled function that keeps what it read when it was traced."""

    def names_read(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> NamesRead:
        """What the function read when it was traced for such a call."""
        ...


class UncompiledUpdates:
    """The hooks by which updates are found; `install` them again after further imports.

    Args:
        listener: Told of each update.
    """

    def __init__(self, listener: JaxUpdateListener) -> None:
        self._listener = listener
        self._undo: dict[tuple[int, str], Callable[[], None]] = {}
        self._operators = OperatorUpdates(listener)
        self._own = OwnUpdates(listener, self._operators)
        self._optax = OptaxUpdates(listener, self._operators)

    def install(self) -> None:
        """Hook the libraries that are imported by now, each once."""
        TAPE.is_on = True
        for module in ("jax", "flax.nnx"):
            if hasattr(sys.modules.get(module), "value_and_grad"):
                self._replace(sys.modules[module], "value_and_grad", self._gradient_maker)
                self._replace(sys.modules[module], "grad", self._gradient_maker)
        self._replace(jax.tree, "map", self._mapping)
        self._replace(jax.tree_util, "tree_map", self._mapping)
        for module in ("optax", "equinox"):
            if hasattr(sys.modules.get(module), "apply_updates"):
                self._replace(sys.modules[module], "apply_updates", self._optax.applying)
        # Keras imports JAX itself; its optimizers are there once its own import is done.
        if hasattr(sys.modules.get("keras"), "Model"):
            # Imported here, because other steps do not need Keras.
            from stayfinite.frameworks.keras import private as keras_private

            for owner in (keras_private.BaseOptimizer, keras_private.LossScaleOptimizer):
                self._replace(owner, "stateless_apply", self._applying_stateless)
        optax: Any = sys.modules.get("optax")
        if hasattr(optax, "MultiSteps"):
            self._replace(optax.MultiSteps, "update", self._optax.method_updating)
            self._hook_transformations(optax.GradientTransformation)

    def close(self) -> None:
        """Judge no further update."""
        TAPE.is_on = False
        TAPE.clear()
        self._operators.close()
        while self._undo:
            self._undo.popitem()[1]()

    def _replace(self, owner: Any, name: str, make: Callable[[Function], Function]) -> None:
        key = id(owner), name
        if key not in self._undo:
            plain = getattr(owner, name)
            setattr(owner, name, functools.wraps(plain)(make(plain)))
            self._undo[key] = lambda: setattr(owner, name, plain)

    def _hook_transformations(self, owner: Any) -> None:
        """Have `tx.update` of the user's judged. A chain takes its parts without this attribute."""
        key = id(owner), "update"
        if key in self._undo:
            return
        plain, optax = owner.update, self._optax

        def update(transformation: Any) -> JudgedUpdate:
            return JudgedUpdate(plain.__get__(transformation), optax)

        owner.update = property(update)
        self._undo[key] = lambda: setattr(owner, "update", plain)

    def _gradient_maker(self, plain: Function) -> Function:
        def maker(*args: Any, **options: Any) -> Any:
            function = plain(*args, **options)
            given = args[0] if args else options.get("fun")
            # A decorator, of which only the options are known; or the train step of a Keras model.
            if not callable(given) or _is_of_keras(given):
                return function

            @functools.wraps(function)
            def compute(*values: Any, **keywords: Any) -> Any:
                if TAPE.is_ignored:
                    return function(*values, **keywords)
                return self.called(function, function, values, keywords, lambda: True)

            # What flax.nnx returns does not refer to the function of the user's.
            compute.__wrapped__ = given
            return compute

        return maker

    def called(
        self,
        function: Function,
        plain: Function,
        args: tuple[Any, ...],
        keywords: Mapping[str, Any],
        is_gradient: Callable[[], bool],
    ) -> Any:
        """Make a call that may be a part of a step, and note it.

        Args:
            function: What is called again to explain a step.
            plain: What makes the call now.
            args: The arguments by position.
            keywords: Those by name.
            is_gradient: Tells after the call whether it computes gradients.
        """
        if is_gradient():
            self._own.used(function, args)
        # Modules of nnx are changed in place; their arrays never are. `jax.tree.map` is hooked.
        leaves, structure = jax.tree.flatten((args, dict(keywords)))
        given, named = jax.tree.unflatten(structure, leaves)
        out = TAPE.made(plain, args, keywords)
        if is_gradient() or TAPE.comes_from((given, named)):
            call = PureCall(function, given, named, out, name_of_user(function), is_gradient())
            if isinstance(function, ReadsNames):
                call.names = function.names_read(args, keywords)
            TAPE.note(call)
            self._own.computed(call)
            if call.is_gradient:
                self._operators.computed(call)
        return out

    def _mapping(self, plain: Function) -> Function:
        def tree_map(*args: Any, **options: Any) -> Any:
            if TAPE.is_ignored or not TAPE.comes_from(args[1:]):
                return plain(*args, **options)
            out = TAPE.made(plain, args, options)
            call = PureCall(plain, args, options, out)
            TAPE.note(call)
            self._own.computed(call)
            self._optax.mapped(args[1:], out)
            return out

        return tree_map

    def _applying_stateless(self, plain: Function) -> Function:
        def stateless_apply(
            optimizer: Any, optimizer_variables: Any, grads: Any, trainable_variables: Any
        ) -> Any:
            args = (optimizer_variables, grads, trainable_variables)
            if TAPE.is_ignored or TAPE.is_empty:
                return plain(optimizer, *args)
            apply = functools.partial(plain, optimizer)
            out = TAPE.made(apply, args, {})
            TAPE.note(PureCall(apply, args, {}, out))
            calls, gradients = TAPE.leading_to(out), TAPE.gradients()
            TAPE.end_step(calls)
            for call in gradients:
                self._operators.forget(call.function)
            state = {"params": trainable_variables, "opt_state": optimizer_variables}
            whole = JoinedStep(calls, state, putting(dict(zip(state, out, strict=True))))
            # A loss scale leaves out bad updates by itself.
            is_scaled = hasattr(optimizer, "inner_optimizer")
            if are_finite(out) and (is_scaled or are_finite(grads)):
                loss = None if is_scaled else whole.loss
                self._listener.made(GoodUpdate(state, whole.batch, loss))
                return out
            self._listener.bad(ways(whole, gradients, calls))
            return trainable_variables, optimizer_variables

        return stateless_apply


def _is_of_keras(function: Function) -> bool:
    module = str(getattr(inspect.unwrap(function), "__module__", ""))
    return module.partition(".")[0] == "keras"
