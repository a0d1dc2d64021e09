"""From a failing formula to formulas with the exact value, best first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.repair.engine import limits, log_domain, reductions, saturation, scaling, zero_safe
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.evaluate import BadFormula
from stayfinite.repair.engine.lowering import lowered
from stayfinite.repair.engine.pricing import Pricing
from stayfinite.repair.engine.problem import Assumption, FixValue, Price, Problem, Rewrite
from stayfinite.repair.engine.reference import Kind
from stayfinite.repair.engine.samples import Samples
from stayfinite.repair.formula import Node

DEPTH = 3
WIDTH = 3  # unfinished rewrites that are carried to the next level
KEPT = 8

Proposal = tuple[Node, str, tuple[Assumption, ...]]
Proposer = Callable[[Context, Node], Iterator[Proposal]]
PROPOSERS: tuple[Proposer, ...] = (
    log_domain.proposals,
    reductions.proposals,
    scaling.proposals,
    zero_safe.proposals,
    limits.proposals,
    saturation.proposals,
)
# Left out where the others have already found a form that nothing speaks against.
EXPENSIVE = frozenset({saturation.proposals})


@dataclass(frozen=True)
class Candidate:
    """A formula that was priced; `source` is it before lowering, from which the search goes on."""

    root: Node
    source: Node
    price: Price
    trail: tuple[str, ...]
    assumptions: tuple[Assumption, ...]

    @property
    def rank(self) -> tuple[object, ...]:
        """Less is better."""
        p = self.price
        wrong = p.wrong_values + p.wrong_gradients
        assumed = bool(p.regressions) + bool(self.assumptions)
        return (wrong, p.wrong_values, assumed, p.near_miss, p.regressions, p.size, len(self.trail))


def search(problem: Problem, *, seconds: float = 1.0) -> list[Rewrite]:
    """Formulas in the place of the problem's root, best first.

    Empty if the formula is right as it stands, or if nothing at all was found.

    Raises:
        BadFormula: the formula cannot be evaluated at the operands given.
    """
    deadline = time.monotonic() + seconds
    samples = Samples(problem)
    context, pricing = Context(problem, samples), Pricing(problem, samples)
    start = pricing.price(problem.root)
    if start is None:
        raise BadFormula("the formula has no floating-point value")
    if start.clean:
        return []
    first = Candidate(problem.root, problem.root, start, (), ())
    found: dict[Node, Candidate] = {}
    frontier = [first]
    for _ in range(DEPTH):
        for base in frontier:
            _expand(context, pricing, base, found, deadline)
        ranked = sorted(found.values(), key=lambda c: c.rank)
        if not ranked or time.monotonic() > deadline or _done(ranked[0]):
            break
        tried = {c.source for c in frontier}
        frontier = [c for c in ranked if c.source not in tried][:WIDTH]
    ranked = sorted(found.values(), key=lambda c: c.rank)
    return [_rewrite(context, pricing, candidate) for candidate in ranked[:KEPT]]


def _done(best: Candidate) -> bool:
    return best.price.clean and not best.price.regressions and not best.assumptions


def _expand(
    context: Context,
    pricing: Pricing,
    base: Candidate,
    found: dict[Node, Candidate],
    deadline: float,
) -> None:
    for propose in PROPOSERS:
        if propose in EXPENSIVE and any(_done(c) and not c.price.near_miss for c in found.values()):
            continue
        try:
            for source, rule, assumptions in propose(context, base.source):
                _price(context, pricing, base, (source, rule, assumptions), found)
                if time.monotonic() > deadline:
                    return
        except (BadFormula, ArithmeticError):
            continue  # a proposal whose shapes do not fit ends this proposer


def _price(
    context: Context,
    pricing: Pricing,
    base: Candidate,
    proposal: Proposal,
    found: dict[Node, Candidate],
) -> None:
    source, rule, assumptions = proposal
    root = lowered(context, source)
    if root is None or root in found or root is context.problem.root:
        return
    price = pricing.price(root)
    if price is not None:
        taken = (*base.assumptions, *assumptions)
        found[root] = Candidate(root, source, price, (*base.trail, rule), taken)


def _rewrite(context: Context, pricing: Pricing, candidate: Candidate) -> Rewrite:
    reference = context.samples.main.reference
    if not candidate.price.clean:
        value = FixValue.CHANGED
    elif reference.has(Kind.UNDEFINED):
        value = FixValue.UNDEFINED
    elif reference.has(Kind.NO_ROOM):
        value = FixValue.BOUNDED
    else:
        value = FixValue.EXACT
    assumed = (*candidate.assumptions, *_signs_assumed(context, pricing, candidate))
    return Rewrite(
        candidate.root, value, candidate.price, candidate.trail, tuple(dict.fromkeys(assumed))
    )


def _signs_assumed(
    context: Context, pricing: Pricing, candidate: Candidate
) -> Iterator[Assumption]:
    """What must hold for a rewrite that is worse than the original on a probe."""
    if not candidate.price.regressions:
        return
    for leaf, x in context.problem.values.items():
        low = np.asarray(x, np.float64).min(initial=np.inf)
        if low >= 0 and leaf in context.samples.main.floating.known:
            yield Assumption(leaf, "positive" if low > 0 else "non-negative")
