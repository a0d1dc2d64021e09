"""The guard of loops over `torch.optim`: every step of the program, without a word about it in it.

Nothing here imports Keras.
"""

from __future__ import annotations

from pathlib import Path

from stayfinite.frameworks.torch.plain.training import Training
from stayfinite.frameworks.torch.plain.watching import WATCHING
from stayfinite.guard.bad_steps import BadSteps
from stayfinite.strict import caught


class PlainTorchSteps(BadSteps):
    """The steps of all loops over `torch.optim` in this process.

    Args:
        keep: Folder for incidents.
        script: The script as the user named it.

    Attributes:
        strict: Whether a step whose loss alone is not finite is bad.
    """

    def __init__(self, keep: Path, script: str | None) -> None:
        super().__init__(keep, script, lambda: None)
        self.strict = False
        self._has_told = False

    def install(self) -> None:
        """Judge every step from now on.

        Raises:
            CannotGuardError: this release of PyTorch lacks a name that is needed.
        """
        WATCHING.install()
        WATCHING.on_error = self._failed
        WATCHING.listener = Training(WATCHING, self)

    def close(self) -> None:
        """Judge no further step."""
        WATCHING.listener = None

    def end(self) -> None:
        """The training ends here; a program that goes on is not guarded any more."""
        super().end()
        self.close()

    def _failed(self, error: Exception) -> None:
        self.say(f"{caught('noting a step', error)}; this training runs unguarded from here on")

    def bad_loss(self, step: int, loss: float) -> bool:
        """Tell once of a loss that is not finite beside finite gradients."""
        if self.strict:
            return True
        if not self._has_told:
            self._has_told = True
            self.say(
                f"the loss of step {step} is {loss} and all its gradients are finite, so its "
                "update was applied; run with --strict to stop at such a step"
            )
        return False
