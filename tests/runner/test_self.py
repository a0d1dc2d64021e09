"""What a script can see of itself is what it sees under plain Python."""

from __future__ import annotations

import zipfile

import pytest

from tests.runner.conftest import LAUNCHES, assert_alike

MIRROR = """
'''A docstring.'''
import gc, inspect, linecache, os, signal, sys, threading, warnings
def shown(value):
    return value if isinstance(value, (str, int, list, dict, type(None))) else type(value).__name__
names = list(globals())
for name in names:
    print(name, shown(globals()[name]))
main = sys.modules["__main__"]
print(vars(main) is globals(), __builtins__ is sys.modules["builtins"])
print(getattr(__loader__, "name", None), getattr(__loader__, "path", None))
if __spec__:
    print(__spec__.name, __spec__.origin, __spec__.has_location, __spec__.parent)
print(sys.argv, sys.orig_argv, sys.path, sys.executable, sys.prefix, sys.flags)
print(os.getcwd(), sorted(os.environ.items()))
print(sys.excepthook is sys.__excepthook__, sys.gettrace(), sys.getprofile())
print(sys.getrecursionlimit(), sys.getswitchinterval(), sys.dont_write_bytecode)
print(sys.exc_info(), sys.warnoptions, warnings.filters)
print([signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)])
print(threading.current_thread().name, threading.active_count(), gc.isenabled(), gc.get_threshold())
print(sys.stdout.line_buffering, sys.stdout.encoding, sys.stderr.errors, sys.stdin.name)
print(inspect.getsource(shown), linecache.getline(__file__, 2), inspect.getfile(shown))
print([name for name in ("keras", "numpy", "jax", "rich") if name in sys.modules])
warnings.warn("a warning of the script", DeprecationWarning)
"""


@pytest.mark.parametrize("how", LAUNCHES)
@pytest.mark.parametrize("target", ["x.py", "./x.py", "sub/../x.py", "link/x.py", "linked.py"])
def test_script(script, tmp_path, target, how):
    script("", "sub/notes.txt")
    x = script(MIRROR)
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "sub/real.py").write_text(MIRROR)
    (tmp_path / "linked.py").symlink_to(tmp_path / "sub/real.py")
    assert x
    assert_alike(target, "arg", how=how)


def test_absolute_path(script, tmp_path):
    assert_alike(str(tmp_path / script(MIRROR)))


@pytest.mark.parametrize("target", ["app", "app/", "./app"])
def test_folder(script, target):
    script(MIRROR, "app/__main__.py")
    assert_alike(target, "arg")


def test_zip(script, tmp_path):
    script(MIRROR)
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", MIRROR.replace("inspect.getsource(shown)", "0"))
    assert_alike("app.zip", "arg")


def test_compiled(script, tmp_path):
    import py_compile

    py_compile.compile(script(MIRROR), str(tmp_path / "x.pyc"))
    assert_alike("x.pyc", "arg")


@pytest.mark.parametrize("how", LAUNCHES)
@pytest.mark.parametrize("name", ["x", "package", "package.module"])
def test_module(script, name, how):
    script(MIRROR)
    script("import sys; print('in package', sys.argv)", "package/__init__.py")
    script(MIRROR + "\nfrom . import module\n", "package/__main__.py")
    script(MIRROR, "package/module.py")
    assert_alike("-m", name, "arg", "--flag", how=how)


def test_neighbours_are_imported_from_the_folder_of_the_script(script):
    script("NAME = __name__", "code/neighbour.py")
    x = script("import neighbour; print(neighbour.NAME, neighbour.__file__)", "code/x.py")
    assert_alike(x)


def test_import_of_main(script):
    assert_alike(script("NAME = 1\nimport __main__\nprint(__main__.NAME, __main__)"))


def test_changing_the_working_directory(script):
    script("", "elsewhere/notes.txt")
    assert_alike(script("import os; os.chdir('elsewhere'); print(os.getcwd())"))
