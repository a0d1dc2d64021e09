"""When the flags of a guarded train function are read: what is the same for every framework.

Inside an epoch of `fit` they are read late, so that the host never waits for the device; outside
of one, and at its end, at once.
"""

from __future__ import annotations

import abc
import weakref
from collections.abc import Callable
from typing import Any

from stayfinite.frameworks.recorder import Flag, Recorder

# Called as `on_bad(state, step, rerun)`; it is expected to raise.
OnBad = Callable[[Any, int, Callable[[Any], bool]], None]


class Polling(abc.ABC):
    """Base of the function that stands in for `model.train_function`.

    A backend calls `enter` before a step and `expect` after it, and says in `stop` how the last
    good state is handed to `on_bad`.
    """

    def __init__(self, model: Any, recorder: Recorder, on_bad: OnBad) -> None:
        # Weak: the model holds this function.
        self._model = weakref.ref(model)
        self._recorder = recorder
        self._on_bad = on_bad
        self._first_step = recorder.num_steps
        self._epoch_begins = False
        self._first_of_epoch = False
        self._epoch_source: Any = None
        self._in_epoch = False

    def begin_epoch(self) -> None:
        """The next call is the first of an epoch: flags may be read late until `end_epoch`."""
        self._epoch_begins = True

    def end_epoch(self) -> None:
        """Nothing more comes from the data of the epoch, and every flag is to be read now."""
        self._epoch_begins, self._epoch_source = False, None
        self.poll(wait=True)

    def enter(self, source: Any) -> None:
        """A step begins. `source` is one and the same object for all steps of an epoch."""
        self._first_of_epoch = self._epoch_begins
        if self._epoch_begins:
            self._epoch_begins, self._epoch_source = False, source
        # A `fit` that an exception ended says nothing; the next call then has another source.
        self._in_epoch = source is self._epoch_source
        if not self._in_epoch:
            self._epoch_source = None
            self._recorder.begin_epoch(None)

    def remember(self, num_bytes: Callable[[], int], copy: Callable[[], Any]) -> None:
        """Keep a copy of the state before the step that begins, if one is due; after `enter`."""
        self._recorder.snapshots.take(
            self._recorder.num_steps,
            # Outside of an epoch each step is waited for, and a copy costs no more.
            first_of_epoch=self._first_of_epoch or not self._in_epoch,
            num_bytes=num_bytes,
            copy=copy,
        )

    def expect(self, flag: Flag) -> None:
        """The steps are under way; `flag` counts from `first_step` of the sentinel."""
        self._recorder.expect(_Offset(flag, self._first_step))
        if not self._in_epoch:
            self.poll(wait=True)

    def poll(self, *, wait: bool) -> None:
        """Look at the flags that have come in; with `wait`, at all of them."""
        step = self._recorder.first_bad(wait=wait)
        if step is not None:
            self._first_step = step + 1
            self.stop(step)

    @abc.abstractmethod
    def stop(self, step: int) -> None:
        """Set the model to the last good state, begin a new sentinel, and call `on_bad`."""


class _Offset:
    """A flag in steps of the whole script, from one in steps since the sentinel was made."""

    def __init__(self, flag: Flag, first_step: int) -> None:
        self._flag = flag
        self._first_step = first_step

    def is_ready(self) -> bool:
        return bool(self._flag.is_ready())

    def __int__(self) -> int:
        bad = int(self._flag)
        return bad if bad < 0 else bad + self._first_step
