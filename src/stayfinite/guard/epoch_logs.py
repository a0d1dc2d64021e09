"""What a guard adds to the logs of an epoch, so that other callbacks show it."""

from __future__ import annotations

from stayfinite.frameworks import base, optimizers
from stayfinite.frameworks.subject import Subject


class EpochLogs:
    """Computes the additional logs of `subject`, for one `fit`."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._norm = base.current().gradient_norm(subject)

    def after(self, data: object, num_bad_steps: int) -> dict[str, float]:
        """The logs at the end of an epoch.

        Args:
            data: The data of its last step; None leaves out the norm of the gradients.
            num_bad_steps: So many steps of this `fit` were bad.

        Returns:
            `gradient_norm`, without a loss scale; `loss_scale`, if the optimizer has one;
            `num_bad_steps`.
        """
        scale = optimizers.loss_scale(self._subject.optimizers)
        logs: dict[str, float] = {}
        if data is not None:
            logs["gradient_norm"] = self._norm(data) / (1.0 if scale is None else scale)
        if scale is not None:
            logs["loss_scale"] = scale
        return {**logs, "num_bad_steps": float(num_bad_steps)}
