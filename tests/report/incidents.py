"""The incidents whose reports are kept as golden files, by name."""

from __future__ import annotations

import dataclasses
from typing import Any

from stayfinite.incident import (
    Cause,
    Fix,
    Incident,
    Kept,
    Operand,
    Origin,
    Recurrence,
    Spread,
    Trial,
    TrialKind,
    Where,
)

FAILED = "loss 1.98, 106 of 106 gradients nan"
ADVICE = (
    Trial("learning rate / 10", "non-finite", FAILED, TrialKind.LEARNING_RATE, parameter="/ 10"),
    Trial("clipnorm=1", "non-finite", FAILED, TrialKind.CLIPNORM),
    Trial("clipvalue=0.5", "non-finite", FAILED, TrialKind.CLIPVALUE),
    Trial("float64", "non-finite", FAILED, TrialKind.FLOAT64),
)


def with_the_fix(detail: str = "") -> Trial:
    """The trial of a patch with which the step was finite."""
    return Trial("with the fix", "finite", detail, TrialKind.SOURCE, is_fix=True)


SQRT_LINE = "    positive = K.sqrt(K.sum(K.square(anchor - positive), axis=-1, keepdims=True))"
SQRT_FIXED = """\
+    total = K.sum(K.square(anchor - positive), axis=-1, keepdims=True)
+    at_zero = K.equal(total, 0.0)
+    positive = K.where(at_zero, 0.0, K.sqrt(K.where(at_zero, 1.0, total)))
"""

SQRT = Incident(
    backend="jax",
    versions={"keras": "3.15.1", "jax": "0.10.2"},
    device="cpu",
    script="train.py",
    where=Where(epoch=3, batch=45, step=812, phase="backward"),
    cause=Cause("singular-gradient", "confirmed", "the gradient of `sqrt` is infinite at 0"),
    origin=Origin(
        op="sqrt",
        file="train.py",
        line=14,
        column=15,
        end_line=14,
        end_column=81,
        function="triplet_loss",
        layer="siamese/triplet",
        samples=(4, 19),
        operands=(Operand((32, 1), "float32", 0.0, 3.1, 0),),
    ),
    spread=Spread("1.9800000190734863", 106, 106, ("model_out/kernel", "model_out/bias")),
    trials=(*ADVICE, with_the_fix("loss 1.98, 0 of 106 gradients nan")),
    fix=Fix(
        verified=True,
        kind="source",
        text="write the formula with `where`",
        diff=(
            "--- train.py\n+++ train.py\n@@ -13,2 +13,4 @@\n"
            f" def triplet_loss(anchor, positive):\n-{SQRT_LINE}\n{SQRT_FIXED}"
        ),
        value="exact",
        loss=1.9800000190734863,
        reference_loss=1.9800000190734863,
    ),
    kept=Kept(
        "stayfinite-out/incident-000812/last_good.weights.h5", 811, "stayfinite-out/incident-000812"
    ),
    because=(
        "samples 4 and 19 have anchor == positive: all 128 outputs of `model_out` are 0 there",
    ),
    num_rows=32,
    num_healthy_steps=8,
    source_line=SQRT_LINE,
    arithmetic="1 / (2 * sqrt(0)) = inf",
)


def _like(incident: Incident, **changes: Any) -> Incident:
    """`incident` with fields replaced; `where__step=1` reaches into a part."""
    for key, value in changes.items():
        part, _, name = key.partition("__")
        if name:
            value = dataclasses.replace(getattr(incident, part), **{name: value})
        incident = dataclasses.replace(incident, **{part: value})
    return incident


LOG = _like(
    SQRT,
    where=Where(epoch=0, batch=6, step=6, phase="forward"),
    cause=Cause("log-of-zero", "confirmed", "`log` received a probability that rounded to 0"),
    origin=Origin(
        op="log",
        file="/home/ada/projects/clips/models/heads.py",
        line=9,
        column=30,
        end_line=9,
        end_column=40,
        function="build.<locals>.<lambda>",
        layer="head/log_prob",
        samples=(0, 3, 5, 6, 9, 11, 12, 15),
        operands=(Operand((16, 10), "float32", 0.0, 0.93, 0),),
    ),
    spread=Spread("inf", 14, 12, ("head/dense/kernel",)),
    fix=Fix(
        verified=True,
        kind="source",
        text="keep the argument of `log` above 0",
        diff=(
            "--- heads.py\n+++ heads.py\n@@ -9 +9 @@\n"
            '-    return layers.Lambda(lambda p: ops.log(p), name="log_prob")(x)\n'
            "+    return layers.Lambda(lambda p: ops.log(ops.maximum(p, 1e-7)), "
            'name="log_prob")(x)\n'
        ),
        value="bounded",
        loss=16.12,
    ),
    trials=(*ADVICE[:3], Trial("float64", "finite", "", TrialKind.FLOAT64), with_the_fix()),
    kept=Kept(None, 5, "stayfinite-out/6"),
    because=("the softmax of sample 3 gives 0 to 9 of 10 classes: its inputs span 212",),
    notes=("on TensorFlow this step may stay finite: its gradient of `log` multiplies by 0 first",),
    num_rows=16,
    num_healthy_steps=1,
    source_line='    return layers.Lambda(lambda p: ops.log(p), name="log_prob")(x)',
    origin__column=35,
    origin__end_column=45,
    arithmetic="log(0) = -inf",
)

