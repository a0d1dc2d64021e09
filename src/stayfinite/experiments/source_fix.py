"""A patch of the user's file that was tried on the failing step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from stayfinite.experiments.fix_value import Judged
from stayfinite.experiments.moved_activation import MovedActivation
from stayfinite.experiments.rewritings import RewrittenFormula
from stayfinite.experiments.try_change import Experiment, NotTried
from stayfinite.frameworks.step import Outcome
from stayfinite.incident import Objection
from stayfinite.repair import TemplateFact, UnfollowedUse
from stayfinite.repair.engine.problem import FixValue

Description = RewrittenFormula | MovedActivation | TemplateFact
Value = Literal["exact", "bounded", "changed", "undefined"]
_NAMES: dict[FixValue, Value] = {
    FixValue.EXACT: "exact",
    FixValue.BOUNDED: "bounded",
    FixValue.CHANGED: "changed",
    FixValue.UNDEFINED: "undefined",
}
# Relative to the largest element of the gradients.
_FEW_DIGITS = 0.1
_ORDER = (FixValue.EXACT, FixValue.BOUNDED, FixValue.CHANGED, FixValue.UNDEFINED, None)


@dataclass(frozen=True)
class SourceFix:
    """The best patch of the user's file that was found.

    Args:
        descriptions: What each edit does: a rewritten formula, or what a template does.
        diff: The patch.
        num_healthy_steps: How many healthy steps it left unchanged.
        experiment: The failing step with it, where that could be run.
        trouble: Why training does not go on as before; None if it does.
        judged: What it does to the value of the failing step.
        operand: The operand at fault as the user wrote it, if known.
        guard: The patch to make instead, where the operand is as intended.
        is_near: Whether an exact value is met to more digits than half precision has, and no loss
            scale skips the step, where a part of it is in half precision.
        is_far_above: Whether its bound leaves a loss that is far above that of every healthy step.
        far_gradients: How many times those of every healthy step its gradients are, if far above.
        is_equal: Whether healthy steps have the same numbers with it, not others by roundings.
        is_whole: Whether healthy steps were compared with the other updates of their iterations.
        gradient_error: How far the gradients of a step that is half precision in part are from
            those of float64, relative to their largest element.
        bad_line: The line of the patched file that still makes the bad value, where the step logs
            what is made of it.
        put_in_place: Has the program run the patched code from now on; False where it cannot.
    """

    descriptions: tuple[Description, ...]
    diff: str
    num_healthy_steps: int
    experiment: Experiment | None
    trouble: Objection | NotTried | None
    judged: Judged
    operand: str | None = None
    guard: SourceFix | None = None
    is_near: bool = True
    is_far_above: bool = False
    far_gradients: float | None = None
    is_equal: bool = True
    is_whole: bool = True
    gradient_error: float = 0.0
    bad_line: int | None = None
    put_in_place: Callable[[], bool] = lambda: False

    @property
    def verified(self) -> bool:
        """Whether it has the exact value, as far as there is one, and training goes on."""
        right = self.judged.value in (FixValue.EXACT, FixValue.BOUNDED)
        is_followed = self.unfollowed is None
        return right and is_followed and self.trouble is None and not self.is_beyond_exact

    @property
    def objection(self) -> Objection | None:
        """Why it is not verified; None where it is, or where that is its value."""
        if self.judged.lacks_gradient:
            return Objection.LACKS_GRADIENT
        if isinstance(self.trouble, NotTried):
            return Objection.NOT_TRIED
        if self.trouble is not None:
            return self.trouble
        if self.unfollowed is not None:
            return Objection.IS_NOT_FOLLOWED
        return Objection.IS_BEYOND_EXACT if self.is_beyond_exact else None

    @property
    def is_exact_here(self) -> bool:
        """Whether the failing step has its exact value, and only the steps after it fail."""
        is_exact = self.judged.value is FixValue.EXACT
        return is_exact and self.trouble is Objection.DOES_NOT_GO_ON

    @property
    def unfollowed(self) -> UnfollowedUse | None:
        """A use of the network whose readers are not known, where its activation is moved."""
        moves = [each for each in self.descriptions if isinstance(each, MovedActivation)]
        return next((each.unfollowed for each in moves if each.unfollowed is not None), None)

    @property
    def is_beyond_exact(self) -> bool:
        """Whether its loss is far above every healthy one, and no exact value is as large.

        The exact loss is then infinite, as that of `1 / x` at 0, and any bound is arbitrary.
        """
        loss, reference = self.loss, self.judged.reference_loss
        if not self.is_far_above or loss is None:
            return False
        return reference is None or abs(loss) > abs(reference)

    @property
    def has_rounded_gradients(self) -> bool:
        """Whether half precision in the rest of the step leaves few digits of its gradients."""
        return self.verified and self.gradient_error > _FEW_DIGITS

    @property
    def removes_failure(self) -> bool:
        """Whether the step is finite with it and training goes on, whatever the value."""
        return self.trouble is None and self.experiment is not None and self.experiment.finite

    @property
    def value(self) -> Value | None:
        """What it does to the value, by name; None where that could not be computed."""
        return None if self.judged.value is None else _NAMES[self.judged.value]

    @property
    def loss(self) -> float | None:
        """The loss of the failing step with it; None where the step shows none."""
        result = None if self.experiment is None else self.experiment.result
        return result.loss if isinstance(result, Outcome) and result.num_losses else None

    @property
    def num_losses(self) -> int:
        """How many losses the failing step has with it."""
        result = None if self.experiment is None else self.experiment.result
        return result.num_losses if isinstance(result, Outcome) else 1

    @property
    def _is_least_bound(self) -> bool:
        """Whether it has a bound of the engine, which is as small as the dtype has room for."""
        written = [each for each in self.descriptions if isinstance(each, RewrittenFormula)]
        return any(each.method == "bound" for each in written)

    @property
    def is_settled(self) -> bool:
        """Whether it is verified, with gradients as in healthy steps where its value is a bound."""
        exact = self.judged.value is FixValue.EXACT
        return self.verified and (exact or self.far_gradients is None)

    @property
    def rank(self) -> tuple[float, ...]:
        """Less is better: those that training goes on with, then by value, then by distance.

        A bound of the engine that is not verified is behind the usual edits of templates, and where
        the rest is alike, too. So is a bound with gradients that end a training behind all others.
        A fix with the exact value is not the reason why training does not go on.
        """
        loss, reference = self.loss, self.judged.reference_loss
        distance = 0.0 if loss is None or reference is None else abs(loss - reference)
        size = sum(line.startswith(("+", "-")) * len(line) for line in self.diff.splitlines())
        exact = self.judged.value is FixValue.EXACT
        further = (Objection.DOES_NOT_GO_ON, Objection.HAS_NO_ROOM)
        excused = exact and self.trouble in further
        return (
            self.trouble is not None and not excused,
            excused and self.trouble is Objection.HAS_NO_ROOM,
            not exact and self.far_gradients is not None,
            not exact and not self.verified and self._is_least_bound,
            _ORDER.index(self.judged.value),
            not self.is_near,
            distance,
            self._is_least_bound,
            size,
        )
