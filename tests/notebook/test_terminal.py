"""IPython in a terminal: the report as text."""

from __future__ import annotations

from tests import warm

LINES = """\
%load_ext stayfinite
import numpy as np, keras
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", lambda y, p: keras.ops.mean(keras.ops.log(p - p)))
model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
"""
# The lines come from standard input.
START = """\
import os, sys
from IPython import start_ipython
os.dup2(os.open("lines.txt", os.O_RDONLY), 0)
sys.stdin = open(0, encoding="utf-8")
start_ipython(["--simple-prompt", "--no-banner", "--quick"])
"""


def test_the_report_is_printed_in_the_place_of_a_traceback(tmp_path):
    (tmp_path / "lines.txt").write_text(LINES, encoding="utf-8")
    done = warm.python(tmp_path, START)
    assert done.returncode == 0, done.stderr
    assert "error[log-of-zero]: `log` of 0 is -inf\n" in done.stderr
    assert "--> Cell In [4], line 1 in a lambda\n" in done.stderr
    assert "Traceback" not in done.stderr
