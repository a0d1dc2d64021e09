"""What to change where the line at fault is of a library: its arguments, its data, its dtype.

The sources are reports of users of transformers, TRL and PyTorch: transformers#32390 and #33333
(rows without a key), pytorch#70348 and trl#6668 (labels that are all ignored), transformers#9295
(float16 of a bfloat16 model), trl#2564 (log of a probability that is 1).
"""

from __future__ import annotations

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
        "see that each batch has a label to learn from: where all labels are -100, as after the "
        "truncation of long prompts, the mean is over nothing; raise the maximal length, or leave "
        "such samples out in the collator"
    ),
    "log-of-zero": (
        "use the loss of the library that is computed from logits, in float32; a probability that "
        "was rounded to 0 or 1 has no logarithm"
    ),
    "overflow": (
        "limit what goes into the exponential: a smaller learning rate, clipped log ratios or a "
        "smaller KL coefficient, and float32 for the loss"
    ),
}


def remedy(cause: str) -> str | None:
    """What helps against `cause` in a library; None where nothing is known."""
    return _BY_CAUSE.get(cause)