BAD_INPUT = _like(
    SQRT,
    where=Where(epoch=1, batch=2, step=102, phase="data"),
    cause=Cause("bad-input", "confirmed", "the batch holds nan in 2 of 32 clips"),
    origin=Origin(
        op="input",
        file=None,
        line=None,
        column=None,
        end_line=None,
        end_column=None,
        function=None,
        layer=None,
        samples=(3, 7),
        operands=(Operand((32, 16, 64, 64, 3), "float32", 0.0, 1.0, 393216),),
        tensor="clips",
    ),
    spread=Spread("nan", 62, 62, ("conv1/kernel", "conv1/bias", "bn1/gamma", "bn1/beta")),
    trials=(*ADVICE, Trial("without samples 3, 7", "finite", "loss 2.31", TrialKind.SAMPLES)),
    fix=None,
    kept=Kept("stayfinite-out/102/weights.h5", 101, "stayfinite-out/102"),
    because=(),
    arithmetic=None,
    source_line=None,
)

BAD_TARGET = _like(
    BAD_INPUT,
    cause=Cause("bad-target", "confirmed", "label 10 is outside the 10 classes 0 to 9"),
    origin__file="train.py",
    origin__line=31,
    origin__tensor="y",
    origin__function="<module>",
    origin__samples=(17,),
    origin__operands=(Operand((32,), "int64", 0.0, 10.0, 0),),
    fix=Fix(True, "data", "correct the label of sample 17, or leave the sample out", None),
    trials=(
        *ADVICE,
        Trial("without sample 17", "finite", "loss 2.2", TrialKind.SAMPLES, is_fix=True),
    ),
)

BAD_WEIGHTS = _like(
    BAD_INPUT,
    where=Where(epoch=None, batch=None, step=0, phase="load"),
    cause=Cause("bad-weights", "confirmed", "2 weights were non-finite before the first step"),
    origin__samples=None,
    origin__tensor="conv5_block3_3_conv/kernel",
    origin__layer="resnet50/conv5_block3_3_conv",
    origin__operands=(Operand((1, 1, 512, 2048), "float32", -0.41, 0.62, 3),),
    spread=Spread("nan", 0, 0, ("conv5_block3_3_conv/kernel", "predictions/bias")),
    trials=(
        *ADVICE[:3],
        Trial(
            "float64",
            "not-tried",
            "could not be tried: TypeError: float32 expected",
            TrialKind.FLOAT64,
        ),
    ),
    kept=Kept(None, -1, "stayfinite-out/0"),
    num_rows=None,
)

UNKNOWN = _like(
    SQRT,
    where=Where(epoch=None, batch=None, step=57, phase="update"),
    cause=Cause("unknown", "unknown", "the new state is non-finite; no known cause could be shown"),
    origin__op="custom_call",
    origin__file="optim.py",
    origin__line=203,
    origin__column=8,
    origin__end_line=206,
    origin__end_column=9,
    origin__function="Lion.update_step",
    origin__layer=None,
    origin__samples=None,
    origin__operands=(
        Operand((128, 64), "float32", -4.1e-3, 3.9e-3, 0),
        Operand((128, 64), "float32", 1.0, 1.0, 0),
        Operand((), "float32", 1e-4, 1e-4, 0),
    ),
    spread=Spread("0.6931", 6, 0, ("dense/kernel",)),
    trials=ADVICE,
    fix=None,
    because=(),
    num_rows=None,
    kept=Kept(None, 56, "stayfinite-out/57"),
    source_line="        ops.scatter_update(",
    arithmetic=None,
)

NOT_REPRODUCED = _like(
    UNKNOWN,
    where=Where(epoch=2, batch=19, step=419, phase="forward"),
    cause=Cause(
        "not-reproduced", "unknown", "the loss was nan in training and is finite in every replay"
    ),
    origin=dataclasses.replace(BAD_INPUT.origin, op="", samples=None, operands=(), tensor=None),
    spread=Spread("nan", 62, 0, ()),
    trials=(
        Trial("compiled as in training", "finite", "loss 0.5312"),
        Trial("op by op", "finite", "loss 0.5312"),
        Trial(
            "learning rate / 10", "finite", "loss 0.5312", TrialKind.LEARNING_RATE, parameter="/ 10"
        ),
    ),
    because=("the loss was 0.5312 in 3 replays, compiled and op by op, equal to the last bit",),
    notes=("2 of 3 replays ran on the device of the training, cpu:0",),
    kept=Kept("stayfinite-out/419/weights.h5", 418, "stayfinite-out/419"),
    source_line=None,
)

