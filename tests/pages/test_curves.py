"""A page of curves: what it draws, and that names of a user are no markup."""

from __future__ import annotations

import math
import re

import numpy as np

from stayfinite.pages.curves import (
    MAX_POINTS,
    Curve,
    CurvePanel,
    DataTable,
    Link,
    Picture,
    curves_page,
)
from stayfinite.pages.pictures import png
from tests.report.test_html import EVIL, Tags


def paths_of(text, style):
    return re.findall(rf'<path class="{style}" d="([^"]*)"', text)


def test_a_curve_is_broken_where_it_is_not_finite():
    points = [(0, 1.0), (1, 2.0), (2, math.nan), (3, 3.0)]
    text = curves_page("title", "lab", [CurvePanel("loss", "step", [Curve("a", points, [2])])])
    [line] = [path for path in paths_of(text, "sf-c0 sf-d0") if path != "M2 5h24"]
    assert line.count("M") == 2 and line.count("L") == 1
    # The end is marked at its step, at the height of the last finite value.
    assert "M666.7 6.0h0" in paths_of(text, "sf-mark sf-dots sf-end")


def test_a_long_curve_keeps_its_last_point():
    points = [(float(x), float(x)) for x in range(10 * MAX_POINTS + 7)]
    text = curves_page("title", "lab", [CurvePanel("loss", "step", [Curve("a", points)])])
    line = max(paths_of(text, "sf-c0 sf-d0"), key=len)
    assert line.count("L") <= MAX_POINTS + 1
    assert line.endswith("L1000.0 6.0")


def test_a_quantity_without_a_finite_value_has_no_panel():
    panel = CurvePanel("loss", "step", [Curve("a", [(0, math.nan)]), Curve("b", [])])
    assert "<h2>Curves</h2>" not in curves_page("title", "lab", [panel])


def test_names_are_no_markup_and_links_no_scheme(tmp_path):
    panel = CurvePanel(EVIL, "step", [Curve(EVIL, [(0, 1.0), (1, 2.0)])])
    table = DataTable(EVIL, [EVIL], [[EVIL], [Link(EVIL, "javascript:alert(1)")]])
    text = curves_page(EVIL, EVIL, [panel], [table], [Picture(EVIL, tmp_path / "none.png")])
    tags = Tags(text)
    names = [name for name, _ in tags.seen]
    assert names.count("script") == 1 and "img" not in names
    [link] = [attributes["href"] for name, attributes in tags.seen if name == "a"]
    assert link == "./javascript%3Aalert%281%29"


def test_picture_of_a_file(tmp_path):
    (tmp_path / "a.png").write_bytes(png(np.zeros((4, 4, 3), np.uint8)))
    text = curves_page("title", "training", [], [], [Picture("a", tmp_path / "a.png")])
    assert 'src="data:image/png;base64,' in text
