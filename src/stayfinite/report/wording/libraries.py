"""What to change where the line at fault is of a library: its arguments, its data, its dtype.

Remedies that were tried have the values of the trial; the others are advice by the cause.

The sources are reports of users of transformers, TRL and PyTorch: transformers#32390 and #33333
(rows without a key), pytorch#70348 and trl#6668 (labels that are all ignored), transformers#9295
(float16 of a bfloat16 model), trl#2564 (log of a probability that is 1).
"""

from __future__ import annotations

from stayfinite.experiments.changes import (
    BoundedWeight,
    LibraryRemedy,
    OtherHalf,
    OtherLibrarySetting,
    PaddingOnRight,
    UnmaskedRows,
)
from stayfinite.frameworks.library_setting import LibrarySetting, SettingValue
from stayfinite.incident import FixKind
from stayfinite.report.words import number, plural

_BY_CAUSE = {
    "half-overflow": (
        "load the model with dtype=torch.bfloat16, which has the range of float32, or with "
        "dtype=torch.float32; with fp16=True keep its weights in float32"
    ),
    "fully-masked-row": (
        'pad on the right (padding_side="right"), or mask padding with a large negative number, '
        'so that each row of the attention mask has a key; attn_implementation="sdpa" gives 0 '
        "for a row without one"
    ),
    "empty-reduction": (
        "see that what is summed up in the divisor is not empty or 0: of labels, each batch needs "
        "one that is not -100, also after the truncation of long prompts (raise the maximal "
        "length, or leave such samples out in the collator)"
    ),
    "log-of-zero": (
        "see which of the arguments of this call is 0; where it is a probability that was rounded, "
        "use the loss of the library that is computed from logits, in float32"
    ),
    "overflow": (
        "limit what goes into the exponential: a smaller learning rate, clipped log ratios or a "
        "smaller KL coefficient, and float32 for the loss"
    ),
}


def remedy_text(remedy: LibraryRemedy) -> tuple[FixKind, str]:
    """The kind of a remedy that was shown, and what to do."""
    match remedy:
        case OtherHalf():
            return "setting", _dtype(remedy)
        case OtherLibrarySetting(setting, value):
            return "setting", _setting(setting, value)
        case BoundedWeight(name, given, bound):
            return "setting", (
                f"keep `{name}` at most {number(bound)}, as with `clamp_` after each update; it is "
                f"{number(given)}, and its exponential is taken"
            )
        case PaddingOnRight(mask, num_rows):
            rows = plural(num_rows, "row")
            return "data", (
                f'pad on the right (`padding_side="right"`): {rows} of `{mask}` '
                f"{'has' if num_rows == 1 else 'have'} the padding on the left"
            )
        case UnmaskedRows(mask, num_rows):
            rows = plural(num_rows, "row")
            return "data", (
                f"give every key to a row of `{mask}` without one; {rows} "
                f"{'has' if num_rows == 1 else 'have'} none"
            )


def tried(remedy: LibraryRemedy) -> str:
    """The change of a trial."""
    match remedy:
        case OtherHalf(given, dtype):
            return f"{dtype} in the place of {given}"
        case OtherLibrarySetting(setting, value):
            return _named(setting, value)
        case BoundedWeight(name, _, bound):
            return f"`{name}` at most {number(bound)}"
        case PaddingOnRight():
            return "padding on the right"
        case UnmaskedRows(mask):
            return f"every key for rows of `{mask}` without one"


def _dtype(remedy: OtherHalf) -> str:
    given, dtype = remedy.given, remedy.dtype
    if remedy.of_weights:
        return f"load the model with `dtype=torch.{dtype}`, in the place of {given}"
    if dtype == "float32":
        return f"compute in float32, without autocast to {given}"
    return (
        f'let autocast compute in {dtype} (`bf16=True`, `precision="bf16-mixed"`), in the place of '
        f"{given}"
    )


def _setting(setting: LibrarySetting, value: SettingValue) -> str:
    new, given = _named(setting, value), _named(setting, setting.value)
    match setting.kind:
        case "trainer" | "config":
            return f"create `{setting.owner}` with `{new}`, in the place of `{given}`"
        case "attention":
            return f"load `{setting.owner}` with `{new}`, in the place of `{given}`"
        case "loss":
            return (
                f"set `{new}` in the loss, which is then 0 with its gradient where it is infinite"
            )
    return f"make the model with `{new}`, in the place of `{given}`"


def _named(setting: LibrarySetting, value: SettingValue) -> str:
    """`beta=0.1`, `attn_implementation="sdpa"`."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f'{setting.name}="{text}"' if isinstance(value, str) else f"{setting.name}={text}"


def remedy(cause: str) -> str | None:
    """What helps against `cause` in a library; None where nothing is known."""
    return _BY_CAUSE.get(cause)
