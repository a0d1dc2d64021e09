"""The facts of provenance as sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stayfinite.diagnose.numbers import samples_named
from stayfinite.diagnose.provenance import EqualSides, Fact, SameInputs, ZeroOutputs

_FILES_NAMED = 3


def sentences(
    facts: Iterable[Fact], samples: tuple[int, ...], num_samples: int | None
) -> list[str]:
    """One sentence a fact, nearest to the failure first."""
    whose = _samples(samples, num_samples)
    return [_sentence(fact, whose) for fact in facts]


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


def _sentence(fact: Fact, whose: str) -> str:
    match fact:
        case EqualSides(text):
            return f"`{text}` is 0 {whose}: its two sides are equal"
        case ZeroOutputs(layer, num_outputs):
            noun = "the output" if num_outputs == 1 else f"all {num_outputs} outputs"
            return f"{noun} of layer `{layer}` {'is' if num_outputs == 1 else 'are'} 0 {whose}"
        case SameInputs(names):
            listed = " and ".join(f"`{name}`" for name in names)
            return f"the inputs {listed} hold the same data {whose}"


def _samples(samples: tuple[int, ...], num_samples: int | None) -> str:
    if num_samples == len(samples):
        return "in the whole batch" if len(samples) > 1 else "in the only sample of the batch"
    return f"in {samples_named(samples)}"
