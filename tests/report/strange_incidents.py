"""Incidents that no rule would write: a strategy that draws each field at its strangest."""

from __future__ import annotations

from hypothesis import strategies as st

from stayfinite.incident import (
    Cause,
    Fix,
    Incident,
    Kept,
    Operand,
    Origin,
    Spread,
    Trial,
    TrialKind,
    Where,
)

CAUSES = ("log-of-zero", "bad-input", "bad-target", "bad-weights", "not-reproduced", "unknown", "?")
# Escape sequences, text that runs backwards, lone surrogates, separators, wide and joined
# characters, a word longer than a line. A manifest may hold any of them.
WORDS = (
    "loss", "`conv1/kernel`", "文字", "größe", "e\u0301", "👩‍👩‍👧", "\x1b[31mred\x1b[0m", "\x9b2J",
    "\u202egnp.exe", "\udcff", "a\tb", "a\nb", "\r", "\u2028", "x" * 130, "文" * 90, "/a/b/c.py",
    "\u200b", "\0", "",
)  # fmt: skip

flags = st.booleans()
numbers = st.one_of(st.none(), st.floats(allow_nan=False))


def words(most: int = 12) -> st.SearchStrategy[str]:
    """Up to `most` words of `WORDS`, or of any characters, with a space between them."""
    word = st.sampled_from(WORDS) | st.text(max_size=8)
    return st.lists(word, max_size=most).map(" ".join)


def maybe(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


def tuples_of(strategy: st.SearchStrategy[object], most: int) -> st.SearchStrategy[object]:
    return st.lists(strategy, max_size=most).map(tuple)


lines = st.sampled_from((1, 14, 1207, 10**9))
columns = st.integers(0, 300)
samples = st.sets(st.integers(0, 63), max_size=40).map(sorted).map(tuple)
changed_line = st.tuples(st.sampled_from("+- "), words(20).map(lambda text: text.replace("\n", "")))
diffs = st.lists(changed_line.map("".join), max_size=50).map(
    lambda changed: "--- a\n+++ b\n@@ -1 +1 @@\n" + "".join(f"{line}\n" for line in changed)
)
places = st.builds(
    Where,
    epoch=maybe(st.just(3)),
    batch=maybe(st.just(45)),
    step=st.integers(0, 10**6),
    phase=st.sampled_from(("load", "data", "forward", "backward", "update", "statistics")),
)
causes = st.builds(
    Cause,
    name=st.sampled_from(CAUSES),
    certainty=st.sampled_from(("confirmed", "likely", "unknown")),
    message=words(60),
)
operands = st.builds(
    Operand,
    shape=tuples_of(st.just(32), 3),
    dtype=st.just("float32"),
    min=numbers,
    max=numbers,
    num_nonfinite=st.sampled_from((0, 3)),
)
origins = st.builds(
    Origin,
    op=st.sampled_from(("sqrt", "")) | words(2),
    file=maybe(words(3)),
    line=maybe(lines),
    column=maybe(columns),
    end_line=maybe(lines),
    end_column=maybe(columns),
    function=maybe(st.sampled_from(("<lambda>", "<module>", "A.f.<locals>.<listcomp>", "f"))),
    layer=maybe(words(3)),
    samples=maybe(samples),
    operands=tuples_of(operands, 4),
    tensor=maybe(words(1)),
)
spreads = st.builds(
    Spread,
    loss=st.sampled_from(("nan", "inf", "1.98", "", "soon", "\x1b[2J")),
    num_gradients=st.integers(0, 2),
    num_gradients_nonfinite=st.integers(0, 2),
    first=tuples_of(words(1), 3),
)
# Few texts, so that the change of a fix is often the change of a trial.
changes = st.sampled_from(("clipnorm=1", "learning rate / 10", "\x1b[31mred\x1b[0m 文字 a\nb"))
trials = st.builds(
    Trial,
    change=changes | words(9),
    outcome=st.sampled_from(("finite", "non-finite", "not-tried")),
    detail=words(9),
    kind=st.sampled_from(TrialKind),
    is_fix=flags,
)
fixes = st.builds(
    Fix,
    verified=flags,
    kind=st.sampled_from(("source", "setting", "data")),
    text=changes | words(90),
    diff=maybe(diffs),
    value=maybe(st.sampled_from(("exact", "bounded", "changed", "undefined"))),
    loss=numbers,
    reference_loss=numbers,
)
incidents = st.builds(
    Incident,
    backend=st.just("jax"),
    versions=st.just({"keras": "3.15.1"}),
    device=words(2),
    script=maybe(words(2)),
    where=places,
    cause=causes,
    origin=origins,
    spread=spreads,
    trials=tuples_of(trials, 9),
    fix=maybe(fixes),
    kept=st.builds(
        Kept,
        weights=maybe(words(9)),
        step=st.integers(-1, 9),
        incident=st.just("out/8") | words(20),
    ),
    because=tuples_of(words(40), 9),
    notes=tuples_of(words(40), 5),
    num_rows=maybe(st.sampled_from((0, 1, 30, 64))),
    num_healthy_steps=st.integers(0, 8),
    source_line=maybe(st.sampled_from(("", "\t\treturn ops.log(x)\n")) | words(30)),
    seconds=maybe(st.sampled_from((1.5, float("inf")))),
    arithmetic=maybe(words(20)),
)
