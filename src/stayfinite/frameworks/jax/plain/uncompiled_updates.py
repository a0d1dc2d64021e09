"""Updates that a loop on JAX makes outside of `jax.jit`, judged before the program gets them.

`optimizer.update` of optax is judged where it is called: gradients, updates and new slots. A bad
one gives updates of 0 and the slots as they were, and is reported where it is applied to weights.
Updates that a program writes itself by `jax.tree.map` or in another compiled function are judged
where the new weights are used; those by operators, in `operator_updates`.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from stayfinite.frameworks.jax.plain.joined_step import JoinedStep, putting, ways
from stayfinite.frameworks.jax.plain.names_read import NamesRead
from stayfinite.frameworks.jax.plain.operator_updates import OperatorUpdates
from stayfinite.frameworks.jax.plain.pure_calls import (
    TAPE,
    PureCall,
    arrays_in,
    code_of,
    key_of,
    name_of_user,
)
from stayfinite.frameworks.jax.plain.update_arrays import (
    are_alike,
    are_finite,
    is_good,
    leaves_out,
    part_of,
    share_arrays,
    weights_like,
)
from stayfinite.frameworks.jax.plain.update_listener import GoodUpdate, JaxUpdateListener

Function = Callable[..., Any]


@dataclass(frozen=True)
class _Feedback:
    """How an update that the program has written itself comes back.

    Attributes:
        code: Of the function that is differentiated.
        position: Of the weights among its arguments.
        part: Which part of the result of the update they are; None for the whole.
    """

    code: CodeType | None
    position: int
    part: int | None


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
        self._own_updates: dict[int, _Feedback] = {}
        self._operators = OperatorUpdates(listener)

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
                self._replace(sys.modules[module], "apply_updates", self._applying)
        # Keras imports JAX itself; its optimizers are there once its own import is done.
        if hasattr(sys.modules.get("keras"), "Model"):
            # Imported here, because other steps do not need Keras.
            from stayfinite.frameworks.keras import private as keras_private

            for owner in (keras_private.BaseOptimizer, keras_private.LossScaleOptimizer):
                self._replace(owner, "stateless_apply", self._applying_stateless)
        optax: Any = sys.modules.get("optax")
        if hasattr(optax, "MultiSteps"):
            self._replace(optax.MultiSteps, "update", self._method_updating)
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
        plain = owner.update

        def update(transformation: Any) -> JudgedUpdate:
            return JudgedUpdate(plain.__get__(transformation), self)

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
            self._used(function, args)
        # Modules of nnx are changed in place; their arrays never are. `jax.tree.map` is hooked.
        leaves, structure = jax.tree.flatten((args, dict(keywords)))
        given, named = jax.tree.unflatten(structure, leaves)
        out = TAPE.made(plain, args, keywords)
        if is_gradient() or TAPE.comes_from((given, named)):
            call = PureCall(function, given, named, out, name_of_user(function), is_gradient())
            if isinstance(function, ReadsNames):
                call.names = function.names_read(args, keywords)
            TAPE.note(call)
            self._computed(call)
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
            self._computed(call)
            pending = TAPE.pending
            if pending is not None and share_arrays(pending.instead, args[1:]):
                weights = [tree for tree in args[1:] if not TAPE.comes_from(tree)]
                if weights and are_alike(weights[0], out):
                    self._report(pending, weights[0], out)
            return out

        return tree_map

    def _method_updating(self, plain: Function) -> Function:
        def update(owner: Any, *args: Any, **keywords: Any) -> Any:
            return self.updating(functools.partial(plain, owner), args, keywords)

        return update

    def updating(self, plain: Function, args: Any, extra: Mapping[str, Any]) -> Any:
        """Call `plain`, the update of an optimizer of optax, and judge it."""
        if TAPE.is_ignored or TAPE.is_empty:
            return plain(*args, **extra)
        if TAPE.pending is not None:
            TAPE.pending = None
            self._listener.left_out()
        out = TAPE.made(plain, args, extra)
        call = PureCall(plain, args, extra, out)
        TAPE.note(call)
        state, params = args[1], args[2] if len(args) > 2 else None
        for gradients in TAPE.gradients():
            self._operators.forget(gradients.function)
        if is_good(args[0], state, out):
            calls = TAPE.leading_to(out)
            TAPE.end_step(calls)
            before = {"params": weights_like(args[0], calls, params), "opt_state": state}
            step = JoinedStep(calls, before, putting({}))
            # An optimizer that leaves out bad updates by itself may have left out this one.
            loss = None if leaves_out(state) else step.loss
            self._listener.made(GoodUpdate(before, step.batch, loss))
            return out
        # The program goes on to where it applies the update, if it does.
        nothing = jax.tree.map(jnp.zeros_like, out[0])
        TAPE.replace(call, (nothing, out[1]))
        TAPE.pending = call
        return nothing, state

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

    def _applying(self, plain: Function) -> Function:
        def apply(weights: Any, updates: Any) -> Any:
            pending = TAPE.pending
            if TAPE.is_ignored or pending is None or not share_arrays(pending.instead, updates):
                return plain(weights, updates)
            out = TAPE.made(plain, (weights, updates), {})
            TAPE.note(PureCall(plain, (weights, updates), {}, out))
            self._report(pending, weights, out)
            return out

        return apply

    def _used(self, function: Function, args: Sequence[Any]) -> None:
        """A function that computes gradients is about to be called.

        New weights, which gradients led to, come back as the argument that was differentiated.
        """
        self._operators.used(function, args)
        for position, after in enumerate(args):
            arrays = arrays_in(after)
            call = TAPE.maker(arrays[0]) if arrays else None
            if call is None:
                continue
            feedback = _Feedback(code_of(function), position, part_of(call.out, after))
            if self._judge(feedback, after):
                # From now on it is judged before the program gets it.
                self._own_updates[key_of(call.function, call.args)] = feedback
                self._operators.forget(function)

    def _computed(self, call: PureCall) -> None:
        """A call was made that may compute new weights."""
        feedback = self._own_updates.get(key_of(call.function, call.args))
        if feedback is not None:
            part = feedback.part
            self._judge(feedback, call.out if part is None else list(call.out)[part])

    def _judge(self, feedback: _Feedback, after: Any) -> bool:
        """Judge an update that the program has written itself; whether `after` is its result."""
        calls = TAPE.leading_to(after)
        befores = [
            call.args[feedback.position]
            for call in calls
            if call.is_gradient
            and code_of(call.function) is feedback.code
            and len(call.args) > feedback.position
        ]
        if not befores or not are_alike(befores[0], after):
            return False
        state = {"params": befores[0]}
        step = JoinedStep(calls, state, putting({"params": after}))
        TAPE.end_step(calls)
        gradients = step.gradients
        # Both in one program; most updates are good.
        if are_finite([after, gradients]):
            has_finite = True if gradients else None
            self._listener.made(GoodUpdate(state, step.batch, step.loss, has_finite))
        elif are_finite(after):
            self._listener.made(GoodUpdate(state, step.batch, step.loss, False))
        else:
            self._listener.bad([step])
        return True

    def _report(self, pending: PureCall, weights: Any, after: Any) -> None:
        """The bad update `pending` is applied to `weights`."""
        TAPE.pending = None
        state = {"params": weights, "opt_state": pending.args[1]}
        new_state = putting({"params": after, "opt_state": pending.out[1]})
        calls = TAPE.leading_to((after, pending.out))
        gradients = TAPE.gradients()
        TAPE.end_step(calls)
        self._listener.bad(ways(JoinedStep(calls, state, new_state), gradients, calls))


def _is_of_keras(function: Function) -> bool:
    module = str(getattr(inspect.unwrap(function), "__module__", ""))
    return module.partition(".")[0] == "keras"


class JudgedUpdate:
    """The method `update` of an optimizer of optax, with the same attributes.

    Args:
        plain: The method.
        updates: Judges it.
    """

    def __init__(self, plain: Function, updates: UncompiledUpdates) -> None:
        functools.update_wrapper(self, plain)
        self._plain = plain
        self._updates = updates

    def compiled_as(self, compiled: Function) -> JudgedUpdate:
        """The same for what `jax.jit` returned for it."""
        return JudgedUpdate(compiled, self._updates)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Compute an update: `(updates, state)`."""
        names = [name for name in ("updates", "state", "params")[len(args) :] if name in keywords]
        args = (*args, *(keywords.pop(name) for name in names))
        return self._updates.updating(self._plain, args, keywords)
