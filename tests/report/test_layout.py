"""The parts of a report that have more cases than the golden files show."""

from __future__ import annotations

import dataclasses

import pytest
from rich.cells import cell_len

from stayfinite.incident import DeviceRun, Fix, Incident, Recurrence, Trial, TrialKind
from stayfinite.report import text
from stayfinite.report.help import help_text
from stayfinite.report.lines import expand_tabs, fill
from stayfinite.report.source_lines import changed_lines, character_column, mark, window
from stayfinite.report.words import sample_list

from .incidents import BAD_INPUT, CASES, SQRT


def replace(incident: Incident, part: str, /, **changes) -> Incident:
    return dataclasses.replace(
        incident, **{part: dataclasses.replace(getattr(incident, part), **changes)}
    )


def marked(line: str, expression: str, **changes) -> str:
    start = len(line[: line.index(expression)].encode())
    end = start + len(expression.encode())
    origin = dataclasses.replace(SQRT.origin, **{"column": start, "end_column": end, **changes})
    found = mark(origin, line)
    return found.text[found.start : found.end]


@pytest.mark.parametrize(
    ("line", "expression", "expected"),
    [
        ("y = ops.log(ops.exp(x))", "ops.log(ops.exp(x))", "ops.log"),
        ("y = x.sum(axis=1).sqrt()", "x.sum(axis=1).sqrt()", "x.sum(axis=1).sqrt"),
        ("y = f(a) / g(b) + 1", "f(a) / g(b)", "f(a) / g(b)"),
        ("größe = K.log(größe_文)", "K.log(größe_文)", "K.log"),
        ("\tz = a / b", "a / b", "a / b"),
        ("\tz = a\t/ b", "a\t/ b", "a   / b"),
        (r"y = f('\d') ** 2", r"f('\d') ** 2", r"f('\d') ** 2"),
    ],
)
def test_carets_mark_what_is_called_or_the_whole_expression(line, expression, expected):
    assert marked(line, expression) == expected


def test_expression_over_several_lines_is_marked_on_its_first():
    assert marked("y = K.sqrt(  ", "K.sqrt(", end_line=17, end_column=3) == "K.sqrt("


def test_columns_beyond_the_line_mark_nothing_and_do_not_fail():
    assert marked("y = 1", "1", column=80, end_column=90) == ""


def test_column_is_in_bytes():
    assert character_column("é文x", 0) == 0
    assert character_column("é文x", 2) == 1
    assert character_column("é文x", 5) == 2
    assert character_column("é文x", 3) == 2  # inside a character: the next one


@pytest.mark.parametrize("position", (0, 10, 150, 290))
def test_window_shows_the_expression(position):
    line = "x" * position + "LOG" + "y" * (300 - position)
    origin = dataclasses.replace(SQRT.origin, column=position, end_column=position + 3)
    shown = window(mark(origin, line), 80)
    assert cell_len(shown.text) <= 80
    assert shown.text[shown.start : shown.end] == "LOG"
    assert shown.text.startswith("...") == (position > 10)
    assert shown.text.endswith("...") == (position < 290)


def test_window_of_a_longer_expression_begins_with_it():
    origin = dataclasses.replace(SQRT.origin, column=50, end_column=290)
    shown = window(mark(origin, "x" * 50 + "L" * 240), 80)
    assert shown.text[shown.start :].startswith("LLL")
    assert shown.end <= len(shown.text)


def test_tabs_stop_at_cells():
    assert expand_tabs("\ta\tb") == "    a   b"
    assert expand_tabs("文\tb") == "文  b"


def test_samples_are_abbreviated():
    assert sample_list((4,)) == "sample 4"
    assert sample_list((4, 19)) == "samples 4, 19"
    assert sample_list(tuple(range(15))) == "samples 0, 1, 2 and 12 more"
    assert sample_list(tuple(range(63)), 64) == "samples 0, 1, 2 and 60 more"


def test_whole_batch_is_no_list():
    assert sample_list(tuple(range(64)), 64) == "every sample"
    assert sample_list((0,), 1) == "the only sample"
    whole = replace(BAD_INPUT, "origin", samples=tuple(range(32)))
    assert "--> input `clips`, every sample" in text.render(whole)


def test_words_wider_than_a_line_are_cut_and_nothing_is_lost():
    lines = fill("ab " + "x" * 50 + " cd", 20, 30, 9)
    assert "".join(lines).replace(" ", "") == "ab" + "x" * 50 + "cd"
    assert [cell_len(line) <= width for line, width in zip(lines, (20, 30, 30), strict=True)]


