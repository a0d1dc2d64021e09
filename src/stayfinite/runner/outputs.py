"""Where a run writes: the folder of incidents, the run file (`stayfinite.run/1`), the page."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from stayfinite.errors import UsageError
from stayfinite.files.writing import put_text
from stayfinite.incident import Incident

# The exit code in the file while the program runs. It stays if the program is killed or calls
# `os._exit`.
UNFINISHED = -1


def check_writable(folder: Path) -> None:
    """Check before the training that `folder`, or its nearest existing parent, can be written.

    Nothing is created, because a run without an incident leaves no folder.

    Raises:
        UsageError: The folder cannot be written.
    """
    nearest = folder.absolute()
    try:
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        # Permission bits are not enough: the file system may be read-only, the user may be root.
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UsageError(
            f"--keep {folder}: {error.strerror}; pass a folder that can be written"
        ) from None


def check_distinct(paths: Mapping[str, Path | None]) -> None:
    """Check that no file is written over another one; pipes and devices may be shared.

    Args:
        paths: The script and the files to write, by the name of the argument; None is skipped.

    Raises:
        UsageError: Two of them are the same file.
    """
    names: dict[str, str] = {}
    for name, path in paths.items():
        if path is None or _is_stream(path):
            continue
        other = names.setdefault(os.path.realpath(path), name)
        if other != name:
            raise UsageError(f"{name} {path}: is also {other}; pass another file")


def _is_stream(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def check_file(option: str, path: Path | None) -> None:
    """Check that a file can be written at `path`; it is made empty if there is none.

    Raises:
        UsageError: It cannot.
    """
    if path is None:
        return
    with _writing(option, path):
        _refuse_read_only(path)
        if not path.exists():
            path.touch()


def put_file(option: str, path: Path, text: str) -> None:
    """Write a file, in the place of another if there is one.

    Raises:
        UsageError: It cannot be written.
    """
    with _writing(option, path):
        _put(path, text)


def _refuse_read_only(path: Path) -> None:
    # Another file could take its place, but the file is protected. A pipe is not opened.
    if path.is_file():
        path.open("ab").close()


@contextlib.contextmanager
def _writing(option: str, path: Path) -> Iterator[None]:
    """What cannot be written in the block, or is a folder, as a `UsageError` about `option`."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        yield
    except OSError as error:
        raise UsageError(
            f"{option} {path}: {error.strerror}; pass a file in a folder that exists and can be "
            "written"
        ) from None


_UNFINISHED_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>stayfinite</title>
<p>This run has not ended, or was killed.</p></html>
"""


class RunPage:
    """The page of a run at `path`; with None as path, nothing is written.

    Raises:
        UsageError: `path` cannot be written.
    """

    def __init__(self, path: Path | None, script: str) -> None:
        # Absolute, because the program may change its working directory.
        self._path = None if path is None else path.absolute()
        self._script = script
        check_file("--html", path)
        if path is not None and path.is_file():
            put_file("--html", path, _UNFINISHED_PAGE)

    def prepare(self) -> None:
        """Import what `write` needs, before the interpreter handles the error that ends a program.

        A module that runs a string of code, as data classes do, makes the interpreter forget that
        the error was a `KeyboardInterrupt`, and the process then ends with another exit code.
        """
        if self._path is not None:
            _renderer()

    def write(
        self,
        exit_code: int,
        num_steps: int,
        incidents: Sequence[Incident],
        shared: Sequence[Incident] = (),
    ) -> None:
        """Write the page, with the report of each of `incidents`.

        Args:
            exit_code: As `subprocess` gives it: negative for a signal.
            num_steps: Training steps of all models of the program.
            incidents: In the order in which they occurred.
            shared: As in `RunFile.write`.

        Raises:
            OSError: The file cannot be written.
        """
        if self._path is None:
            return
        told = _to_tell(self._path, _UNFINISHED_PAGE, incidents, shared)
        if told is not None:
            page = _renderer()(self._script, exit_code, num_steps, told)
            _put_after_the_run(self._path, page)


def _renderer() -> Callable[[str, int, int, Sequence[Incident]], str]:
    # Imported here, because a run without a page does not need it.
    from stayfinite.report.folder import page_of_run

    return page_of_run


class RunFile:
    """The run file at `path`; with None as path, nothing is written.

    It is written before the program starts: a wrong path is reported at once, and a program that
    is killed leaves a run file.

    Raises:
        UsageError: `path` cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        # Absolute, because the program may change its working directory.
        self._path = None if path is None else path.absolute()
        if path is None:
            return
        with _writing("--json", path):
            # A pipe or device gets one text, at the end.
            if path.is_file() or not path.exists():
                _put(path, _run_file(UNFINISHED, 0, (), ()))

    def write(
        self,
        exit_code: int,
        num_steps: int,
        incidents: Sequence[Incident],
        notes: Sequence[str],
        shared: Sequence[Incident] = (),
    ) -> None:
        """Write the run file, over an earlier one.

        Args:
            exit_code: As `subprocess` gives it: negative for a signal.
            num_steps: Training steps of all models of the program.
            incidents: In the order in which they occurred.
            notes: What the user should know of the run, beside them.
            shared: The incidents, with those of other processes in the place of lines about them:
                for a file that such a process has written before this one.

        Raises:
            OSError: The file cannot be written.
        """
        if self._path is None:
            return
        told = _to_tell(self._path, _run_file(UNFINISHED, 0, (), ()), incidents, shared)
        if told is not None:
            _put_after_the_run(self._path, _run_file(exit_code, num_steps, told, notes))


def _run_file(
    exit_code: int, num_steps: int, incidents: Sequence[Incident], notes: Sequence[str]
) -> str:
    # Imported here, because a run without a run file does not need it.
    from stayfinite.report.json import run_file

    return run_file(exit_code, num_steps, incidents, notes)


def _to_tell(
    path: Path, unfinished: str, incidents: Sequence[Incident], shared: Sequence[Incident]
) -> Sequence[Incident] | None:
    """The incidents to write; None where other processes have written what they know of each.

    Args:
        path: The file, which each of the processes of a training has written when it began.
        unfinished: What they have written then.
        incidents: Those of this process.
        shared: The same, each as the process has it that knows its cause.
    """
    if not incidents or not path.is_file() or path.read_text(encoding="utf-8") == unfinished:
        return incidents
    if all(each.elsewhere for each in incidents):
        return None
    return shared or incidents


def _put_after_the_run(path: Path, text: str) -> None:
    # The program may have deleted the folder.
    path.parent.mkdir(parents=True, exist_ok=True)
    _put(path, text)


def _put(path: Path, text: str) -> None:
    """Write a file in the place of another; a pipe or device gets the text as it is.

    Raises:
        OSError: It could not be written.
    """
    _refuse_read_only(path)
    # A link stays a link, as its target is replaced.
    target = Path(os.path.realpath(path))
    is_file = path.is_file() or not path.exists()
    if is_file and os.access(target.parent, os.W_OK | os.X_OK):
        put_text(target, text)
    else:
        path.write_text(text, encoding="utf-8")
