"""What a trial or a policy changes in a training: its settings, its batch, its arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from stayfinite.frameworks.batch import Batch, ChangeError
from stayfinite.frameworks.library_setting import LibrarySetting, SettingValue
from stayfinite.frameworks.obstacles import WhyNot

if TYPE_CHECKING:
    from stayfinite.frameworks.change import LastingChange


class Changeable(Protocol):
    """The part of a `Subject` by which its step is made with one thing changed."""

    @property
    def fixed_rate(self) -> WhyNot | None:
        """Why the step cannot be tried with another learning rate; None where it can."""
        ...

    def settings(self, values: Mapping[str, object]) -> AbstractContextManager[None]:
        """Attributes of the optimizers with other values inside the block, as `change.Settings`."""
        ...

    def scaled_learning_rates(self, factor: float) -> AbstractContextManager[None]:
        """Every learning rate times `factor` inside the block, schedules included."""
        ...

    def without_samples(self, batch: Batch, samples: Sequence[int]) -> object:
        """The data of `batch` with other samples of it in the place of `samples`.

        Shapes, and the kind of each array, stay as they were.

        Raises:
            ChangeError: no other sample is left.
        """
        ...

    def library_settings(self) -> list[LibrarySetting]:
        """The settings of libraries that the step reads, where they are known."""
        return []

    def library_value(
        self, setting: LibrarySetting, value: SettingValue
    ) -> AbstractContextManager[None]:
        """One of `library_settings` with another value inside the block.

        Raises:
            ChangeError: the library does not take it.
        """
        raise ChangeError(f"`{setting.name}` is no setting of a library")

    def half_as(self, dtype: str) -> AbstractContextManager[None]:
        """Inside the block, numbers in half precision are `dtype`, in variables and operations.

        Raises:
            ChangeError: that cannot be done on this framework.
        """
        raise ChangeError(f"this step has no form in {dtype}")

    def lasting(self, change: LastingChange) -> Callable[[], None]:
        """What makes `change`, relative to the learning rates of now, for all later steps.

        It is called when the state to go on from has been set. A compiled step has to be compiled
        again afterwards.

        Raises:
            ChangeError: the settings of the optimizer cannot be changed.
        """
        ...
