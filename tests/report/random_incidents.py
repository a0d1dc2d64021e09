"""Incidents that no rule would write: every field at its strangest, from a seed."""

from __future__ import annotations

from random import Random

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
WORDS = (
    "loss", "`conv1/kernel`", "文字", "größe", "e\u0301", "👩‍👩‍👧", "\x1b[31mred\x1b[0m", "\x9b2J",
    "\u202egnp.exe", "\udcff", "a\tb", "a\nb", "\r", "\u2028", "x" * 130, "文" * 90, "/a/b/c.py",
    "\u200b", "\0", "",
)  # fmt: skip


def random_incident(seed: int) -> Incident:
    random = Random(seed)

    def text(most: int = 12) -> str:
        return " ".join(random.choices(WORDS, k=random.randint(0, most)))

    def maybe(value):
        return random.choice((None, value))

    def number():
        return random.choice((None, 0.0, -1.5, 1e-300, float("inf"), float("-inf"), 1e38))

    line = maybe(random.choice((1, 14, 1207, 10**9)))
    samples = tuple(random.sample(range(64), random.randint(0, 40)))
    change = text(3)
    diff = "--- a\n+++ b\n@@ -1 +1 @@\n" + "".join(
        random.choice("+- ") + text(20).replace("\n", "") + "\n"
        for _ in range(random.randint(0, 50))
    )
    return Incident(
        backend="jax",
        versions={"keras": "3.15.1"},
        device=text(2),
        script=maybe(text(2)),
        where=Where(
            maybe(3), maybe(45), random.randint(0, 10**6),
            random.choice(("load", "data", "forward", "backward", "update", "statistics")),
        ),
        cause=Cause(
            random.choice(CAUSES), random.choice(("confirmed", "likely", "unknown")), text(60)
        ),
        origin=Origin(
            op=random.choice(("sqrt", "", text(2))),
            file=maybe(text(3)),
            line=line,
            column=maybe(random.randint(0, 300)),
            end_line=maybe((line or 1) + random.randint(0, 1)),
            end_column=maybe(random.randint(0, 300)),
            function=maybe(random.choice(("<lambda>", "<module>", "A.f.<locals>.<listcomp>", "f"))),
            layer=maybe(text(3)),
            samples=maybe(samples),
            operands=tuple(
                Operand((32,) * random.randint(0, 3), "float32", number(), number(),
                        random.choice((0, 3)))
                for _ in range(random.randint(0, 4))
            ),
            tensor=maybe(text(1)),
        ),
        spread=Spread(
            random.choice(("nan", "inf", "1.98", "", "soon", "\x1b[2J")),
            random.randint(0, 2), random.randint(0, 2), tuple(text(1) for _ in range(3)),
        ),
        trials=tuple(
            Trial(random.choice((change, "clipnorm=1", text(9))),
                  random.choice(("finite", "non-finite", "not-tried")), text(9),
                  random.choice(tuple(TrialKind)), random.choice((True, False)))
            for _ in range(random.randint(0, 9))
        ),
        fix=maybe(Fix(random.choice((True, False)), random.choice(("source", "setting", "data")),
                      random.choice((change, text(90))), maybe(diff),
                      maybe(random.choice(("exact", "bounded", "changed", "undefined"))),
                      number(), number())),
        kept=Kept(maybe(text(9)), random.randint(-1, 9), random.choice(("out/8", text(20)))),
        because=tuple(text(40) for _ in range(random.randint(0, 9))),
        notes=tuple(text(40) for _ in range(random.randint(0, 5))),
        num_rows=maybe(random.choice((0, 1, len(samples), 64))),
        num_healthy_steps=random.randint(0, 8),
        source_line=maybe(random.choice((text(30), "", "\t\treturn ops.log(x)\n"))),
        seconds=maybe(random.choice((1.5, float("inf")))),
        arithmetic=maybe(text(20)),
    )  # fmt: skip
