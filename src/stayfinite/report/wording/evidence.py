"""The evidence for a cause, in words: where its values came from, and how they grew."""

from __future__ import annotations

from collections.abc import Sequence

from stayfinite.diagnose.origin import LibraryLine
from stayfinite.diagnose.provenance import EqualSides, ProvenanceFact, SameInputs, ZeroOutputs
from stayfinite.experiments.advice import Advice
from stayfinite.experiments.remedies.try_remedy import (
    MovingTargets,
    NoRepeatedGrowth,
    OutOfTime,
    RepeatedGrowth,
)
from stayfinite.experiments.samples_at_fault import SamplesAtFault
from stayfinite.experiments.try_change import NotTried
from stayfinite.report.wording.trials import not_tried
from stayfinite.report.words import number, plural, sample_list

_FILES_NAMED = 3
_STEPS_SHOWN = 5


def provenance(fact: ProvenanceFact, samples: tuple[int, ...], num_samples: int | None) -> str:
    """What is special about `samples` upstream of the critical value."""
    whose = f"in {sample_list(samples, num_samples)}"
    match fact:
        case EqualSides(text):
            return f"`{text}` is 0 {whose}: its two sides are equal"
        case ZeroOutputs(layer, num_outputs):
            noun = "the output" if num_outputs == 1 else f"all {num_outputs} outputs"
            return f"{noun} of layer `{layer}` {'is' if num_outputs == 1 else 'are'} 0 {whose}"
        case SameInputs(inputs):
            listed = " and ".join(f"`{name}`" for name in inputs)
            return f"the inputs {listed} hold the same data {whose}"


def files(samples: tuple[int, ...], files_of_samples: Sequence[Sequence[str]]) -> list[str]:
    """One sentence on the files that `samples` were read from; none where a sample has no entry."""
    if not samples or max(samples) >= len(files_of_samples):
        return []
    first, *others = samples[:_FILES_NAMED]
    text = f"sample {first} was read from {' and '.join(files_of_samples[first])}"
    text += "".join(
        f", sample {sample} from {' and '.join(files_of_samples[sample])}" for sample in others
    )
    left = len(samples) - 1 - len(others)
    return [f"{text}, and {left} more from others" if left else text]


def inside_library(line: LibraryLine) -> str:
    """The line of a library at which an expression of the user fails."""
    what = "" if line.text is None else f": `{line.text}`"
    return f"inside it fails {line.file}:{line.line} in {line.function}{what}"


def files_unknown(reason: NotTried) -> str:
    """That the data set of the user raised."""
    return f"the data set could not name its files: {not_tried(reason)}"


def samples_at_fault(found: SamplesAtFault) -> list[str]:
    """How the samples were found to be at fault."""
    samples = found.samples or ()
    if found.finite_alone:
        others = sample_list(found.finite_alone)
        verb = "does" if len(found.finite_alone) == 1 else "do"
        return [
            f"without {sample_list(samples)} the step is finite; {others} {verb} not fail alone"
        ]
    if found.bisection is None:
        return []
    if len(samples) == 1:
        return [
            f"{sample_list(samples)} makes this step fail: with another in its place it is finite"
        ]
    text = f"{sample_list(samples)} make this step fail: with others in their place it is finite"
    alone = found.bisection.alone
    if alone is None:
        return [f"{text}; none of them fails alone"]
    return [f"{text}; sample {alone} fails alone"]


def growth(found: RepeatedGrowth | MovingTargets) -> str:
    """How values grew in the steps before."""
    match found:
        case MovingTargets(tensor, before, now, num_steps):
            return (
                f"`{tensor}` grew as well, from {number(before)} to {number(now)} in "
                f"{plural(num_steps, 'step')}: targets that the model itself makes follow it"
            )
        case RepeatedGrowth(first, rollout, rate):
            shown = _spread(rollout.num_steps)
            losses = ", ".join(f"{rollout.losses[n]:.3g}" for n in shown)
            steps = ", ".join(str(first + n) for n in shown)
            noun, verb = ("step", "has") if len(shown) == 1 else ("steps", "have")
            how = "" if rate is None else f" with the learning rate {number(rate)} of this step"
            return f"made again{how}, {noun} {steps} {verb} the loss {losses}"


def unproved(why: NoRepeatedGrowth | OutOfTime) -> str:
    """Why no remedy of a growth is shown."""
    match why:
        case NoRepeatedGrowth():
            return "the growth could not be repeated from an earlier state, so no remedy was proved"
        case OutOfTime():
            return "the time for trials was over before a remedy was proved"


def not_searched(advice: Advice, samples: SamplesAtFault | None) -> list[str]:
    """What was left out to save time."""
    notes = []
    if advice.too_slow is not None:
        notes.append(
            f"float64 was not tried: this step takes {advice.too_slow:.0f} s in its own "
            "precision, and many times that in float64"
        )
    if advice.too_slow_to_compile is not None:
        notes.append(
            f"float64 was not tried: the first run of this step took "
            f"{advice.too_slow_to_compile:.0f} s, most of them to compile it, and float64 has to "
            "be compiled again"
        )
    if samples is not None and samples.too_slow:
        notes.append("samples were not looked for: this step takes over a second")
    return notes


def no_text(file: str) -> str:
    """Why the report shows neither the line nor a fix of it."""
    return (
        f"the text of {file} is not known, so no change of it was tried; run the code from a file "
        "to get one"
    )


def no_text_run_by(function: str) -> str:
    """Why the report shows the line of `exec` or `eval` and not one of the code that it runs."""
    return (
        f"the text that `{function}` runs is not known, so no change of it was tried; run the code "
        "from a file to get one"
    )


def no_site(layer: str) -> str:
    """Why no fix of the line that made a layer was tried, and how to get one."""
    return (
        f"the line that made layer `{layer}` is not known, so no fix of it was tried; make the "
        "Guard before the model, or use `stayfinite run`, to get one"
    )


def _spread(num_steps: int) -> list[int]:
    """Up to five of the numbers from 0 to `num_steps` - 1, evenly spread, both ends among them."""
    last, gaps = num_steps - 1, _STEPS_SHOWN - 1
    return sorted({round(last * n / gaps) for n in range(gaps + 1)})
