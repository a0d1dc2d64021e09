"""`python -m docs.site.reports`: the report of the failing script of each cause, on PyTorch.

They are kept in the repository, because a site is built without a training.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from stayfinite.diagnose.pages import pages
from tests import warm

FOLDER = Path(__file__).parent / "reports"
_FAILS = re.compile(r"^## Fails\n\n```python\n(.*?)```", re.MULTILINE | re.DOTALL)
# The scripts set no seed, and a report has numbers.
_SEEDED = """
import keras, runpy
keras.utils.set_random_seed(0)
runpy.run_path("train.py", run_name="__main__")
"""


def reports() -> dict[str, str]:
    """Name of a cause to the report of the script on its page, where it has one."""
    return {
        name: _report(script[1])
        for name, page in pages().items()
        if (script := _FAILS.search(page)) is not None
    }


def kept() -> dict[str, str]:
    """The same, as they are in the repository."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.txt"))}


def _report(script: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "train.py").write_text(script, encoding="utf-8")
        (Path(folder) / "seeded.py").write_text(_SEEDED, encoding="utf-8")
        printed = warm.stayfinite(Path(folder), "run", "seeded.py").stderr
    return printed[printed.index("error[") :]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, report in reports().items():
        (FOLDER / f"{name}.txt").write_text(report, encoding="utf-8", newline="\n")
