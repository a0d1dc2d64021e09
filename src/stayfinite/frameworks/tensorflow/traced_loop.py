"""The step of a `tf.function` of the user's, with the sentinel in its trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from stayfinite.frameworks.base import GuardedFunction, OnBad
from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.loss_log import LoggedLoss
from stayfinite.frameworks.recorder import Recorder, StepCount
from stayfinite.frameworks.snapshots import Snapshots
from stayfinite.frameworks.step_turns import TURNS
from stayfinite.frameworks.tensorflow import private, private_functions
from stayfinite.frameworks.tensorflow.call_arguments import CallArguments, CallReader
from stayfinite.frameworks.tensorflow.flagged_series import kept
from stayfinite.frameworks.tensorflow.found_loop import FoundLoop
from stayfinite.frameworks.tensorflow.guard import TensorFlowTrainFunction
from stayfinite.frameworks.tensorflow.guard_graph import GuardedGraphStep
from stayfinite.frameworks.tensorflow.guard_sentinel import TensorFlowSentinel, VariableValues
from stayfinite.frameworks.tensorflow.watching import updates_of_replicas, watched

Call = Callable[..., Any]


class _NoResult:
    """In the place of the result of a call that was not made."""


NO_RESULT = _NoResult()


class MadeStep(NamedTuple):
    """What a copy returns whose trace applies an optimizer."""

    out: Any
    report: Any


class TracedLoop(FoundLoop):
    """The step of a `tf.function`.

    Args:
        function: What `tf.function` returned.
        plain: The call of any `tf.function`.

    Attributes:
        first: The first step, which was made before it was known that it is one.
        has_unseen_update: Whether an optimizer was applied in a thread of a `tf.distribute`
            strategy.
        applies_alone: Whether it applies gradients that another function has computed.
        differentiates_alone: Whether it computes gradients, and applies none.
        written: The variables that it assigns.
        before_trace: The values that they had before they were assigned for the first time.
    """

    def __init__(self, function: Any, plain: Call) -> None:
        step = private_functions.bound_function(function)
        name = str(getattr(function.python_function, "__name__", "step"))
        super().__init__(step, name, xla=private_functions.is_xla(function))
        self.first: MadeStep | None = None
        self.has_unseen_update = False
        self.applies_alone = self.differentiates_alone = False
        self.sentinel = TensorFlowSentinel()
        self.written: list[Any] = []
        with tf.init_scope():
            self.before_trace = VariableValues()
        self._is_captured: Callable[[Any], bool] = lambda variable: False
        self._reader = CallReader(step)
        self._recorder: Recorder | None = None
        self._made: _TracedTrainFunction | None = None
        self._plain = plain
        self._copy = private_functions.with_function_around(function, self._traced)

    def attach(self, recorder: Recorder, on_bad: OnBad, *, resumes: bool) -> GuardedFunction:
        """Have the steps made by the copy."""
        self._recorder = recorder
        function = _TracedTrainFunction(self, recorder, on_bad, resumes=resumes)
        self.train_function = self._made = function
        return function

    @property
    def count(self) -> StepCount:
        """The count of its steps, once it is guarded."""
        assert self._recorder is not None
        return self._recorder.count

    def call(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Make one guarded step with the arguments of the user's call; returns its result."""
        assert self.train_function is not None
        return self.train_function(iter([self._reader.read(args, keywords)]))

    def call_in_series(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """`call` for a step in a series, with less between the user's call and the step.

        Returns:
            The result, or `NO_RESULT` if the call has to be made by `call`.
        """
        function = self._made
        if function is None or not function.flagged.is_open or not function.flagged.was_good():
            return NO_RESULT
        data = kept(self._reader.read(args, keywords))
        if data is None:
            return NO_RESULT
        assert self._recorder is not None
        count = self._recorder.count
        if TURNS.present is not count:
            TURNS.begin(count)
        made = self._plain(self._copy, *args, **keywords)
        if not isinstance(made, MadeStep):
            return made
        function.note_flagged(data, made.report, made.out)
        return made.out

    def bad_loss(self) -> LoggedLoss | None:
        """None: a step with a non-finite loss is bad."""
        return None

    def made(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Call the copy: a `MadeStep`, or the result of a function that trains nothing."""
        return self._plain(self._copy, *args, **keywords)

    def read_of(self, variables: Iterable[Any]) -> list[Any]:
        """Those of `variables` that it reads, and does not train."""
        slots = [v for optimizer in self.optimizers for v in optimizer.variables]
        own = {id(private.raw(v)) for v in (*self.trainable_variables, *slots)}
        return [v for v in variables if id(v) not in own and self._is_captured(v)]

    def note_update(self, optimizer: Any, variables: Iterable[Any]) -> None:
        """The step applies `optimizer` to `variables`."""
        before = len(self.optimizers), len(self.trainable_variables)
        super().note_update(optimizer, variables)
        has_grown = before != (len(self.optimizers), len(self.trainable_variables))
        if has_grown and self._recorder is not None:
            # Earlier states lack these variables.
            self._recorder.snapshots = Snapshots(self._recorder.snapshots.spacing)

    def _traced(self, call: Callable[[], Any]) -> Any:
        """The function of the copy, which runs while it is traced."""
        step = _FoundStep(self, self.sentinel)
        hooks = [(owner, name, self._assigning) for owner, name in private.assignments()]
        with watched(step), updates_of_replicas() as unseen, replaced(hooks):
            out = call()
        self._is_captured = private_functions.captured_variables(tf.compat.v1.get_default_graph())
        if step.has_update or not step.differentiates:
            self.before_trace.old.clear()
        if not step.has_update:
            self.differentiates_alone = step.differentiates
            self.has_unseen_update = bool(unseen)
            return out
        self.applies_alone = not step.differentiates
        good = step.finish()
        return MadeStep(out, self.sentinel.note(good, step.is_suspect(())))

    def _assigning(self, plain: Call) -> Call:
        """Note what the function assigns while it is traced, and which value that had before."""

        def assign(variable: Any, *args: Any, **options: Any) -> Any:
            if not any(variable is known for known in self.written):
                self.written.append(variable)
                with tf.init_scope():
                    # One that this trace makes has no value yet.
                    if tf.executing_eagerly() and bool(variable.is_initialized()):
                        self.before_trace.save([variable])
            return plain(variable, *args, **options)

        return assign


class _FoundStep(GuardedGraphStep):
    """A watched trace that notes what it trains.

    Attributes:
        has_update: Whether an optimizer was applied.
        differentiates: Whether gradients of variables were computed.
    """

    def __init__(self, loop: TracedLoop, sentinel: TensorFlowSentinel) -> None:
        super().__init__(loop, sentinel, everything=False, keeps_metrics=True)
        self.has_update = self.differentiates = False
        self._loop = loop

    def differentiating(self, loss: Any) -> None:
        """Note that the step computes gradients."""
        self.differentiates = True
        super().differentiating(loss)

    def applying(
        self, optimizer: Any, grads: list[Any], variables: list[Any], apply: Callable[[], None]
    ) -> None:
        """Note what is trained."""
        self.has_update = True
        self._loop.note_update(optimizer, variables)
        super().applying(optimizer, grads, variables, apply)

    def require_seen_writes(self) -> None:
        """None is required: what the user's code assigns by itself is not restored.

        By now every update of the step is noted.
        """
        if self._loop.train_function is None:
            graph = tf.compat.v1.get_default_graph()
            self._loop.find_models(private_functions.captured_variables(graph))


class _TracedTrainFunction(TensorFlowTrainFunction):
    """The train function of a `TracedLoop`; called with an iterator over one call."""

    def __init__(
        self, loop: TracedLoop, recorder: Recorder, on_bad: OnBad, *, resumes: bool
    ) -> None:
        self._loop = loop
        super().__init__(loop, recorder, on_bad, resumes=resumes)
        self._sentinel = loop.sentinel

    def _made(self) -> Callable[[list[CallArguments]], Any]:
        loop = self._loop

        def made(source: list[CallArguments]) -> Any:
            step, loop.first = loop.first, None
            if step is None:
                step = source[0].call(lambda *args, **keywords: loop.made(args, keywords))
            if not isinstance(step, MadeStep):
                # A call that trains nothing, as one with training=False.
                return {"logs": step, "report": None}, ()
            return {"logs": step.out, "report": step.report}, ()

        return made
