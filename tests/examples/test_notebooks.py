"""The notebooks of `examples/` run to their end, and show what their text says."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, folder, monkeypatch):
    """What each code cell of a notebook wrote and displayed, by its number."""
    # The command `stayfinite` of the environment, as in one that is active.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    shutil.copy(EXAMPLES / name, folder)
    notebook = nbformat.read(folder / name, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources=resources).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [None, *("".join(map(text_of, cell.outputs)) for cell in cells)]


def text_of(output):
    if output.output_type == "error":
        return "\n".join(output.traceback)
    return output.text if output.output_type == "stream" else output.data["text/plain"]


def test_nan_in_a_notebook(tmp_path, monkeypatch):
    shown = run("nan_in_a_notebook.ipynb", tmp_path, monkeypatch)
    assert "--> Cell In [3], line 2 in contrastive_loss" in shown[5]
    assert "verified: exact value" in shown[5]
    before, after = map(float, shown[6].split(": ")[1].split())
    assert 0 <= after < before / 10
    assert shown[7].startswith("singular-gradient 12 Cell In [3] 2\nexact stayfinite-out")


@pytest.mark.slow
def test_siamese_triplet(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    shown = run("siamese_triplet.ipynb", tmp_path, monkeypatch)
    assert "--> Cell In [3], line 3 in triplet_loss" in shown[5]
    assert "`anchor - positive` is 0" in shown[5]
    assert "1 repair made in the running program" in shown[6]
    before, after = (float(text.split("training: ")[1].split()[0]) for text in (shown[4], shown[6]))
    assert after > before + 0.02
    assert shown[7].split("\n")[0].strip() == "True"
    assert "tensors are finite" in shown[7]
