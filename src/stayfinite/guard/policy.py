"""The policy of a guard as a value. The command line reads it before Keras is imported."""

from __future__ import annotations

from dataclasses import dataclass

from stayfinite.errors import UsageError

POLICIES = ("stop", "skip", "rollback", "repair")
MAX_BAD_STEPS = 10


@dataclass(frozen=True)
class Policy:
    """What to do at a bad step.

    Attributes:
        name: One of `POLICIES`.
        max_bad_steps: So many bad steps in a row end the training under any policy.

    Raises:
        UsageError: another name, or a number below 1.
    """

    name: str = "stop"
    max_bad_steps: int = MAX_BAD_STEPS

    def __post_init__(self) -> None:
        if self.name not in POLICIES:
            raise UsageError(f"policy={self.name!r} is not known; expected one of {list(POLICIES)}")
        number = self.max_bad_steps
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise UsageError(
                f"max_bad_steps={number!r} is not a number of steps; expected 1 or more"
            )

    @property
    def may_go_on(self) -> bool:
        """Whether a training may go on after a bad step."""
        return self.name != "stop"
