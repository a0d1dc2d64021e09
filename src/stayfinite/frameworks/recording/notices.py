"""A notice for the user that is no error: a warning at their line, or a line in a notebook."""

from __future__ import annotations

import contextlib
import sys
import warnings

from stayfinite.frameworks.recording.places import user_stacklevel
from stayfinite.graph.cells import in_ipython


def notify(text: str) -> None:
    """Warn at the line of the user, such as that of `fit`; in IPython, print `text` alone.

    A warning in a cell would begin with a path such as `/tmp/ipykernel_7/883622951.py` and end with
    the source line.
    """
    if not in_ipython():
        warnings.warn(text, RuntimeWarning, stacklevel=user_stacklevel())
    elif sys.stderr is not None:
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        with contextlib.suppress(OSError, ValueError):  # closed by the program
            line = f"stayfinite: {text.rstrip()}".encode(encoding, "replace").decode(encoding)
            print(line, file=sys.stderr, flush=True)
