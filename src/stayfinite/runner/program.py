"""The user's program, started as `python SCRIPT ARGS...` or `python -m MODULE ARGS...` starts it.

A program has to find what it finds under plain Python: `__main__`, `sys.argv`, `sys.path`, and its
own frames in a traceback. The `__main__` made here stays in `sys.modules`, so that threads, exit
handlers and pickles find the classes of the script after its last line. `runpy.run_path` restores
the old `__main__` and is not used for that reason.
"""

from __future__ import annotations

import builtins
import os
import pkgutil
import runpy
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from pathlib import Path
from types import CodeType, ModuleType

# `python -m` calls this function. It runs in the existing `__main__` and leaves it in place.
_run_module_as_main = vars(runpy)["_run_module_as_main"]

_replaced: list[ModuleType] = []


@dataclass(frozen=True)
class UserProgram:
    """A script (file, folder or zip with a `__main__.py`), or a module name with `is_module`.

    `content` is run in the place of that of the file of a script, if it is not None.
    """

    target: str
    args: tuple[str, ...] = ()
    is_module: bool = False
    content: bytes | None = None

    def execute(self) -> None:
        """Run the program as `__main__` of this process and return after its last line.

        Raises:
            SystemExit: With code 2, after the same line as Python's, if the script cannot be read.
            BaseException: Every exception that the program raises.
        """
        main = _install_main()
        if self.is_module:
            self._show_itself("-m", self.target)
            _replace_path0(str(Path.cwd()))
            _run_module_as_main(self.target)
            return
        self._show_itself(self.target)
        file = _absolute(self.target)
        if pkgutil.get_importer(file) is not None:
            _replace_path0(file, even_if_safe=True)
            _run_module_as_main("__main__", alter_argv=False)
            return
        # Unlike `resolve`, this raises nothing for a loop of links, which `_read` refuses.
        _replace_path0(str(Path(os.path.realpath(file)).parent))
        main.__file__ = file
        vars(main)["__cached__"] = None
        source = _read(file) if self.content is None else self.content
        code: CodeType | None
        # Compiled in this function: a syntax error then has no further frame of stayfinite.
        if file.endswith(".pyc"):
            main.__loader__ = SourcelessFileLoader("__main__", file)
            code = main.__loader__.get_code("__main__")
        else:
            main.__loader__ = SourceFileLoader("__main__", file)
            code = compile(source, file, "exec", dont_inherit=True)
        if code is not None:
            exec(code, vars(main))

    def _show_itself(self, *launch: str) -> None:
        sys.argv = [launch[0], *self.args]
        sys.orig_argv = [sys.executable, *launch, *self.args]


def _install_main() -> ModuleType:
    """Install a new `__main__` with the names and their order that the interpreter gives it."""
    main = ModuleType("__main__")
    main.__annotations__ = {}
    vars(main)["__builtins__"] = builtins
    # The interpreter still uses the module that started this process, without a reference to it.
    _replaced.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    return main


def _replace_path0(folder: str, *, even_if_safe: bool = False) -> None:
    """Replace the folder of the command `stayfinite` in `sys.path` by `folder`."""
    if not sys.flags.safe_path:
        sys.path[0] = folder
    elif even_if_safe:
        sys.path.insert(0, folder)


def _absolute(target: str) -> str:
    """Return the path as Python writes it to `__file__`: "./x.py" becomes "/here/./x.py"."""
    return target if Path(target).is_absolute() else f"{Path.cwd()}{os.sep}{target}"


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: can't open file {file!r}: {reason}", file=sys.stderr)
        raise SystemExit(2) from None