def test_text_that_is_cut_says_so():
    assert fill("word " * 50, 20, 20, 2)[-1].endswith("...")


def test_removed_line_that_looks_like_a_header_is_kept():
    diff = "--- a.py\n+++ a.py\n@@ -1 +1 @@\n--- x\n+y\n context\n"
    assert changed_lines(diff) == ["--- x", "+y"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("f", "--> train.py:14:16 in f, layer"),
        ("Net.call", "--> train.py:14:16 in Net.call, layer"),
        ("<lambda>", "--> train.py:14:16 in a lambda, layer"),
        ("<module>", "--> train.py:14:16, layer"),
        (None, "--> train.py:14:16, layer"),
    ],
)
def test_function_of_the_place(function, expected):
    assert expected in text.render(replace(SQRT, "origin", function=function))


def test_place_without_column_or_line():
    no_column = replace(SQRT, "origin", column=None, end_column=None)
    assert "--> train.py:14 in triplet_loss" in text.render(no_column)
    assert "^" not in text.render(no_column)
    assert "1 / (2 * sqrt(0)) = inf" in text.render(no_column)
    no_line = replace(no_column, "origin", line=None, end_line=None)
    assert "--> train.py in triplet_loss" in text.render(no_line)
    assert "= values: 1 / (2 * sqrt(0)) = inf for 2 of 32 samples" in text.render(no_line)


@pytest.mark.parametrize(
    ("epoch", "batch", "expected"),
    [
        (3, 45, "= step 812 (epoch 3, batch 45), backward"),
        (3, None, "= step 812 (epoch 3), backward"),
        (None, 45, "= step 812 (batch 45), backward"),
        (None, None, "= step 812, backward"),
    ],
)
def test_when(epoch, batch, expected):
    assert expected in text.render(replace(SQRT, "where", epoch=epoch, batch=batch))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("nan", "loss was nan"), ("-inf", "loss was -inf"), ("2e-07", "loss was finite (2e-07)")],
)
def test_loss(loss, expected):
    assert expected in text.render(replace(SQRT, "spread", loss=loss))


def joined(incident: Incident) -> str:
    return " ".join(text.render(incident).split())


@pytest.mark.parametrize(
    ("verified", "healthy", "outcome", "expected"),
    [
        (True, 8, "finite", "(verified: this step finite, 8 healthy steps unchanged)"),
        (True, 1, "finite", "(verified: this step finite, 1 healthy step unchanged)"),
        (True, 0, "finite", "(verified: this step finite; there was no healthy step to compare)"),
        (False, 8, None, "(not verified: this step was not run with it)"),
        (False, 8, "not-tried", "(not verified: this step was not run with it)"),
        (False, 8, "non-finite", "(not verified: this step was still non-finite with it)"),
        (False, 8, "finite", "(not verified: the exact value of this step could not be computed)"),
    ],
)
def test_proof_of_the_fix(verified, healthy, outcome, expected):
    trial = Trial("with the fix", outcome or "not-tried", "", TrialKind.SOURCE, is_fix=True)
    trials = () if outcome is None else (trial,)
    fix = Fix(verified, "source", "keep the argument above 0", None)
    incident = dataclasses.replace(SQRT, fix=fix, trials=trials, num_healthy_steps=healthy)
    assert expected in joined(incident)
    assert "also finite" not in joined(incident)
    assert "not the cause" not in joined(incident)


@pytest.mark.parametrize(
    ("value", "verified", "loss", "reference", "expected"),
    [
        ("exact", True, 19.71, 19.71, "(verified: exact value (loss 19.71), 8 healthy steps"),
        ("bounded", True, 88.0, 1e60, "(verified: the exact value has no room in this dtype and"),
        ("changed", False, 3.011, 19.71, "this step is 3.011, the exact one 19.71)"),
        ("changed", False, 3.011, 3.0112, "is 3.011 as it should be, but a gradient differs from"),
        ("changed", False, 3.011, None, "changes the value: the loss of this step is 3.011)"),
        ("undefined", False, 3.011, None, "(not verified: the formula is undefined here, so no"),
        ("exact", False, 19.71, 19.71, "with it, but a healthy step was not shown unchanged)"),
    ],
)
def test_value_of_the_fix(value, verified, loss, reference, expected):
    trial = Trial("with the fix", "finite", "", TrialKind.SOURCE, is_fix=True)
    fix = Fix(verified, "source", "keep it above 0", None, value, loss, reference)
    incident = dataclasses.replace(SQRT, fix=fix, trials=(trial,), num_healthy_steps=8)
    assert expected in joined(incident)


