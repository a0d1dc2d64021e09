"""A case and the answer of a tool that knows everything about it."""

from pathlib import Path

from zoo.answer import Answer, ProposedFix
from zoo.case import Case

CASE = Case(
    id="log_of_zero/entropy",
    path=Path("entropy.py"),
    cause="log-of-zero",
    steps=(("jax", 12),),
    rows=(1, 3),
    fix="source",
    value="exact",
    line=20,
    backends=("jax",),
)
RIGHT = Answer(
    stopped=True,
    wall_seconds=9.0,
    step=12,
    cause="log-of-zero",
    lines=(20,),
    rows=(1, 3),
    op="log",
    fix=ProposedFix(
        True, "source", "add an epsilon", "--- a\n", holds=True, value="exact", same_value=True
    ),
    report_seconds=1.5,
    said="log of 0",
)
