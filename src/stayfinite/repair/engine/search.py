"""From a failing formula to formulas with the exact value, best first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.repair.engine import (
    build,
    complements,
    last_resort,
    limits,
    log_domain,
    reductions,
    saturation,
    scaling,
    zero_safe,
)
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.evaluate import BadFormula, to_float64
from stayfinite.repair.engine.lowering import lowered
from stayfinite.repair.engine.pricing import Pricing
from stayfinite.repair.engine.problem import Assumption, FixValue, FormulaProblem, Price, Rewrite
from stayfinite.repair.engine.recomputed import compares_rounded
from stayfinite.repair.engine.reference import Kind
from stayfinite.repair.engine.samples import Sample, Samples
from stayfinite.repair.formula import Node, walk

DEPTH = 3
WIDTH = 3  # unfinished rewrites that are carried to the next level
KEPT = 8
STRANGE = 50  # the weight of a number with more digits than a person writes
MISS = 25  # the weight of one miss at a directed sample, in units of the size of the formula

Proposal = tuple[Node, str, tuple[Assumption, ...]]
Proposer = Callable[[Context, Node], Iterator[Proposal]]
PROPOSERS: tuple[Proposer, ...] = (
    complements.proposals,
    log_domain.proposals,
    reductions.proposals,
    zero_safe.proposals,
    limits.proposals,
    scaling.proposals,
    saturation.proposals,
)
# Left out where the others have already found a form that is accurate everywhere.
EXPENSIVE = frozenset({saturation.proposals})
# The first proposal that is accurate everywhere is the best: the others are longer series.
CHEAPEST_FIRST = frozenset({limits.proposals})
# Of two right forms, the one with fewer operands bounded is better, even if it is longer.
_LAST = {last_resort.ISLAND: 2, last_resort.BOUND: 4, last_resort.BOUNDS: 6}


@dataclass(frozen=True)
class Candidate:
    """A formula that was priced; `source` is it before lowering, from which the search goes on.

    With `compares_rounded` a compiled program may take the wrong side of a comparison in it.
    """

    root: Node
    source: Node
    price: Price
    trail: tuple[str, ...]
    assumptions: tuple[Assumption, ...]
    num_strange: int = 0
    compares_rounded: bool = False

    @property
    def assumed(self) -> bool:
        """It holds for some signs only."""
        claims = [a for a in self.assumptions if a.claim != "one-hot"]
        return bool(self.price.regressions) or bool(claims)

    @property
    def done(self) -> bool:
        """Right on the samples, around them and on the probes."""
        return self.price.clean and not self.assumed

    def settled(self, start: Candidate) -> bool:
        """Whether it has no miss at directed samples, and is not much longer than before."""
        longer = self.price.size > 1.2 * start.price.size
        return self.done and not self.price.near_miss and not longer

    @property
    def rank(self) -> tuple[float, ...]:
        """Less is better."""
        p = self.price
        kind = sum(weight for rule, weight in _LAST.items() if rule in self.trail)
        wrong = p.wrong_values + p.wrong_gradients
        length = p.size + MISS * p.near_miss + STRANGE * self.num_strange
        worse = p.regressions, self.compares_rounded
        return (not p.clean, wrong, p.wrong_values, kind + self.assumed, *worse, length)


class Search:
    """One search: what was found so far, and the time that is left."""

    def __init__(self, problem: FormulaProblem, seconds: float) -> None:
        self.deadline = time.thread_time() + seconds
        self.problem = problem
        samples = Samples(problem)
        self.context = Context(problem, samples, self.deadline)
        self.pricing = Pricing(problem, samples)
        self.found: dict[Node, Candidate] = {}

    @property
    def late(self) -> bool:
        """The time is used up."""
        return time.thread_time() > self.deadline

    @property
    def ranked(self) -> list[Candidate]:
        """Everything found, best first."""
        return sorted(self.found.values(), key=lambda candidate: candidate.rank)

    def run(self, start: Candidate) -> None:
        """All proposers on the formula, then on the best unfinished rewrites of it."""
        frontier = [start]
        is_undefined = self.context.samples.main.reference.has(Kind.UNDEFINED)
        for _ in range(1 if is_undefined else DEPTH):
            for base in frontier:
                for propose in PROPOSERS:
                    if self.late and base is not start:
                        return
                    best = self.ranked[:1]
                    settled = is_undefined or (bool(best) and best[0].settled(start))
                    if not (propose in EXPENSIVE and (settled or self.late)):
                        self.expand(base, propose)
            best = self.ranked[:1]
            if not best or self.late or best[0].done:
                return
            tried = {candidate.source for candidate in frontier}
            frontier = [c for c in self.ranked if c.source not in tried][:WIDTH]

    def expand(self, base: Candidate, propose: Proposer, *, always: bool = False) -> None:
        """Prices what one proposer makes of a formula; `always` does so after the deadline too."""
        try:
            for source, rule, assumptions in propose(self.context, base.source):
                taken = self._take(base, source, rule, assumptions)
                if self.late and not always:
                    return
                enough = taken is not None and taken.done and not taken.price.near_miss
                if propose in CHEAPEST_FIRST and enough:
                    return
        except (BadFormula, ArithmeticError):
            return  # shapes that do not fit, or a constant out of range, end this proposer

    def _take(
        self, base: Candidate, source: Node, rule: str, assumptions: tuple[Assumption, ...]
    ) -> Candidate | None:
        root = lowered(self.context, source)
        if root is None or root in self.found or root is self.problem.root:
            return None
        price = self.pricing.price(root)
        if price is None:
            return None
        taken = (*base.assumptions, *assumptions)
        trail = (*base.trail, rule)
        num_strange = len(_strange_numbers(root) - _strange_numbers(self.problem.root))
        fragile = price.clean and compares_rounded(self.context, root)
        found = Candidate(root, source, price, trail, taken, num_strange, fragile)
        self.found[root] = found
        return found

    def rewrite(self, candidate: Candidate) -> Rewrite:
        """The candidate with what it does to the value."""
        reference = self.context.samples.main.reference
        signs = self._signs_assumed(candidate)
        assumed = _strictest(dict.fromkeys((*candidate.assumptions, *signs)))
        if not candidate.price.clean:
            has_value = not (reference.has(Kind.UNDEFINED) or reference.has(Kind.NO_ROOM))
            # Next to the point where it fails, the original may lose digits, and this the same.
            cured = has_value and self.pricing.cures(candidate.root)
            value = FixValue.EXACT if cured else FixValue.CHANGED
        elif reference.has(Kind.UNDEFINED):
            value = FixValue.UNDEFINED
        elif reference.has(Kind.NO_ROOM):
            value = FixValue.BOUNDED
        elif candidate.price.regressions and not self._explained(candidate, assumed):
            value = FixValue.CHANGED
        else:
            value = FixValue.EXACT
        return Rewrite(candidate.root, value, candidate.price, candidate.trail, assumed)

    def _explained(self, candidate: Candidate, assumed: tuple[Assumption, ...]) -> bool:
        """Whether a rewrite is worse than the original only where an assumption does not hold."""
        return all(
            any(_fails(assumption, sample) for assumption in assumed)
            for sample in self.pricing.worse_at(candidate.root)
        )

    def _signs_assumed(self, candidate: Candidate) -> Iterator[Assumption]:
        """What must hold for a rewrite that is worse than the original on a probe."""
        if not candidate.price.regressions:
            return
        for leaf, x in self.problem.values.items():
            low = np.asarray(x, np.float64).min(initial=np.inf)
            if low >= 0:
                yield Assumption(leaf, "positive" if low > 0 else "non-negative")


def _strictest(assumptions: Iterable[Assumption]) -> tuple[Assumption, ...]:
    """Without those that follow from another of the same sub-formula."""
    found = list(assumptions)
    strict = {each.node for each in found if each.claim in ("positive", "one-hot", "0 or 1")}
    return tuple(x for x in found if x.node not in strict or x.claim != "non-negative")


def _strange_numbers(root: Node) -> set[float]:
    """The numbers with more digits than one writes by hand."""
    numbers = {number for x in walk(root) if (number := build.number(x)) is not None}
    return {number for number in numbers if len(f"{number:.12g}".strip("-0.")) > 8}


def _fails(assumption: Assumption, sample: Sample) -> bool:
    """Whether an assumption on a sign does not hold at these operands."""
    if assumption.claim in ("one-hot", "0 or 1"):
        return False  # what was recorded as such is the same in every sample
    low = to_float64(sample.floating.value(assumption.node)).min(initial=np.inf)
    return bool(low <= 0 if assumption.claim == "positive" else low < 0)


# Operands at which a formula fails are evaluated on purpose.
@np.errstate(all="ignore")
def search(problem: FormulaProblem, *, seconds: float = 1.0) -> list[Rewrite]:
    """Formulas in the place of the problem's root, best first.

    Empty if the formula is right as it stands, or if nothing was found.

    Raises:
        BadFormula: the formula cannot be evaluated at the operands given.
    """
    each = Search(problem, seconds)
    price = each.pricing.price(problem.root)
    if price is None:
        raise BadFormula("the formula has no floating-point value")
    if price.clean:
        return []
    start = Candidate(problem.root, problem.root, price, (), ())
    each.run(start)
    if not any(candidate.done for candidate in each.found.values()):
        each.expand(start, last_resort.islands, always=True)
    if not any(candidate.price.clean for candidate in each.found.values()):
        each.expand(start, last_resort.bounds, always=True)
    right = [c for c in each.ranked if c.price.clean][:KEPT]
    wrong = [] if right else _least_changed(each)[:KEPT]
    return [each.rewrite(candidate) for candidate in (*right, *wrong)]


def _least_changed(each: Search) -> list[Candidate]:
    """Candidates that are finite at the recorded operands, the closest to the exact value first."""
    order = []
    for candidate in each.found.values():
        broken, distance = each.pricing.deviation(candidate.root)
        if not broken:
            order.append((distance, candidate.rank, candidate))
    return [candidate for _, _, candidate in sorted(order, key=lambda item: item[:2])]