@pytest.mark.parametrize(
    ("value", "kind", "why", "expected"),
    [
        ("exact", "fails-compiled", "it grows", "this step was finite with it, but it grows"),
        ("exact", "of-a-later-version", "it is so", "this step was finite with it, but it is so"),
        ("exact", None, "it grows", "this step was finite with it, but it grows"),
        (
            "exact",
            "does-not-go-on",
            "it grows",
            "this step has its exact value with it, but it grows",
        ),
        ("undefined", "lacks-gradient", "there is none", "there is none"),
    ],
)
def test_a_fix_is_not_verified_for_the_reason_that_was_found(value, kind, why, expected):
    trial = Trial("with the fix", "finite", "", TrialKind.SOURCE, is_fix=True)
    fix = Fix(False, "source", "keep it above 0", None, value, objection=why)
    written = dataclasses.replace(SQRT, fix=fix, trials=(trial,)).to_json()
    written["fix"]["objection_kind"] = kind
    incident = Incident.from_json(written)
    assert f"(not verified: {expected})" in joined(incident)


@pytest.mark.parametrize(
    ("verified", "value", "expected"),
    [
        (True, "exact", "(verified: exact value (last of 4 losses 2)"),
        (False, "changed", "changes the value: the last of 4 losses of this step is 2)"),
    ],
)
def test_a_fix_says_which_of_several_losses_it_has(verified, value, expected):
    trial = Trial("with the fix", "finite", "", TrialKind.SOURCE, is_fix=True)
    fix = Fix(verified, "source", "do it", None, value, 2.0, num_losses=4)
    incident = dataclasses.replace(SQRT, fix=fix, trials=(trial,))
    assert expected in joined(incident)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"is_whole_iteration": False}, "unchanged up to the update that failed)"),
        ({"is_healthy_equal": False}, "unchanged but for roundings)"),
    ],
)
def test_a_fix_says_how_far_healthy_steps_are_unchanged(known, expected):
    trial = Trial("with the fix", "finite", "", TrialKind.SOURCE, is_fix=True)
    fix = Fix(True, "source", "do it", None, "exact", **known)
    incident = dataclasses.replace(SQRT, fix=fix, trials=(trial,), num_healthy_steps=8)
    assert f"8 healthy steps {expected}" in joined(incident)


def test_long_fix_text_does_not_hide_its_proof():
    fix = Fix(False, "setting", "word " * 200, None)
    assert "... (not verified:" in joined(dataclasses.replace(SQRT, fix=fix))


def test_trial_that_failed_to_run_excludes_nothing():
    failed = Trial("float64", "not-tried", "could not be tried: TypeError: no", TrialKind.FLOAT64)
    report = text.render(dataclasses.replace(SQRT, trials=(failed,)))
    assert "not the cause" not in report
    assert "= could not be tried: float64\n" in report


def test_a_trial_with_bad_new_state_alone_clears_nothing():
    found = Trial("float64", "non-finite", "", TrialKind.FLOAT64, non_finite=("state",))
    incident = dataclasses.replace(SQRT, trials=(found,))
    report = joined(incident)
    assert "= loss and gradients finite, new state not: float64 =" in report
    assert "not the cause" not in report
    spread = dataclasses.replace(SQRT.spread, loss="1.5", num_gradients_nonfinite=0)
    assert "= not the cause: precision" in joined(dataclasses.replace(incident, spread=spread))


@pytest.mark.parametrize("cause", ["singular-gradient", "fully-masked-row", "not-reproduced"])
def test_heading_on_a_narrow_terminal(cause):
    message = "the gradient of `log_softmax` is infinite at 0 and has no value below it"
    report = text.render(replace(SQRT, "cause", name=cause, message=message), width=40)
    heading = report[: report.index(" --> ")]
    assert " ".join(heading.split()) == f"error[{cause}]: {message}"
    assert all(len(line) <= 40 for line in report.splitlines())


def test_name_of_a_layer_does_not_decide_what_is_cleared():
    change = "3 new values in `clip_encoder/kernel`"
    trial = Trial(change, "non-finite", "loss nan", TrialKind.WEIGHTS)
    report = joined(dataclasses.replace(SQRT, trials=(trial,)))
    assert f"= not the cause: {change}: still non-finite with it" in report
    assert "gradient size" not in report


