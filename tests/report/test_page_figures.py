"""The figures of a page: they show what was measured, and a stranger's file does no harm."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import re
import struct
import zlib

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from stayfinite.experiments.recent_steps import RecentSteps, StepMeasure
from stayfinite.frameworks.loss_log import LoggedLoss
from stayfinite.pages import charts, pictures
from stayfinite.report import folder
from stayfinite.report.figures import FIGURES, Figures, read_figures, write_figures
from stayfinite.report.html import IncidentReport, fragment_of, page, page_of, run_page
from stayfinite.report.html.history import layer_maps_of, timeline_of
from stayfinite.report.html.samples import shown_samples
from tests.report.incidents import SQRT
from tests.report.test_html import EVIL, MAX_BYTES, check

STEPS = tuple(
    StepMeasure(step, loss, 0.1, {EVIL: loss, "dense": 1.0}, {EVIL: loss / 10, "dense": 0.5})
    for step, loss in ((810, 1.0), (811, 10.0), (812, math.nan))
)
FIGURES_OF_SQRT = Figures(
    losses=tuple(LoggedLoss(step, 3, 2.0 + step / 1000) for step in range(790, 812)),
    rates=((790, 0.2), (800, 0.15), (812, 0.1)),
    recent=RecentSteps(STEPS, in_sequence=False),
)


def pixels(url: str) -> np.ndarray:
    """The pixels of a PNG picture as `pages.pictures` writes it."""
    data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    start = data.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompressobj().decompress(data[start:]), np.uint8)
    return rows.reshape(height, 1 + 3 * width)[:, 1:].reshape(height, width, 3)


def test_figures_come_back_as_they_were(tmp_path):
    write_figures(tmp_path, FIGURES_OF_SQRT)
    found = read_figures(tmp_path)
    assert found.losses == FIGURES_OF_SQRT.losses
    assert found.rates == FIGURES_OF_SQRT.rates
    assert found.recent.steps[:2] == STEPS[:2]
    assert math.isnan(found.recent.steps[2].loss)


@pytest.mark.parametrize(
    "content",
    (
        "",
        "[]",
        "{}",
        '{"schema": "stayfinite.figures/2"}',
        '{"schema": "stayfinite.figures/1", "losses": [{"step": 1e400, "loss": 1}]}',
        '{"schema": "stayfinite.figures/1", "losses": [{"step": 1, "epoch": 0, "loss": "x"}]}',
        '{"schema": "stayfinite.figures/1", "rates": [[' + "9" * 400 + ", 1]]}",
        "[" * 100_000,
    ),
)
def test_damaged_figures_are_none(tmp_path, content):
    (tmp_path / FIGURES).write_text(content)
    assert read_figures(tmp_path) == Figures()


def test_page_with_every_figure():
    samples = shown_samples((0,), {EVIL: np.full((2, 16, 16, 3), np.nan), "y": np.arange(2)})
    report = IncidentReport(SQRT, FIGURES_OF_SQRT, samples)
    for text in (page_of(report), fragment_of(report), run_page(EVIL, 3, 813, [report] * 2)):
        said = "".join(check(text).text)
        assert "failing step 812" in said
        assert "the mean of the epoch so far" in said
        assert "Gradient norm" in said


def test_page_of_a_run_stays_below_the_limit():
    noise = np.random.default_rng(0).random((6, 8, 160, 160, 3))
    report = IncidentReport(SQRT, samples=shown_samples(tuple(range(6)), {"x": noise}))
    assert len(page_of(report)) < MAX_BYTES
    text = run_page("train.py", 3, 9, [report] * 20)
    assert len(text) < MAX_BYTES
    assert re.search(r"\d+ more are in their own folders", text)


def test_page_without_figures_has_none():
    assert "Before the failure" not in page(SQRT)
    assert "sf-heat" not in page(SQRT).partition("</style>")[2]


def test_run_without_an_incident_says_so():
    assert "Every training step was finite" in run_page("train.py", 0, 12, ())
    assert "No training step ran" in run_page("train.py", 0, 0, ())


def test_losses_of_a_sequence_are_those_of_the_steps():
    recent = RecentSteps(STEPS, in_sequence=True)
    found = timeline_of(Figures(recent=recent), 812)
    assert [panel.title for panel in found.panels] == ["loss", "gradient norm", "learning rate"]
    assert (found.panels[0].low, found.panels[0].high) == ("1", "10")
    assert (found.first, found.last) == (810, 812)
    # The failing step has no place on the axis of the loss, and its line ends before it.
    assert found.panels[0].line.count("L") == 1


def test_only_losses_of_keras_are_called_those_of_its_logs():
    logged = Figures(losses=(LoggedLoss(810, None, 2.0), LoggedLoss(811, None, 1.0)))
    of_keras = timeline_of(logged, 812)
    of_a_loop = timeline_of(logged, 812, of_keras=False)
    assert of_keras.panels == of_a_loop.panels
    assert "logs of Keras" in " ".join(of_keras.about)
    assert of_a_loop.about == ()


def test_no_timeline_of_the_first_step():
    alone = RecentSteps(STEPS[2:], in_sequence=False)
    assert timeline_of(Figures(recent=alone), 812) is None


def test_heat_map_marks_what_is_not_finite():
    [gradients, updates] = layer_maps_of(FIGURES_OF_SQRT.recent).maps
    assert gradients.steps == (810, 811, 812)
    [(_, cells), (name, _)] = gradients.rows
    assert name == "dense"
    assert [cell.shade for cell in cells] == ["0", "7", "x"]
    assert [cell.text for cell in updates.rows[0][1]] == ["0.1", "1", "nan"]


def test_shades_are_of_magnitudes():
    scale = charts.shades_of((1e-4, 1.0, 1e4, 0.0, math.inf))
    assert [charts.shade(v, scale) for v in (0.0, 1e-4, 2.0, 1e4)] == ["0", "0", "4", "7"]


def test_line_is_broken_at_a_value_without_place():
    across, up = charts.Axis(0, 4), charts.Axis(0, 1)
    path = charts.line([(0, 0), (1, 1), (2, math.nan), (3, 1), (4, 0)], across, up)
    assert path.count("M") == 2


def test_picture_in_the_range_of_the_batch_with_nan_in_the_signal_colour():
    batch = np.zeros((2, 16, 16, 3), "float32")
    batch[1] = 4.0
    batch[0, 3, 5] = 2.0
    batch[0, 8, 9, 1] = np.nan
    [sample] = shown_samples((0,), {"x": batch})
    [array] = sample.arrays
    [picture] = array.pictures
    drawn = pixels(picture)
    assert drawn.shape == (16, 16, 3)
    assert drawn[3, 5].tolist() == [127] * 3
    assert tuple(drawn[8, 9]) == pictures.SIGNAL
    assert drawn[0, 0].tolist() == [0] * 3
    assert array.about == "float32 (16, 16, 3) from 0 to 2, 1 of 768 values nan or inf (magenta)"


@pytest.mark.parametrize(
    "values, low, high",
    (
        (np.array([3, 250], np.uint8), 3, 250),
        (np.array([True, True]), 1, 1),
        (np.array([1, np.nan, -np.inf, 2], np.float16), 1, 2),
        (np.array([1, np.nan], ml_dtypes.bfloat16), 1, 1),
        (np.array([np.nan]), 0, 1),
        (np.zeros(0), 0, 1),
    ),
)
def test_range_of_finite_values(values, low, high):
    assert pictures.finite_range(values) == (low, high)


def test_a_bad_pixel_survives_reduction():
    image = np.zeros((1, 500, 700))
    image[0, 333, 111] = np.inf
    [sample] = shown_samples((0,), {"x": image})
    drawn = pixels(sample.arrays[0].pictures[0])
    assert max(drawn.shape) <= pictures.MAX_SIDE
    assert (drawn == pictures.SIGNAL).all(axis=-1).sum() == 1


@pytest.mark.parametrize(
    "shape, num_pictures",
    (
        ((3, 20, 30), 1),  # channels first
        ((20, 30, 1), 1),
        ((20, 30), 1),
        ((6, 20, 30, 3), 6),
        ((3, 6, 20, 30), 6),
        ((40, 20, 30, 1), 8),
        ((20, 30, 7), 0),
        ((4, 4, 3), 0),
        ((100,), 0),
        ((), 0),
    ),
)
def test_what_is_drawn(shape, num_pictures):
    [sample] = shown_samples((1,), {"x": np.ones((2, *shape))})
    [array] = sample.arrays
    assert len(array.pictures) == num_pictures
    assert bool(array.numbers) == (not num_pictures)


def test_samples_of_a_folder(tmp_path):
    save_file({"x": np.array([[1.0, np.nan], [2.0, 3.0]], "float32")}, tmp_path / folder.BATCH)
    origin = dataclasses.replace(SQRT.origin, samples=(0,))
    report = folder.report_of(tmp_path, dataclasses.replace(SQRT, origin=origin))
    [sample] = report.samples
    assert [number.text for number in sample.arrays[0].numbers] == ["1", "nan"]
    page = page_of(report)
    assert "<b>nan</b>" in page
    assert "<h3>Sample 0 of the batch</h3>" in page


def test_folder_of_an_incident_has_its_page(tmp_path):
    folder.finish(tmp_path, SQRT)
    check((tmp_path / folder.PAGE).read_text(encoding="utf-8"))
    assert json.loads((tmp_path / "incident.json").read_text())["schema"]
