"""Callbacks that are called when a bad step ends their `fit` by an exception."""

from __future__ import annotations

import abc


class BadEndListener(abc.ABC):
    """A callback that a guard calls at the end of the training."""

    @abc.abstractmethod
    def ended_by_bad_step(self, num_before: int) -> None:
        """A bad step ends the training; its batch is not at fault by itself.

        Args:
            num_before: The steps that this `fit` had made before it.
        """
