import numpy as np
import pytest

from stayfinite.networks.training import figures

ROWS = [
    {"epoch": 0, "phase": "a", "loss": 2.0, "val_loss": 3.0, "learning_rate": 1e-3, "seconds": 1},
    {"epoch": 1, "phase": "b", "loss": 1.0, "val_loss": 2.5, "learning_rate": 1e-4, "seconds": 1},
]


def test_curves_have_a_panel_a_quantity(tmp_path):
    figure = figures.curves(ROWS, "title")
    assert [axes.get_title() for axes in figure.axes] == ["loss", "learning rate"]
    lines = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines[:2]}
    assert lines == {"training": [2.0, 1.0], "validation": [3.0, 2.5]}
    paths = [tmp_path / "a.png", tmp_path / "a.svg"]
    figures.write_figure(figure, paths)
    assert paths[0].read_bytes().startswith(b"\x89PNG") and b"<svg" in paths[1].read_bytes()


def test_confusion_counts_true_classes_in_rows():
    matrix = figures.confusion_matrix(np.array([0, 0, 1]), np.array([0, 2, 1]), 3)
    assert matrix.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    figure = figures.confusion(matrix, ["a", "b", "c"], "title")
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["1", "1", "1"]


@pytest.mark.parametrize("num_classes", [2, 100])
def test_confusion_of_many_classes_stays_drawable(num_classes, tmp_path):
    matrix = np.eye(num_classes, dtype="int64")
    figure = figures.confusion(matrix, [str(n) for n in range(num_classes)], "title")
    figures.write_figure(figure, [tmp_path / "a.png"])
    assert (tmp_path / "a.png").stat().st_size > 1000
