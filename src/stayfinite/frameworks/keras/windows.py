"""Which steps of a guarded train function are made in windows, on frameworks that have them."""

from __future__ import annotations

import abc
from typing import Any

from stayfinite.frameworks.base import OnBad
from stayfinite.frameworks.guarded_training import ValuesOfSteps
from stayfinite.frameworks.heavy_steps import HeavySteps
from stayfinite.frameworks.keras import own_values
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.subject import Subject
from stayfinite.frameworks.train_function import GuardedTrainFunction

# After so many bad steps the steps of a small state are in no windows.
_MAX_HANDLED = 4


class WindowedTrainFunction(GuardedTrainFunction):
    """A train function whose steps may be made in windows, without the sentinel.

    A framework sets `_may_have_windows`: a bad step leaves a mark in the state, and each call is
    one compiled step. `_first_window` finds out the rest.
    """

    def __init__(
        self, subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool
    ) -> None:
        super().__init__(subject, recorder, on_bad, resumes=resumes)
        self._may_have_windows = False
        # Whether the state is too small to be heavy; known after the first step.
        self._is_light = False

    def values_of_steps(self) -> ValuesOfSteps | None:
        """Attributes and random numbers of the user's objects."""
        return own_values.of_subject(self._subject)

    def _steps_in_windows(self) -> HeavySteps | None:
        """What makes this step in a window; None if it has the sentinel."""
        steps = self.heavy
        if self._is_light and not self._may_have_light_window:
            # The flag of such a step is read at once, and costs less than a check of the state.
            self._leave_window()
            return None
        if steps is None:
            return self._first_window()
        if steps.trusts_loss and not (self._is_light and steps.is_checked_often):
            return steps
        self._leave_window()
        self.heavy, self._may_have_windows = None, False
        return None

    @property
    def _may_have_light_window(self) -> bool:
        """Whether the steps of a small state may be in windows now.

        A bad step of a window takes the time of all of its steps.
        """
        return self._in_epoch and not self.waits and self._num_handled < _MAX_HANDLED

    def _log_unwatched(self) -> None:
        if self._is_light:
            self._log_call()
        else:
            super()._log_unwatched()

    def _leave_window(self) -> None:
        """The next step has the sentinel."""
        steps = self.heavy
        if steps is not None and steps.has_window:
            self.poll(None, wait=True)
            steps.forget()

    def _begin_next_series(self) -> bool:
        """Record a series; whether the next step of the epoch may be noted in another one."""
        steps = self.heavy
        self.end_series()
        if steps is None or self._recorder.has_unread or steps.needs_check():
            return False
        self.series.begin_next(steps)
        return True

    @abc.abstractmethod
    def _first_window(self) -> HeavySteps | None:
        """Decide whether steps are made in windows; what makes them then, which is `heavy`, too."""


def settle_model(model: Any) -> None:
    """`settle` the training of a Keras model, if it is guarded."""
    function = getattr(model, "train_function", None)
    if isinstance(function, GuardedTrainFunction):
        function.settle()
        if function.resumes:
            function.read_flags()