OTHER_PROCESS = _like(
    NOT_REPRODUCED,
    cause=Cause(
        "not-reproduced",
        "likely",
        "the gradients are a mean over 2 processes, and those of this process alone are finite: "
        "the failure came from another process",
    ),
    recurrence=Recurrence("other-process", 0, 0),
    because=(),
    notes=(),
)

HUGE_DIFF = _like(
    SQRT,
    fix__diff="--- train.py\n+++ train.py\n@@ -1,40 +1,60 @@\n"
    + "".join(f"-    x{i} = K.sqrt(y{i})\n+    x{i} = safe_sqrt(y{i})\n" for i in range(30)),
    because=tuple(f"reason {i}: sample {i} has a distance of exactly 0" for i in range(9)),
    notes=("a note that nobody will read, for there is no room", "another one"),
    num_healthy_steps=0,
)

UNICODE = _like(
    LOG,
    script="entraînement.py",
    origin__file="entraînement.py",
    origin__line=1207,
    origin__function="perte",
    origin__layer="tête/相似度",
    source_line=(
        '\tif "表情" in schlüssel:\treturn café * ops.mean(ops.abs(größe_der_einbettung - '
        "größe_der_anderen_einbettung), axis=-1) + ops.log(wahrscheinlichkeit_文字) * "
        "gewichtung_der_zweiten_hälfte  # 長い行 long line"
    ),
    origin__samples=tuple(range(16)),
    fix__verified=False,
    fix__text="keep the argument of `log` above 0",
    fix__diff=(
        "@@ -1207 +1207 @@\n"
        '-\tif "表情" in schlüssel:\treturn café * ops.mean(ops.abs(größe_der_einbettung - '
        "größe_der_anderen_einbettung), axis=-1) + ops.log(wahrscheinlichkeit_文字)\n"
        '+\tif "表情" in schlüssel:\treturn café * ops.mean(ops.abs(größe_der_einbettung - '
        "größe_der_anderen_einbettung), axis=-1) + ops.log(ops.maximum(wahrscheinlichkeit_文字, "
        "1e-7))\n"
    ),
    trials=ADVICE,
    cause__certainty="likely",
)


def _columns(incident: Incident, expression: str) -> Incident:
    """`incident` with the columns of `expression` in its source line, in bytes as in `ast`."""
    line = (incident.source_line or "").encode()
    start = line.index(expression.encode())
    return _like(
        incident, origin__column=start, origin__end_column=start + len(expression.encode())
    )


UNICODE = _columns(_like(UNICODE, origin__end_line=1207), "ops.log(wahrscheinlichkeit_文字)")

DIVERGENCE = _like(
    SQRT,
    where=Where(epoch=0, batch=12, step=12, phase="forward"),
    cause=Cause(
        "divergence", "confirmed", "the weights grew 40-fold in 5 steps, then `matmul` overflowed"
    ),
    origin__op="matmul",
    origin__line=6,
    origin__column=4,
    origin__end_line=6,
    origin__end_column=31,
    origin__function="<module>",
    origin__layer="sequential/dense_1",
    origin__samples=tuple(range(32)),
    origin__operands=(
        Operand((32, 64), "float32", -3.1e20, 2.9e20, 0),
        Operand((64, 10), "float32", -8.4e18, 7.7e18, 0),
    ),
    spread=Spread("nan", 4, 4, ("dense_1/kernel",)),
    trials=(
        *ADVICE,
        Trial(
            "learning rate / 10 for the last 8 steps",
            "finite",
            "loss 2.29",
            TrialKind.LEARNING_RATE,
        ),
        Trial("learning rate 0.01", "finite", "", TrialKind.LEARNING_RATE, is_fix=True),
    ),
    fix=Fix(True, "setting", "lower the learning rate from 1.0 to 0.01", None),
    because=("the learning rate of 1.0 makes each update larger than the weight it changes",),
    source_line="    keras.layers.Dense(10, name='dense_1'),",
    arithmetic=None,
    kept=Kept("stayfinite-out/12/weights.h5", 11, "stayfinite-out/12"),
)

CASES: dict[str, Incident] = {
    "singular-gradient": SQRT,
    "log-of-zero-in-lambda": LOG,
    "bad-input-samples": BAD_INPUT,
    "bad-target-data-fix": BAD_TARGET,
    "bad-weights": BAD_WEIGHTS,
    "unknown-no-trial-helped": UNKNOWN,
    "not-reproduced": NOT_REPRODUCED,
    "other-process": OTHER_PROCESS,
    "huge-diff": HUGE_DIFF,
    "unicode-tabs-unverified": UNICODE,
    "divergence-setting-fix": DIVERGENCE,
}
