"""The words for facts of trials and fixes."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import get_args

import pytest

from stayfinite.diagnose.facts.expressions import OutOfRange
from stayfinite.diagnose.facts.inputs import BadValues
from stayfinite.diagnose.finding import Finding
from stayfinite.experiments.changes import (
    BadInitializer,
    BisectedSamples,
    BoundedWeight,
    ClipFromStart,
    EarlierRate,
    EarlierWeights,
    FromEarlierState,
    GrowthRemedy,
    LabelsFromZero,
    LowerRate,
    NarrowWeights,
    NewMomentum,
    NewStatistics,
    NewWeights,
    OptimizerSetting,
    OptimizerVariable,
    OtherBatch,
    OtherHalf,
    OtherLibrarySetting,
    PaddingOnRight,
    RateSource,
    Remedy,
    ScaledData,
    SourcePatch,
    StateOfSteps,
    TriedChange,
    UnmaskedRows,
    UsualRate,
    WiderLayer,
)
from stayfinite.experiments.fix_value import FixValue, Judged
from stayfinite.experiments.remedies.try_remedy import (
    AtFault,
    MovingTargets,
    RemedySearch,
    RepeatedGrowth,
)
from stayfinite.experiments.rollout import Rollout
from stayfinite.experiments.samples_at_fault import SamplesAtFault
from stayfinite.experiments.source_fix import SourceFix
from stayfinite.experiments.try_change import Experiment, NotTried
from stayfinite.frameworks.change import (
    ClipNorm,
    ClipValue,
    LearningRate,
    WiderDtype,
    WithoutSamples,
)
from stayfinite.frameworks.library_setting import LibrarySetting
from stayfinite.frameworks.step import Outcome
from stayfinite.graph.graph import Span
from stayfinite.incident import Objection, TrialKind
from stayfinite.repair import (
    BoundAdded,
    BoundedPart,
    ComputedInFloat32,
    FormWritten,
    NewForm,
    TemplateFact,
    WidePart,
)
from stayfinite.report import sentences, trial_lines
from stayfinite.report.chosen_fix import choose_fix
from stayfinite.report.wording import edits, evidence, findings, fixes, remedies
from stayfinite.report.wording.source_fixes import objection, source_text
from stayfinite.report.wording.trials import trial_of
from stayfinite.report.words import sample_list
from tests.report.incidents import BAD_TARGET, SQRT

EPSILON = OptimizerSetting("Adam", "epsilon", 0.0, (("epsilon", 1e-7),))
SCHEDULE = OptimizerSetting(
    "SGD", "learning_rate", float("nan"), (("learning_rate", 0.001),), "warm"
)
TOO_FAST = OptimizerSetting("LBFGS", "learning_rate", 50.0, (("learning_rate", 0.001),))
LAMBDA = OptimizerSetting("SGD", "learning_rate", 0.0, (("learning_rate", 0.001),), "<lambda>")
CLIPPED = OptimizerSetting("SGD", "clipnorm", 1.0, (("clipnorm", None), ("clipvalue", 0.5)))
CONSTRAINT = OptimizerSetting("SGD", "constraint", None, (("constraint", None),))
INITIALIZER = BadInitializer("net/kernel", "scaled", (3, 4))
DIVISOR_ABOVE_0 = TemplateFact(BoundAdded(BoundedPart.DIVISOR, low="0"))
BETA = LibrarySetting("trainer", "DPOConfig", "beta", "beta", 20.0, 0.1)
ATTENTION = LibrarySetting("attention", "Llama", "attn_implementation", "", "eager")


def later(remedy: GrowthRemedy) -> FromEarlierState:
    return FromEarlierState(remedy, first=0, num_steps=12)


TRIALS = [
    (LearningRate(0.1), "learning-rate", "learning rate / 10"),
    (ClipNorm(1.0), "clipnorm", "clipnorm=1"),
    (ClipValue(0.5), "clipvalue", "clipvalue=0.5"),
    (WiderDtype(), "float64", "float64"),
    (WithoutSamples((3, 7)), "samples", "without samples 3, 7"),
    (BisectedSamples((3,), 6), "samples", "without sample 3"),
    (OtherBatch(4), "batch", "the batch of step 4 in its place"),
    (SourcePatch(), "source", "with the fix"),
    (LabelsFromZero("y"), "data", "1 subtracted from `y`"),
    (
        NewWeights(("clip_encoder/kernel", "b"), 3),
        "weights",
        "3 new values in `clip_encoder/kernel` and 1 more",
    ),
    (EarlierWeights(("net/kernel",), 1, 3), "weights", "`net/kernel` as it was at step 3"),
    (StateOfSteps("m", 3), "weights", "the state that the steps from 3 on make"),
    (NewStatistics("bn/moving_mean"), "statistics", "`bn/moving_mean` as it was created"),
    (NewStatistics("scale", 0.0), "statistics", "0 everywhere in `scale`"),
    (
        NewMomentum("bn", 1.5, 0.99),
        "setting",
        "momentum=0.99, moving statistics as they were created",
    ),
    (WiderLayer("bn", "float16"), "float64", "`bn` in a wider dtype"),
    (EPSILON, "setting", "epsilon=1e-07"),
    (CLIPPED, "setting", "clipnorm=None, clipvalue=0.5"),
    (OptimizerVariable("sgd/momentum", 0.0, None, False), "setting", "`sgd/momentum` set to 0"),
    (
        later(LowerRate(10)),
        "learning-rate",
        "learning rate / 10, 12 steps from step 0 on",
    ),
    (
        later(ScaledData(("x", "y"), ("input", "target"), 255.0)),
        "data",
        "inputs and targets scaled to 1, 12 steps from step 0 on",
    ),
    (
        later(NarrowWeights(("w",), 1.0)),
        "weights",
        "weights initialised as by glorot_uniform, clipnorm=1, 12 steps from step 0 on",
    ),
    (OtherHalf("float16", "float32", True), "setting", "float32 in the place of float16"),
    (OtherLibrarySetting(ATTENTION, "sdpa"), "setting", 'attn_implementation="sdpa"'),
    (BoundedWeight("logit_scale", 90.0, 4.605), "setting", "`logit_scale` at most 4.605"),
    (PaddingOnRight("mask", 2), "data", "padding on the right"),
    (UnmaskedRows("mask", 1), "data", "every key for rows of `mask` without one"),
]

FIXES = [
    (LabelsFromZero("y"), "data", "subtract 1 from `y`, which counts from 1"),
    (
        NewWeights(("net/kernel",), 1, INITIALIZER),
        "data",
        "make `scaled` give finite values for the shape (3, 4): with new values in the place of "
        "the bad value of `net/kernel` this step is finite",
    ),
    (
        EarlierWeights(("net/kernel",), 1, 3),
        "data",
        "restore `net/kernel` from a checkpoint, and look at what writes to it between two steps, "
        "at the saved file and at the memory of the device: with the value of step 3 this step is "
        "finite",
    ),
    (
        StateOfSteps("adam/m", 3),
        "data",
        "look at what writes to `adam/m` between two steps, and at the memory of the device: with "
        "the state that the steps from 3 on make, this step is finite",
    ),
    (
        NewStatistics("bn/moving_mean"),
        "data",
        "load or compute `bn/moving_mean` again: with `bn/moving_mean` as it was created this step "
        "is finite",
    ),
    (
        NewMomentum("bn", 1.5, 0.99),
        "setting",
        "create `bn` with a momentum below 1, as 0.99; it is 1.5",
    ),
    (
        WiderLayer(None, "float16"),
        "setting",
        'create the layer with `dtype="float32"`: beyond the range of float16, this step is finite',
    ),
    (EPSILON, "setting", "create `Adam` with `epsilon=1e-07`, in the place of `epsilon=0`"),
    (
        CLIPPED,
        "setting",
        "create `SGD` with `clipnorm=None` and `clipvalue=0.5`, in the place of `clipnorm=1`",
    ),
    (
        SCHEDULE,
        "setting",
        "make `warm` give a finite learning rate: with 0.001 this step is finite",
    ),
    (
        LAMBDA,
        "setting",
        "make the schedule give a learning rate above 0: with 0.001 this step is finite",
    ),
    (
        TOO_FAST,
        "setting",
        "lower the learning rate of `LBFGS` from 50 to 0.001: with it this step is finite",
    ),
    (
        replace(TOO_FAST, schedule="warm"),
        "setting",
        "make `warm` give a lower learning rate than 50: with 0.001 this step is finite",
    ),
    (
        OptimizerVariable("sgd/learning_rate", 0.001, float("nan"), True),
        "setting",
        "set the learning rate to a finite value: with 0.001 in the place of `sgd/learning_rate`, "
        "nan this step is finite",
    ),
    (
        later(EarlierRate(0.01, 1.5)),
        "setting",
        "do not let the learning rate rise: it was 0.01 and became 1.5: 12 steps from step 0 on "
        "are finite, and the loss does not grow",
    ),
    (
        later(EarlierRate(0.01, 1.5, RateSource("warm_up", Span("/a/train.py", 7, 0, 7, 9, "f")))),
        "setting",
        "do not let `warm_up` (train.py:7) raise the learning rate: it was 0.01 and became 1.5: "
        "12 steps from step 0 on are finite, and the loss does not grow",
    ),
    (
        later(EarlierRate(0.01, 1.5, RateSource("LambdaLR"))),
        "setting",
        "do not let `LambdaLR` raise the learning rate: it was 0.01 and became 1.5: 12 steps from "
        "step 0 on are finite, and the loss does not grow",
    ),
    (
        later(UsualRate(0.001, 3.0)),
        "setting",
        "lower the learning rate from 3 to 0.001: 12 steps from step 0 on are finite, and the loss "
        "does not grow",
    ),
    (
        later(ClipFromStart(1.0)),
        "setting",
        "clip the gradients from the start, as with `clipnorm=1.0`: 12 steps from step 0 on are "
        "finite, and the loss does not grow",
    ),
    (
        later(ScaledData(("x",), ("input",), 255.0)),
        "data",
        "scale `x`, which goes up to 255, to about 1: 12 steps from step 0 on are finite, and the "
        "loss does not grow",
    ),
    (
        OtherHalf("float16", "bfloat16", True),
        "setting",
        "load the model with `dtype=torch.bfloat16`, in the place of float16",
    ),
    (
        OtherHalf("float16", "float32", False),
        "setting",
        "compute in float32, without autocast to float16",
    ),
    (
        OtherLibrarySetting(BETA, 0.1),
        "setting",
        "create `DPOConfig` with `beta=0.1`, in the place of `beta=20`",
    ),
    (
        BoundedWeight("logit_scale", 90.0, 4.605),
        "setting",
        "keep `logit_scale` at most 4.605, as with `clamp_` after each update; it is 90, and its "
        "exponential is taken",
    ),
    (
        PaddingOnRight("mask", 2),
        "data",
        'pad on the right (`padding_side="right"`): 2 rows of `mask` have the padding on the left',
    ),
    (
        UnmaskedRows("mask", 1),
        "data",
        "give every key to a row of `mask` without one; 1 row has none",
    ),
]


@pytest.mark.parametrize(("change", "kind", "said"), TRIALS, ids=lambda value: type(value).__name__)
def test_change_in_words(change, kind, said):
    trial = trial_of(Experiment(change, None, finite=True, is_fix=True))
    assert (trial.kind, trial.change) == (TrialKind(kind), said)


def test_every_change_has_words():
    assert {type(change) for change, _, _ in TRIALS} == set(get_args(TriedChange))


@pytest.mark.parametrize(("remedy", "kind", "said"), FIXES, ids=lambda value: type(value).__name__)
def test_remedy_in_words(remedy, kind, said):
    assert fixes.remedy_text(remedy) == (kind, said)


def test_every_remedy_has_words():
    assert {type(remedy) for remedy, _, _ in FIXES} == set(get_args(Remedy))


AT_FAULT = [
    (EPSILON, "the update is nan; `epsilon=0` of `Adam` is at fault"),
    (SCHEDULE, "the update is nan; the learning rate nan of `warm` is at fault"),
    (LAMBDA, "the update is nan; the learning rate 0 of the schedule is at fault"),
    (CONSTRAINT, "the update is nan; a constraint of the weights is at fault"),
    (
        NewMomentum("bn", 1.5, 0.99),
        "the update is nan; the momentum of `bn` is 1.5, and has to be from 0 to 1",
    ),
    (WiderLayer("bn", "float16"), "the update is nan; float16 ends at 65504"),
    (WiderLayer("bn", "bfloat16"), "the update is nan"),
    (
        INITIALIZER,
        "weight `net/kernel` was created non-finite: its initializer `scaled` gives such values",
    ),
]


@pytest.mark.parametrize(("at_fault", "said"), AT_FAULT)
def test_what_is_at_fault_in_words(at_fault, said):
    assert fixes.at_fault_message("the update is nan", at_fault) == said


def test_everything_that_can_be_at_fault_has_words():
    assert {type(at_fault) for at_fault, _ in AT_FAULT} == set(get_args(AtFault))


@pytest.mark.parametrize(
    ("result", "outcome", "said"),
    [
        (Rollout((2.0, 1.5), True, True), "finite", "loss 2 at first, 1.5 at last"),
        (Rollout((), True, False), "finite", "no step was made"),
        (NotTried("TypeError", "no"), "not-tried", "could not be tried: TypeError: no"),
        (NotTried(None, "stale source"), "not-tried", "could not be tried: stale source"),
    ],
)
def test_result_in_words(result, outcome, said):
    trial = trial_of(Experiment(later(LowerRate(10)), result, finite=True))
    assert (trial.outcome, trial.detail) == (outcome, said)


def test_growth_in_words():
    repeated = RepeatedGrowth(3, Rollout((1.0, 10.0, 1e3, 1e9, 1e20, float("inf")), False, False))
    assert evidence.growth(repeated) == (
        "made again, steps 3, 4, 5, 7, 8 have the loss 1, 10, 1e+03, 1e+20, inf"
    )
    assert evidence.growth(replace(repeated, rate=2.25)).startswith(
        "made again with the learning rate 2.25 of this step, steps 3, 4"
    )
    assert evidence.growth(MovingTargets("q", 1.0, 900.0, 5)).startswith(
        "`q` grew as well, from 1 to 900 in 5 steps"
    )


def test_samples_that_do_not_fail_alone():
    found = SamplesAtFault((6,), finite_alone=(2, 9))
    assert evidence.samples_at_fault(found) == [
        "without sample 6 the step is finite; samples 2, 9 do not fail alone"
    ]


def test_all_samples_of_a_batch_are_every_sample():
    assert sample_list(range(64), 64) == "every sample"
    assert sample_list(range(63), 64) == "samples 0, 1, 2 and 60 more"
    facts = BadValues(("nan",), False, 1.0, 1.0, 64, 64, None, None)
    finding = Finding("bad-input", facts, "input", samples=tuple(range(64)), tensor="x")
    assert "(every sample)" in remedies.remedy(finding, num_samples=64)


def test_bad_sample_weights_are_no_target():
    facts = BadValues(("-inf",), False, 1.0, 1.0, 1, 64, None, None)
    finding = Finding("bad-target", facts, "sample weight", tensor="w")
    assert findings.message(finding) == "sample weight `w` of the batch holds -inf"
    incident = dataclasses.replace(
        BAD_TARGET,
        origin=dataclasses.replace(BAD_TARGET.origin, op="sample weight", tensor="w", file=None),
    )
    assert sentences.place(incident, 80).startswith("sample weight `w`")


def test_a_trial_that_could_not_be_run_did_not_fail():
    reason = NotTried("TypeError", "the rate of this optimizer is a function")
    untried = trial_of(Experiment(LearningRate(0.1), reason, finite=False))
    ran = trial_of(Experiment(ClipNorm(1.0), Outcome(float("nan"), {}, ()), finite=False))
    incident = dataclasses.replace(SQRT, trials=(untried, ran))
    assert trial_lines.not_tried(incident) == "could not be tried: learning rate / 10"
    assert "learning rate" not in trial_lines.not_the_cause(incident)
    assert "clipnorm" in trial_lines.not_the_cause(incident)


def test_float64_with_a_rounded_epsilon_says_nothing_of_precision():
    bad = Outcome(float("nan"), {}, ())
    trials = tuple(
        trial_of(Experiment(c, bad, finite=False)) for c in (WiderDtype(), ClipNorm(1.0))
    )
    incident = dataclasses.replace(SQRT, trials=trials)
    assert "precision (float64)" in trial_lines.not_the_cause(incident)
    rounded = dataclasses.replace(incident.cause, name="epsilon-underflow")
    said = trial_lines.not_the_cause(dataclasses.replace(incident, cause=rounded))
    assert said == "not the cause: gradient size (clipnorm=1): still non-finite with it"


def test_an_edit_at_several_places_is_told_once():
    clamp = TemplateFact(BoundAdded(BoundedPart.ARGUMENT, "log", low="0"))
    judged = Judged(FixValue.EXACT)
    fix = SourceFix((clamp, clamp, DIVISOR_ABOVE_0), "", 0, None, None, judged)
    said = "keep the argument of `log` above 0 (2 places); keep the divisor above 0"
    assert source_text(fix, "log") == said


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        (BoundAdded(BoundedPart.BASE, "**", "-9", "9"), "keep the base of `**` between -9 and 9"),
        (
            BoundAdded(BoundedPart.PREDICTIONS, low="0"),
            "keep the predictions above 0 in the loss",
        ),
        (
            BoundAdded(BoundedPart.OPERAND_OF_ACTIVATION, high="20"),
            "keep the operand of the activation below 20",
        ),
        (
            ComputedInFloat32(WidePart.LAYER, "Dense"),
            "compute this `Dense` layer in float32",
        ),
        (FormWritten(NewForm.ZERO_WHERE_EMPTY), "0 where `the reduction` has no elements"),
        (FormWritten(NewForm.FINITE_MASK, number="-1e9"), "mask with -1e9, which is finite"),
    ],
)
def test_what_a_template_does(fact, said):
    assert edits.template(TemplateFact(fact)) == said
    assert edits.template(TemplateFact(fact, 2, "loss")) == f"{said} (2 places in `loss`)"
    assert edits.template(TemplateFact(fact, 3)) == f"{said} (3 places in `the module`)"


@pytest.mark.parametrize("kind", [*BoundedPart, *WidePart, *NewForm])
def test_every_edit_of_a_template_has_words(kind):
    match kind:
        case BoundedPart():
            fact = BoundAdded(kind, "log", "0", "1")
        case WidePart():
            fact = ComputedInFloat32(kind, "Dense")
        case NewForm():
            fact = FormWritten(kind, "log", "1")
    assert "None" not in edits.template(TemplateFact(fact))


def test_what_a_fix_leaves_as_it_is_is_told():
    fix = SourceFix(
        (TemplateFact(ComputedInFloat32(WidePart.OPERATION)),),
        "",
        8,
        None,
        None,
        Judged(FixValue.EXACT, 1.6),
    )
    rounded = dataclasses.replace(fix, gradient_error=0.01)
    assert source_text(rounded, "power") == "compute this in float32"
    far = dataclasses.replace(fix, gradient_error=9.1)
    assert "gradients up to 9 times their largest element" in source_text(far, "power")
    logged = dataclasses.replace(fix, bad_line=24)
    assert "; line 24 of the patched file still makes" in source_text(logged, "log")


def test_an_infinite_gradient_is_to_be_checked():
    judged = Judged(FixValue.UNDEFINED, 1.6, lacks_gradient=True)
    fix = SourceFix((DIVISOR_ABOVE_0,), "", 0, None, None, judged, "p")
    said = (
        "check `p`: `entr` has an infinite gradient there. If it is as intended: keep the divisor"
    )
    said += " above 0"
    assert source_text(fix, "entr") == said
    assert not fix.verified


def test_a_fix_that_could_not_be_tried_says_why():
    judged = Judged(FixValue.EXACT, 46.6)
    fix = SourceFix((DIVISOR_ABOVE_0,), "", 5, None, NotTried("TypeError", "no float64"), judged)
    assert fix.objection is Objection.NOT_TRIED
    assert objection(fix) == "the fix could not be tried: TypeError: no float64"


@pytest.mark.parametrize(
    ("trouble", "certainty"),
    [(Objection.DOES_NOT_GO_ON, "confirmed"), (Objection.CHANGES_HEALTHY_STEPS, "likely")],
)
def test_an_exact_step_confirms_its_cause_whatever_the_steps_after_it_do(trouble, certainty):
    judged = Judged(FixValue.EXACT, 46.6)
    fix = SourceFix((DIVISOR_ABOVE_0,), "-a\n+b", 5, None, trouble, judged)
    finding = Finding("overflow", OutOfRange(97.0, "float32", 3.4e38, 1, 8), "exp")
    chosen = choose_fix(finding, None, SamplesAtFault(None), fix, None, RemedySearch(), 8)
    assert chosen.certainty == certainty
    assert not chosen.fix.verified
    assert chosen.fix.objection_kind is trouble
    assert chosen.fix.objection == objection(fix) != ""
