"""The user's program, started as `python SCRIPT ARGS...` or `python -m MODULE ARGS...` starts it.

What a program can see of itself has to be what it sees under plain Python: `__main__`, `sys.argv`,
`sys.path`, its own frames in a traceback. The `__main__` made here stays in `sys.modules` for good:
a thread, an exit handler or a pickle that comes after the last line still finds the classes of
the script. (`runpy.run_path` puts the old `__main__` back, which is why it is not used.)
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

# What `python -m` itself calls; it runs in the `__main__` it finds and leaves it in place.
_run_module_as_main = vars(runpy)["_run_module_as_main"]

_replaced: list[ModuleType] = []


@dataclass(frozen=True)
class Program:
    """A script (file, folder or zip with a `__main__.py`) or, with `is_module`, a module's name."""

    target: str
    args: tuple[str, ...] = ()
    is_module: bool = False

    def execute(self) -> None:
        """Run it as the main program of this process; returns after its last line.

        Whatever the program raises leaves here as it was raised.

        Raises:
            SystemExit: also when the script cannot be opened: with code 2, after Python's line.
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
        _replace_path0(str(Path(file).resolve().parent))
        main.__file__ = file
        vars(main)["__cached__"] = None
        source = _read(file)
        code: CodeType | None
        # Compiled here and not in a function of its own: a syntax error has no frame of ours.
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
    """A new `__main__` with the names, in the order, that the interpreter gives it."""
    main = ModuleType("__main__")
    main.__annotations__ = {}
    vars(main)["__builtins__"] = builtins
    # The interpreter goes on using the one that started this process, without owning it.
    _replaced.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    return main


def _replace_path0(folder: str, *, even_if_safe: bool = False) -> None:
    """Put `folder` where the interpreter had put the folder of our own command."""
    if not sys.flags.safe_path:
        sys.path[0] = folder
    elif even_if_safe:
        sys.path.insert(0, folder)


def _absolute(target: str) -> str:
    """As Python has it in `__file__`: not normalised, "./x.py" stays "/here/./x.py"."""
    return target if Path(target).is_absolute() else f"{Path.cwd()}{os.sep}{target}"


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: can't open file {file!r}: {reason}", file=sys.stderr)
        raise SystemExit(2) from None
