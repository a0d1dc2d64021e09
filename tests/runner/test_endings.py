"""However a script ends, it ends as under plain Python."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.runner.conftest import LAUNCHES, assert_alike

ENDINGS = {
    "normal": ("print('hi')", 0),
    "exit": ("import sys; sys.exit()", 0),
    "exit 17": ("import sys; sys.exit(17)", 17),
    "exit -1": ("import sys; sys.exit(-1)", 255),
    "exit 256": ("import sys; sys.exit(256)", 0),
    "exit True": ("import sys; sys.exit(True)", 1),
    "exit bye": ("import sys; sys.exit('bye')", 1),
    "exit tuple": ("import sys; sys.exit((1, 2))", 1),
    "quit": ("quit()", 0),
    "ValueError": ("def f():\n    raise ValueError('no')\nf()", 1),
    "missing file": ("open('/nowhere/data.csv')", 1),
    "own click error": ("import click\nraise click.ClickException('mine')", 1),
    "own usage error": ("import stayfinite\nraise stayfinite.UsageError('mine')", 1),
    "syntax error": ("x = 1\ndef f(:\n    pass\n", 1),
    "indentation error": ("if True:\npass\n", 1),
    "error in import": ("import json\nfrom nowhere_to_be_found import x", 1),
    "os._exit": ("import os\nprint('hi', flush=True)\nos._exit(3)", 3),
    "SIGTERM": (
        "import os, signal\nprint('hi', flush=True)\nos.kill(os.getpid(), signal.SIGTERM)",
        -signal.SIGTERM,
    ),
    "Ctrl-C": ("import os, signal\nos.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
    "KeyboardInterrupt": ("def f():\n    raise KeyboardInterrupt\nf()", -signal.SIGINT),
    "subclass of KeyboardInterrupt": (
        "class Mine(KeyboardInterrupt): pass\nraise Mine('stop')",
        1,
    ),
    "own SIGINT handler": (
        """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit(7))
os.kill(os.getpid(), signal.SIGINT)
""",
        7,
    ),
    "chained causes": (
        """
def load():
    try:
        {}["key"]
    except KeyError as error:
        raise OSError("cannot load") from error

try:
    load()
except OSError:
    raise RuntimeError("in a handler")
""",
        1,
    ),
    "exception group": (
        """
error = ExceptionGroup("two", [ValueError(1), TypeError(2)])
error.add_note("a note")
raise error
""",
        1,
    ),
    "own excepthook": (
        """
import sys
def hook(kind, error, trace):
    print("hooked", kind.__name__, error, trace.tb_frame.f_code.co_filename == __file__)
    print(error.__traceback__ is trace, sys.last_traceback is trace, sys.excepthook is hook)
sys.excepthook = hook
raise ValueError(1)
""",
        1,
    ),
    "excepthook that exits": (
        "import sys\nsys.excepthook = lambda *_: sys.exit(9)\nraise ValueError(1)",
        9,
    ),
    "excepthook that fails": (
        """
import sys
def hook(kind, error, trace):
    raise KeyError("hook")
sys.excepthook = hook
raise ValueError(1)
""",
        1,
    ),
    "atexit": (
        """
import atexit, sys
atexit.register(print, "first")
atexit.register(lambda: print("second", sys.excepthook is sys.__excepthook__))
raise ValueError("before them")
""",
        1,
    ),
    "error in atexit": ("import atexit\natexit.register(int, 'no')", 0),
    "late thread": (
        """
import threading, time
def work():
    time.sleep(0.2)
    print("late")
threading.Thread(target=work).start()
print("end of script")
""",
        0,
    ),
    "error in a thread": (
        """
import threading
thread = threading.Thread(target=lambda: 1 / 0, name="t")
thread.start()
thread.join()
""",
        0,
    ),
    "del at shutdown": (
        """
class Loud:
    def __del__(self):
        print("gone", __name__)
loud = Loud()
""",
        0,
    ),
    "fork that runs on": (
        """
import os, sys
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
print("parent" if pid else "child", flush=True)
""",
        0,
    ),
}


# Both launches lead to the same code; those that end outside of it are tried with both.
BOTH_WAYS = ("exit 17", "ValueError", "Ctrl-C", "SIGTERM", "late thread")
HOW = [
    pytest.param(
        ending,
        how,
        marks=pytest.mark.slow if how == "python -m" and ending not in BOTH_WAYS else (),
    )
    for ending in ENDINGS
    for how in LAUNCHES
]


@pytest.mark.parametrize(("ending", "how"), HOW)
def test_ending(script, ending, how):
    text, code = ENDINGS[ending]
    if sys.version_info >= (3, 12) and "fork" in ending:
        text = "import warnings; warnings.simplefilter('ignore')\n" + text
    assert assert_alike(script(text), how=how).returncode == code


def test_closed_standard_output(script):
    """What `stayfinite run x.py | head -1` meets."""
    import os

    x = script("print('line\\n' * 100000)")
    for_both = []
    for command in ([sys.executable], LAUNCHES["command"]):
        import subprocess

        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [*command, x], stdout=write, stderr=subprocess.PIPE, text=True, timeout=60
        )
        os.close(write)
        for_both.append((done.returncode, done.stderr))
    assert for_both[0] == for_both[1]
    assert "BrokenPipeError" in for_both[0][1]


def test_standard_input_is_the_scripts(script):
    x = script("print(input().upper())")
    assert assert_alike(x, input="hello\n").stdout == "HELLO\n"


def test_arguments_after_the_script_belong_to_it(script):
    x = script("import sys; print(sys.argv)")
    args = ("--json", "-m", "--", "-h", "--policy=none", "")
    assert_alike(x, *args)


@pytest.mark.parametrize("target", ["nowhere.py", "folder", "./nowhere.py"])
def test_script_that_cannot_be_started(script, target):
    script("", "folder/notes.txt")
    plain = assert_alike(target)
    assert len(plain.stderr.splitlines()) == 1
    assert plain.returncode == (1 if target == "folder" else 2)


@pytest.mark.parametrize("name", ["nowhere", "package", "package.nowhere", "x"])
def test_module_that_cannot_be_started(script, name):
    script("", "package/__init__.py")
    script("raise ValueError(1)")
    assert assert_alike("-m", name).returncode == 1
