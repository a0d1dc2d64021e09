"""Whether a fix gives the failing step the value that an expert's twin gives it.

Both scripts are trained without the guard, with the same seeds. Their models are compared in the
order in which they reach the failing step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.answer import Answer, ProposedFix
from zoo.case import Case
from zoo.patching import CannotApply, apply_diff
from zoo.running import Environment, copied, run

PROBES = {"plain-jax": "zoo.probing_jax", "plain-torch": "zoo.probing_torch"}
# Relative to the twin's loss.
LOSS_TOLERANCE = 1e-3
# Relative to the largest entry of that tensor in the twin, plus a share of the largest of all
# gradients: a gradient that is 0 but for rounding has no relative error.
GRADIENT_TOLERANCE = 1e-2
ROUNDING_SHARE = 1e-4
# Weights before the step, relative to the largest entry of each tensor, plus the same share of the
# largest of all: the scripts round differently in the steps before.
BEFORE_TOLERANCE = 1e-3

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Comparison:
    """`same` is None where the step of the two scripts cannot be compared; `detail` says why, or
    what differs. `loss` and `twin_loss` are those of the failing step.
    """

    same: bool | None
    detail: str
    loss: float | None = None
    twin_loss: float | None = None


def with_values(case: Case, on: Environment, answer: Answer) -> Answer:
    """The answer with the comparison of its source diff filled in, if there is one.

    Only for cases that an expert changes in the source, too: other twins have other data.
    """
    fix = answer.fix
    if fix is None or fix.diff is None or case.fix != "source":
        return answer
    found = compare_with_twin(case, on, fix)
    return replace(
        answer,
        fix=replace(
            fix,
            same_value=found.same,
            difference=found.detail or None,
            step_loss=_if_finite(found.loss),
            twin_loss=_if_finite(found.twin_loss),
        ),
    )


def _if_finite(loss: float | None) -> float | None:
    return loss if loss is not None and math.isfinite(loss) else None


def compare_with_twin(case: Case, on: Environment, fix: ProposedFix) -> Comparison:
    """Train the script with the diff, and the twin, and compare the failing step."""
    step = case.step_on(on.backend)
    with copied(case.path) as patched:
        try:
            apply_diff(fix.diff or "", patched)
        except CannotApply as error:
            return Comparison(None, str(error))
        mine, said = _probed(patched, step, on)
    with copied(case.twin) as twin:
        theirs, twin_said = _probed(twin, step, on)
    if not mine:
        return Comparison(None, f"the script with the fix does not reach step {step}: {said}")
    if not theirs:
        return Comparison(None, f"the twin does not reach step {step}: {twin_said}")
    for model in range(max(map(_num_models, (mine, theirs)))):
        found = compare(_of(mine, model), _of(theirs, model), case.cause == "bad-update")
        if found.same is not True:
            break
    return found


def _probed(script: Path, step: int, on: Environment) -> tuple[dict[str, Array], str]:
    file = script.with_suffix(".npz")
    module = PROBES.get(on.backend, "zoo.probing")
    ran = run(["-m", module, str(step), file.name, script.name], on, script.parent)
    if not file.exists():
        return {}, ran.trouble or "it writes no record"
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays), ran.trouble or "its training is shorter"


def _num_models(arrays: Arrays) -> int:
    return 1 + max(int(name.split("/")[0]) for name in arrays)


def _of(arrays: Arrays, model: int) -> dict[str, Array]:
    prefix = f"{model}/"
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def compare(mine: Arrays, theirs: Arrays, with_update: bool = False) -> Comparison:
    """One step of a model in two scripts: loss, gradients, and weights that are not trained.

    With `with_update`, the change of the trained weights, too. An optimizer that divides a gradient
    by its own size makes a large change out of a rounding error, so it is not compared otherwise.
    """
    loss, twin_loss = _loss(mine), _loss(theirs)
    different = _differ_before(mine, theirs)
    if different:
        return Comparison(None, different, loss, twin_loss)
    if loss is None or twin_loss is None:
        return Comparison(None, "the step does not end", loss, twin_loss)
    unsound = [name for name, value in theirs.items() if not np.all(np.isfinite(value))]
    if unsound:
        return Comparison(None, f"{unsound[0]} of the twin is not finite", loss, twin_loss)
    if not abs(loss - twin_loss) <= LOSS_TOLERANCE * abs(twin_loss) + 1e-6:
        return Comparison(False, f"loss {loss:.6g}, twin {twin_loss:.6g}", loss, twin_loss)
    for what, ours, twins in (
        ("gradient", _group(mine, "gradients"), _group(theirs, "gradients")),
        ("state", _changes(mine, False), _changes(theirs, False)),
        *([("update", _changes(mine, True), _changes(theirs, True))] if with_update else []),
    ):
        detail = _differ(what, ours, twins)
        if detail:
            return Comparison(False, detail, loss, twin_loss)
    return Comparison(True, "", loss, twin_loss)


def _loss(arrays: Arrays) -> float | None:
    """The log `loss`; the sum of all logs where a script names it otherwise."""
    logs = _group(arrays, "logs")
    if not logs:
        return None
    return float(logs["loss"] if "loss" in logs else sum(logs.values()))


def _group(arrays: Arrays, group: str) -> dict[str, Array]:
    prefix = f"{group}/"
    return {name: value for name, value in arrays.items() if name.startswith(prefix)}


def _changes(arrays: Arrays, trainable: bool) -> dict[str, Array]:
    """What the step adds to the weights that are trainable, or to those that are not."""
    return {
        f"weight {i}": arrays[f"after/{i}"] - arrays[f"before/{i}"]
        for i, is_trainable in enumerate(arrays["trainable"])
        if bool(is_trainable) is trainable
    }


def _differ_before(mine: Arrays, theirs: Arrays) -> str:
    ours, twins = _group(mine, "before"), _group(theirs, "before")
    if {k: v.shape for k, v in ours.items()} != {k: v.shape for k, v in twins.items()}:
        return "the twin has other weights"
    largest = max((_largest(value) for value in twins.values()), default=0.0)
    for name, value in twins.items():
        gap = float(np.max(np.abs(ours[name] - value), initial=0.0))
        allowed = BEFORE_TOLERANCE * (_largest(value) + largest)
        if not gap <= allowed:
            return f"the steps before differ: {name} by {gap:.2g} of {_largest(value):.2g}"
    return ""


def _differ(what: str, ours: Arrays, twins: Arrays) -> str:
    if what == "gradient" and twins and not ours:
        return "no gradient is applied: a loss scale skips the step"
    if ours.keys() != twins.keys():
        return f"{len(ours)} {what}s, twin {len(twins)}"
    largest = max((_largest(value) for value in twins.values()), default=0.0)
    for name, value in twins.items():
        if ours[name].shape != value.shape:
            return f"{name} of another shape"
        gap = float(np.max(np.abs(ours[name] - value), initial=0.0))
        allowed = GRADIENT_TOLERANCE * _largest(value) + ROUNDING_SHARE * largest
        if not gap <= allowed:
            name = name.rpartition("/")[2]
            return f"{what} {name} differs by {gap:.3g} of {_largest(value):.3g}"
    return ""


def _largest(value: Array) -> float:
    return float(np.max(np.abs(value), initial=0.0))
