"""`python -m docs.site.picture`: the picture of a report, of a run of the tutorial's script.

It is an image of text, with no font of its own and no request to another host.
"""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from docs.site.links import ROOT
from tests.docs.examples import examples_of

COLUMNS = 100
PICTURE = ROOT / "docs" / "images" / "terminal.svg"
COMMAND = "stayfinite run train.py"
_COLORS = [
    (13, 17, 23),
    (255, 123, 114),
    (126, 231, 135),
    (227, 179, 65),
    (121, 192, 255),
    (210, 168, 255),
    (86, 212, 221),
    (230, 237, 243),
]
THEME = TerminalTheme((13, 17, 23), (230, 237, 243), _COLORS, _COLORS)
# Rich's frame without the address of its font.
FRAME = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" role="img"
 aria-label="The report of a bad step, in a terminal" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "Fira Code", "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> None:
    """Run the script and write the picture."""
    tutorial = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    script = next(each.text for each in examples_of(tutorial) if each.title == "train.py")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(script, encoding="utf-8")
        printed = in_terminal([sys.executable, "-m", *COMMAND.split()], folder)
    begin = printed.rindex("\x1b", 0, printed.index("error["))
    PICTURE.write_text(picture(Text.from_ansi(printed[begin:].rstrip())), encoding="utf-8")


def in_terminal(command: list[str], folder: str) -> str:
    """What `command` writes to standard error where that is a terminal."""
    ours, its = pty.openpty()
    variables = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    with subprocess.Popen(command, cwd=folder, env=variables, stderr=its) as process:
        os.close(its)
        with os.fdopen(ours, "rb") as terminal:
            written = bytearray()
            # Linux gives an error where the other side has closed.
            with contextlib.suppress(OSError):
                while part := terminal.read1():
                    written += part
    assert process.returncode == 3, written.decode()
    return written.decode().replace("\r\n", "\n")


def picture(report: Text) -> str:
    """The report below its command, as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "green"), (COMMAND, "bold")))
    console.print(report)
    drawn = console.export_svg(
        title="", theme=THEME, code_format=FRAME, unique_id="report", font_aspect_ratio=0.61
    )
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
