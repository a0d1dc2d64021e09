"""What the proposers read of a problem: shapes, exact values, which sub-formulas are wrong."""

from __future__ import annotations

import functools

import numpy as np
from mpmath import mp

from stayfinite.numerics.exact import Array
from stayfinite.repair.engine.complement_forms import without_differences
from stayfinite.repair.engine.evaluate import EXACT, BadFormula, Evaluation, to_float64
from stayfinite.repair.engine.pricing import SPACING, TOLERANCE
from stayfinite.repair.engine.problem import FormulaProblem
from stayfinite.repair.engine.samples import Samples
from stayfinite.repair.engine.signs import Signs
from stayfinite.repair.formula import LeafRole, Node, walk

_NEIGHBOURS = 3


class Context:
    """A problem with its samples; `exact` and `floating` hold values at the recorded operands.

    `deadline` is the processor time of the thread at which a search ends, so that a busy machine
    finds the same formulas.
    """

    def __init__(self, problem: FormulaProblem, samples: Samples, deadline: float) -> None:
        self.problem = problem
        self.deadline = deadline
        self.samples = samples
        self.signs = Signs(problem.root)
        self.digits = min(max(samples.main.reference.digits, 40), 160)
        if without_differences(problem.root) is not problem.root:
            self.digits = 160  # the reference does without these differences, sub-formulas do not
        self.spacing = SPACING.get(problem.dtype, SPACING["float32"])
        self.exact = Evaluation(EXACT, samples.main.values)
        self.floating = samples.main.floating
        self._bad: dict[Node, bool] = {}
        self._below: dict[Node, bool] = {}

    @functools.cached_property
    def neighbours(self) -> tuple[Evaluation, ...]:
        """Values where each variable operand is moved by one rounding, up or down."""
        rng = np.random.default_rng(13)
        found = []
        for _ in range(_NEIGHBOURS):
            moved = dict(self.samples.main.values)
            for leaf, x in moved.items():
                if leaf.attribute("role") is LeafRole.VARIABLE:
                    side = rng.choice([-self.spacing, self.spacing], np.shape(x))
                    moved[leaf] = np.asarray(np.asarray(x, np.float64) * (1.0 + side), x.dtype)
            found.append(Evaluation(self.floating.m, moved, self.problem.dtype))
        return tuple(found)

    def has(self, op: str) -> bool:
        """Whether the user's dialect can spell `op`."""
        return op in self.problem.available

    def shape(self, x: Node) -> tuple[int, ...]:
        """The shape of `x`.

        Raises:
            BadFormula: it cannot be evaluated.
        """
        return tuple(np.shape(self.floating.value(x)))

    def value(self, x: Node) -> Array:
        """The exact value at the recorded operands.

        Raises:
            BadFormula: it cannot be evaluated.
        """
        with mp.workdps(self.digits):
            return self.exact.value(x)

    def bad(self, x: Node) -> bool:
        """Whether the floating-point value of `x` is wrong anywhere at the recorded operands."""
        if x not in self._bad:
            self._bad[x] = self._compare(x)
        return self._bad[x]

    def bad_below(self, x: Node) -> bool:
        """Whether `x` or one of its sub-formulas is bad."""
        if x not in self._below:
            for part in walk(x):
                if part not in self._below:
                    below = any(self._below[operand] for operand in part.operands)
                    self._below[part] = below or self.bad(part)
        return self._below[x]

    def _compare(self, x: Node) -> bool:
        if x.op in ("leaf", "constant"):
            return False
        try:
            found, want = to_float64(self.floating.value(x)), to_float64(self.value(x))
        except BadFormula:
            return False
        close = np.abs(found - want) <= TOLERANCE.get(self.problem.dtype, 1e-3) * np.abs(want)
        # A result that is exactly infinite or undefined is handled by limits, not by rewriting.
        return bool((~close | ~np.isfinite(found)).any())
