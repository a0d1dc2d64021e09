"""Find the training of an incident in a script, before its first step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.loop_subject import KerasLoop
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.subject import Subject
from stayfinite.replay.other_trainings import OtherTrainings
from stayfinite.replay.run import misfit
from stayfinite.replay.saved_step import SavedStep


class ReplaySession:
    """Watches every `keras.Model` that is about to train, until one fits the incident.

    Keras makes the train function of a model after it has built the model, and before callbacks
    begin, so the training of the script has changed nothing by then.

    Args:
        saved: The step to look for.
        found: Called with the training that fits, before its first step. It does not return.
        refuse: Called with the reason if no training can fit. It does not return.
        skipped: Called with the name of another training, and why it is another.

    Attributes:
        others: The trainings that did not fit so far.
    """

    def __init__(
        self,
        saved: SavedStep,
        found: Callable[[Subject], object],
        refuse: Callable[[str], object],
        skipped: Callable[[str, str], None],
    ) -> None:
        self._saved = saved
        self._found = found
        self._refuse = refuse
        self.others = OtherTrainings(skipped)

    def install(self) -> None:
        """Hook the training of every model and loop. Called once Keras is imported."""
        KerasLoop.before_step = staticmethod(self._offer)
        owner = keras_private.owner_of(keras.Model, "make_train_function")
        plain = owner.make_train_function

        @functools.wraps(plain)
        def make_train_function(model: Any, force: bool = False) -> None:
            fits = self._offer(KerasModel(model))
            plain(model, force)
            if not fits:
                self._offer_again_later(model)

        owner.make_train_function = make_train_function

    def _offer(self, subject: Subject) -> bool:
        """Replay on `subject` if it fits; False if it does not."""
        if not subject.is_built:
            return False
        wrong = misfit(subject, self._saved)
        if wrong is None:
            self.others.ended(subject.name)
            self._found(subject)
            return True
        if wrong.is_final:
            self.others.ended(subject.name)
            self._refuse(wrong.reason)
        self.others.note(subject.name, wrong.reason)
        return False

    def _offer_again_later(self, model: Any) -> None:
        """Offer a model again after its first steps, which may create layers and optimizers."""
        plain, subject, left = model.train_function, KerasModel(model), _MOST_OFFERS

        def train_function(*args: Any) -> Any:
            nonlocal left
            if left and not self._offer(subject):
                left -= 1
                if not left:
                    self.others.given_up(subject.name)
            return plain(*args)

        model.train_function = train_function


# Calls of a train function before each of which the model is compared with the incident.
_MOST_OFFERS = 3