def test_learning_rate_that_could_not_be_changed_is_not_cleared():
    detail = "could not be tried: the step has no Keras optimizer"
    trial = Trial("learning rate / 10", "not-tried", detail, TrialKind.LEARNING_RATE)
    report = joined(dataclasses.replace(SQRT, trials=(trial,)))
    assert "= could not be tried: learning rate / 10 =" in report
    assert "not the cause" not in report


@pytest.mark.parametrize(
    ("kind", "change", "expected"),
    [
        (TrialKind.SAMPLES, "without sample 4", "(verified: this step finite without sample 4)"),
        (
            TrialKind.BATCH,
            "the batch of step 3 in its place",
            "(verified: this step finite with the batch of step 3 in its place)",
        ),
        (TrialKind.SETTING, "epsilon=1e-07", "(verified: this step and those after it are finite)"),
        (TrialKind.FLOAT64, "`bn` in a wider dtype", "(verified: this step finite in float64)"),
        (TrialKind.OTHER, "by an older version", "(verified: this step finite with it)"),
    ],
)
def test_proof_of_a_fix_that_is_no_edit(kind, change, expected):
    fix = Fix(True, "setting", "do it", None)
    tried = (
        Trial("float64", "finite", "", TrialKind.FLOAT64),
        Trial(change, "finite", "", kind, True),
    )
    report = joined(dataclasses.replace(SQRT, fix=fix, trials=tried))
    assert expected in report
    assert "= also finite: float64 =" in report


def test_samples_are_printed_beside_the_arithmetic():
    report = text.render(dataclasses.replace(SQRT, arithmetic="log(0) = -inf"))
    assert "^ log(0) = -inf for 2 of 32 samples (4, 19)\n" in report


@pytest.mark.parametrize("name", CASES)
def test_nothing_on_disk_is_pointed_at_when_nothing_was_kept(name):
    report = text.render(replace(CASES[name], "kept", incident=""))
    assert "again:" not in report
    assert "replay " not in report.split("help:")[1]
    assert "see )" not in report


def test_no_trials_claim_nothing():
    report = text.render(dataclasses.replace(SQRT, trials=(), fix=None))
    assert "not the cause" not in report
    assert "stays finite" not in report
    assert "help: no fix was found" in report


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("out/8", "again: stayfinite explain out/8"),
        ("out dir/8", "again: stayfinite explain 'out dir/8'"),
        (r"C:\out\8", r"again: stayfinite explain C:\out\8"),
        ("$(rm x)", "again: stayfinite explain '$(rm x)'"),
        ("d/" * 36, "\nagain: stayfinite explain " + "d/" * 36),
        ("d/" * 49, "\nagain: stayfinite explain \\\n" + "d/" * 49),
    ],
)
def test_command_at_the_end_can_be_copied(path, expected):
    assert text.render(replace(SQRT, "kept", incident=path)).endswith(expected)


def test_notes_go_before_reasons_and_reasons_before_the_diff():
    long = dataclasses.replace(
        BAD_INPUT,
        because=("first reason", "second reason", "third reason"),
        notes=("first note", "second note"),
        fix=Fix(False, "source", "do it", "\n".join(f"+line {i}" for i in range(12))),
    )
    report = text.render(long)
    assert "note:" not in report
    assert "first reason" in report
    assert "third reason" not in report
    assert "+ line 1\n" in report
    assert "more lines, see stayfinite-out/102)" in report
    assert len(report.split("\n")) == 24


def test_help_of_a_step_that_is_bad_on_one_device_names_the_other():
    devices = (DeviceRun("cpu:1", False), DeviceRun("cpu:2", None))
    again = Recurrence("persistent-on-device", 4, 4, devices)
    incident = dataclasses.replace(SQRT, fix=None, recurrence=again)
    assert help_text(incident, 100).startswith("train on cpu:1, where this step is finite;")


def test_a_long_fix_is_cut_behind_a_clause_with_the_number_of_those_left_out():
    clauses = "write it anew; right as long as `a` is positive; right for `b` = 2 only; last"
    incident = replace(SQRT, "fix", text=clauses)
    assert help_text(incident, 100).startswith(f"{clauses} (")
    assert help_text(incident, 60).startswith(
        "write it anew; right as long as `a` is positive; and 2 more ("
    )
    assert help_text(incident, 10).startswith("write i... (")
