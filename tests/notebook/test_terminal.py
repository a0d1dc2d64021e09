"""IPython in a terminal: the report as text."""

from __future__ import annotations

import subprocess
import sys

LINES = """\
%load_ext stayfinite
import numpy as np, keras
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", lambda y, p: keras.ops.mean(keras.ops.log(p - p)))
model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
"""


def test_the_report_is_printed_in_the_place_of_a_traceback(tmp_path):
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--quick"]
    done = subprocess.run(
        command, input=LINES, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=True
    )
    assert "error[log-of-zero]: `log` of 0 is -inf\n" in done.stdout
    assert "--> Cell In [4], line 1 in a lambda\n" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
