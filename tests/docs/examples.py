"""The examples of a page: files that it names, scripts, command lines, and what they print.

- A fence with `title="train.py"` is that file. One in `diff` is a change of that file.
- A fence in `python` without a title is a script, which has to end with exit code 0.
- A fence in `console` has command lines behind `$ `, with what they print below. `$ echo $?` is the
  exit code of the one before.
- A fence with `title="Output"` is what the script before it prints.

`...` in an output is any text. The other languages are not run: `text`, `sh` (installs, downloads).
A comment `<!-- example: jax slow -->` before a fence names the backend that it needs, which is
PyTorch by default, and whether it takes long.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests import warm

_FENCE = re.compile(
    r"^(?:(?P<blank> *)<!-- example: (?P<options>[\w ]+) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>\w+)(?P<attributes>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')
_BACKENDS = {"jax", "tensorflow", "torch"}
# `python -m`, from a process that has loaded Keras.
_MODULE = """
import runpy, sys
sys.argv = {words}
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
# Files in these languages are written where they have a title.
_FILES = {"python", "toml", "yaml", "json", "ini"}


@dataclass(frozen=True)
class Example:
    """One fence of a page. `line` is the line of its text, from 1."""

    language: str
    title: str | None
    text: str
    line: int
    backend: str
    is_slow: bool

    @property
    def is_run(self) -> bool:
        """Whether something is done with it."""
        return (
            self.language in ("python", "console")
            or self.title == "Output"
            or (self.title is not None and self.language in {"diff", *_FILES})
        )


def examples_of(page: str) -> list[Example]:
    """The fences of a page, in order."""
    found = []
    for fence in _FENCE.finditer(page):
        options = set((fence["options"] or "").split())
        title = _TITLE.search(fence["attributes"])
        unknown = options - _BACKENDS - {"slow"}
        assert not unknown, f"unknown options of an example: {unknown}"
        found.append(
            Example(
                fence["language"],
                title[1] if title else None,
                textwrap.dedent(fence["text"]),
                page.count("\n", 0, fence.start("text")) + 1,
                next(iter(options & _BACKENDS), "torch"),
                "slow" in options,
            )
        )
    return found


class Reader:
    """Does what a reader of the page does, in one folder."""

    def __init__(self, folder: Path, page: str) -> None:
        self._folder = folder
        self._page = page
        self._printed = ""
        self._exit_code = 0

    def follow(self, example: Example) -> None:
        """Do what `example` says.

        Raises:
            AssertionError: it does not do what the page says.
        """
        where = f"{self._page}:{example.line}"
        if example.title == "Output":
            _compare(example.text, self._printed, where)
        elif example.language == "console":
            for command, output in _commands(example.text):
                if command == "echo $?":
                    assert output.strip() == str(self._exit_code), f"{where}: {self._printed}"
                    continue
                self._run(shlex.split(command), command)
                _compare(output, self._printed, f"{where}: {command}")
        elif example.language == "diff":
            assert example.title is not None
            path = self._folder / example.title
            path.write_text(_patched(path.read_text("utf-8"), example.text, where), "utf-8")
        elif example.title is not None:
            path = self._folder / example.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(example.text, "utf-8")
        else:
            (self._folder / "example.py").write_text(example.text, "utf-8")
            self._run(["python", "example.py"], "python example.py")
            assert self._exit_code == 0, f"{where}: {self._printed}"

    def _run(self, words: list[str], command: str) -> None:
        if words[0] == "stayfinite":
            done = warm.stayfinite(self._folder, *words[1:])
            self._exit_code, self._printed = done.returncode, done.stderr
        elif words[:2] == ["python", "-m"]:
            done = warm.python(self._folder, _MODULE.format(words=words[2:]))
            self._exit_code, self._printed = done.returncode, done.stderr
        elif words[0] == "python":
            done = warm.script(self._folder, *words[1:])
            self._exit_code, self._printed = done.returncode, done.stderr
        else:
            shell = subprocess.run(
                ["bash", "-c", command],
                cwd=self._folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            self._exit_code, self._printed = shell.returncode, shell.stdout


def _commands(text: str) -> list[tuple[str, str]]:
    """Each command line behind `$ ` with the lines below it; a `\\` continues a line."""
    found: list[tuple[str, str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), ""))
        else:
            command, output = found.pop()
            found.append((command, f"{output}{line}\n"))
    return found


def _compare(expected: str, printed: str, where: str) -> None:
    lines = "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())
    pattern = ".*?".join(map(re.escape, expected.strip("\n").split("...")))
    assert re.fullmatch(pattern, lines, re.DOTALL), (
        f"{where} prints\n{lines}\nand the page has\n{expected}"
    )


def _patched(text: str, diff: str, where: str) -> str:
    """`text` with each run of `-` and `+` lines of `diff` applied, which has to be there once."""
    for hunk in re.findall(r"(?:^[-+ ].*\n)+", diff, re.MULTILINE):
        lines = [line for line in hunk.splitlines() if not line.startswith(("---", "+++"))]
        old = "".join(f"{line[1:]}\n" for line in lines if line[0] in "- ")
        new = "".join(f"{line[1:]}\n" for line in lines if line[0] in "+ ")
        assert text.count(old) == 1, f"{where}: not once in the file:\n{old}"
        text = text.replace(old, new)
    return text
