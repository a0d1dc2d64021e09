"""Patched code in the place of running code, and back."""

import gc
import importlib.util
import os
import runpy
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import pytest

import stayfinite
from stayfinite.repair import (
    KnownFunctions,
    NotSwappableError,
    Patch,
    StaleSourceError,
    live,
    swapped,
)
from stayfinite.repair.source import SourceFile
from tests.repair.helpers import first_patch

HEADER = "import functools\nfrom keras import ops\n"


def load(path, text, monkeypatch, name="user_module"):
    """The module with this text, as an import makes it."""
    if text is not None:
        path.write_text(textwrap.dedent(text))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def patched(path, span="ops.sqrt(x)"):
    return first_patch(path, "singular-gradient", span)


# Each defines `get`, which returns the function that holds the square root.
HOLDERS = {
    "function": """
        def f(x): return ops.sqrt(x)
        def get(): return f
        """,
    "lambda": """
        f = [lambda x: ops.sqrt(x)]
        def get(): return f[0]
        """,
    "method": """
        class A:
            def f(self, x): return ops.sqrt(x)
        a = A()
        def get(): return a.f
        """,
    "static": """
        class A:
            @staticmethod
            def f(x): return ops.sqrt(x)
        def get(): return A.f
        """,
    "class method": """
        class A:
            @classmethod
            def f(cls, x): return ops.sqrt(x)
        def get(): return A.f
        """,
    "property": """
        class A:
            y = property(lambda self: lambda x: ops.sqrt(x))
        def get(): return A().y
        """,
    "closure": """
        def make(s):
            def f(x): return s * ops.sqrt(x)
            return f
        f = make(1)
        def get(): return f
        """,
    "closure made later": """
        def make(s):
            return lambda x: s * ops.sqrt(x)
        def get(): return make(1)
        """,
    "partial": """
        def f(s, x): return ops.sqrt(x)
        p = functools.partial(f, 1)
        del f
        def get(): return p
        """,
    "decorated": """
        def twice(f):
            @functools.wraps(f)
            def g(*a): return f(*a)
            return g
        @twice
        @functools.lru_cache(0)
        def f(x): return ops.sqrt(x)
        def get(): return f
        """,
    "default": """
        def f(x, h=lambda x: ops.sqrt(x)): return h(x)
        def get(): return f
        """,
    "two on a line": """
        f = (lambda x: ops.abs(x), lambda x: ops.sqrt(x))
        def get(): return f[1]
        """,
    "comprehension": """
        def f(x): return [ops.sqrt(x) for _ in '1'][0]
        def get(): return f
        """,
    "method of a class in a function": """
        def outer():
            class A:
                def f(self, x):
                    return ops.sqrt(x)
            return A()
        a = outer()
        def get(): return a.f
        """,
}
HOLDERS = {name: textwrap.dedent(text) for name, text in HOLDERS.items()}


@pytest.mark.parametrize("text", HOLDERS.values(), ids=HOLDERS.keys())
def test_the_function_runs_patched_code_inside_only(tmp_path, monkeypatch, text):
    path = tmp_path / "user_module.py"
    module = load(path, HEADER + text, monkeypatch)
    patch = patched(path)
    assert float(module.get()(0.0)) == 0
    for _ in range(2):
        with swapped(patch) as count:
            assert count >= 1
            assert float(module.get()(0.0)) == pytest.approx(1e-6)
        assert float(module.get()(0.0)) == 0


def test_a_function_made_inside_gets_the_old_code_too(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    module = load(path, HEADER + HOLDERS["closure made later"], monkeypatch)
    with swapped(patched(path)):
        made = module.get()
        assert float(made(0.0)) > 0
    assert float(made(0.0)) == 0


def test_known_functions_are_looked_up_once(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    module = load(path, HEADER + HOLDERS["function"], monkeypatch)
    known = KnownFunctions()
    found = known.of(str(path))
    assert module.f in found
    monkeypatch.setattr(live, "functions_of", None)
    for _ in range(2):
        with swapped(patched(path), known=known) as count:
            assert count == 1
            assert float(module.f(0.0)) > 0
    assert float(module.f(0.0)) == 0


def test_only_what_differs_is_touched(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    module = load(path, HEADER + "def g(x): return x\n" + HOLDERS["function"], monkeypatch)
    codes = [f.__code__ for f in (module.f, module.g, module.get)]
    with swapped(patched(path)) as count:
        assert count == 1
        assert [f.__code__ for f in (module.g, module.get)] == codes[1:]
        assert module.f.__code__.co_filename == codes[0].co_filename
    assert [f.__code__ for f in (module.f, module.g, module.get)] == codes


def test_the_code_comes_back_after_an_exception(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    module = load(path, HEADER + HOLDERS["function"], monkeypatch)
    code = module.f.__code__
    with pytest.raises(KeyboardInterrupt), swapped(patched(path)):
        raise KeyboardInterrupt
    assert module.f.__code__ is code


@pytest.mark.parametrize(
    "data",
    [
        (HEADER + HOLDERS["function"] + "s = 'ä'\n").replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + (HEADER + HOLDERS["function"]).encode(),
        ("# coding: latin-1\n" + HEADER + "ä = 1\n" + HOLDERS["function"]).encode("latin-1"),
        (HEADER + "s = '\\d'\n" + HOLDERS["function"]).encode(),
    ],
    ids=["crlf", "byte order mark", "latin-1", "a warning of the compiler"],
)
@pytest.mark.filterwarnings("ignore:invalid escape")
def test_every_kind_of_file(tmp_path, monkeypatch, data):
    path = tmp_path / "user_module.py"
    path.write_bytes(data)
    module = load(path, None, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with swapped(patched(path)):
            assert float(module.f(0.0)) > 0
    assert float(module.f(0.0)) == 0


def test_an_inserted_import_is_bound_inside_only(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    module = load(
        path, "import math\ndef g(x): return 1 / x\ndef f(x): return x ** 0.5\n", monkeypatch
    )
    patch = patched(path, "x ** 0.5")
    assert "from keras import ops\n" in patch.source.text
    with swapped(patch) as count:
        assert count == 2, "the lines below the import have moved"
        assert float(module.f(0.0)) == pytest.approx(1e-6)
        assert module.f.__code__.co_firstlineno == 4
    assert module.f(0.0) == 0
    assert module.f.__code__.co_firstlineno == 3
    assert not hasattr(module, "ops")


def test_an_inserted_import_overwrites_nothing(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    module = load(path, "def f(x): return x ** 0.5\n", monkeypatch)
    patch = patched(path, "x ** 0.5")
    module.ops = "mine"
    code = module.f.__code__
    with pytest.raises(NotSwappableError, match="ops already means something else"), swapped(patch):
        pass
    assert module.ops == "mine"
    assert module.f.__code__ is code


def test_an_empty_patch_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    load(path, HEADER + HOLDERS["function"], monkeypatch)
    with swapped(Patch.start(patched(path).original)) as count:
        assert count == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\n" + text,
        lambda text: text.replace("ops.sqrt(x)", "ops.sqrt(x) + 0"),
    ],
)
def test_a_file_that_has_changed_since(tmp_path, monkeypatch, change):
    path = tmp_path / "user_module.py"
    module = load(path, HEADER + HOLDERS["function"], monkeypatch)
    path.write_text(change(path.read_text()))
    with (
        pytest.raises(StaleSourceError, match=r"changed since `f` was loaded"),
        swapped(patched(path)),
    ):
        pass
    assert float(module.f(0.0)) == 0


def test_a_change_elsewhere_in_the_file_does_not_matter(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    module = load(path, HEADER + HOLDERS["function"], monkeypatch)
    path.write_text(path.read_text() + "\ndef more(): pass\n")
    with swapped(patched(path)):
        assert float(module.f(0.0)) > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1.0\ny = ops.sqrt(x)\n", "the code of the module, which runs once"),
        ("x = 1.0\nclass A:\n    y = ops.sqrt(x)\n", "the code of `A`, which runs once"),
        ("x = 1.0\ndef f(y=ops.sqrt(x)): pass\n", "the module, which runs once"),
        ("def f(x): return ops.sqrt(x)\nf(1.0)\ndel f\n", "holds no function `f`"),
    ],
)
def test_code_that_cannot_be_swapped(tmp_path, monkeypatch, text, message):
    path = tmp_path / "user_module.py"
    load(path, HEADER + text, monkeypatch)
    patch = patched(path)
    gc.collect()
    with pytest.raises(NotSwappableError, match=message), swapped(patch):
        pass


def test_a_comprehension_may_go(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    text = """\
        def f(x):
            total = sum(x for _ in range(3)) + sum(2 * x for _ in range(2))
            return total
        """
    module = load(path, text, monkeypatch)
    original = SourceFile.of(path)
    shorter = original.text.replace("sum(x for _ in range(3))", "30")
    with swapped(Patch(original, original.with_text(shorter))):
        assert module.f(1) == 34
    assert module.f(1) == 7
    other = original.text.replace("x for", "-x for")
    fewer = other.replace(" + sum(2 * -x for _ in range(2))", "")
    with (
        pytest.raises(NotSwappableError, match="which functions are defined in `f`"),
        swapped(Patch(original, original.with_text(fewer))),
    ):
        pass


def test_variables_from_around_must_stay_the_same(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    text = """\
        def make(norm):
            from keras import ops
            def f(x): return ops.abs(x) ** 0.5
            def g(y): return y ** 0.5
            return f, g
        f, g = make(abs)
        """
    module = load(path, text, monkeypatch)
    patch = patched(path, "ops.abs(x) ** 0.5")
    assert "ops.maximum(ops.abs(x), 1e-12)" in patch.source.text
    with swapped(patch):
        assert float(module.f(0.0)) > 0
    patch = patched(path, "y ** 0.5")
    assert patch.source.text.startswith("import keras\n"), "g has no variable ops, and gets none"
    with swapped(patch):
        assert float(module.g(0.0)) > 0
    changed = patch.original.with_text(
        patch.original.text.replace("return y **", "return norm(y) **")
    )
    message = "takes from around it: norm"
    with pytest.raises(NotSwappableError, match=message), swapped(Patch(patch.original, changed)):
        pass


def test_a_script(tmp_path, monkeypatch):
    """`__main__` of a script that was started with a relative path, and has changed directory."""
    monkeypatch.chdir(tmp_path)
    text = HEADER + "import os\nos.makedirs('sub')\nos.chdir('sub')\n" + HOLDERS["function"]
    (tmp_path / "train.py").write_text(text)
    names = runpy.run_path("train.py", run_name="__main__")
    # run_path clears what it can; the functions keep their globals.
    with swapped(patched(tmp_path / "train.py")) as count:
        assert count >= 1
    assert names["f"].__code__.co_filename == "train.py"


def test_a_script_in_its_own_process(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(
            """\
            import keras
            from stayfinite.repair import SourceFile, TextSpan, Patch, swapped
            from stayfinite.repair import candidates, find_expression

            class Root(keras.losses.Loss):
                def call(self, y_true, y_pred):
                    größe = y_pred; return größe ** 0.5

            loss, zero = Root(), keras.ops.zeros((1, 1))
            source = SourceFile.read(__file__)
            expression = find_expression(source, TextSpan(7, 33, 7, 47))
            assert expression.text == "größe ** 0.5", expression.text
            patch = Patch.start(source).then(candidates(expression, "singular-gradient")[0])
            print(float(loss(zero, zero)))
            with swapped(patch):
                print(float(loss(zero, zero)) > 0)
            print(float(loss(zero, zero)))
            """
        )
    )
    result = subprocess.run(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(stayfinite.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("0.0\nTrue\n0.0\n", "")


def test_annotations_as_text_and_docstrings_survive(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    text = (
        '"""Text."""\nfrom __future__ import annotations\nfrom keras import ops\n'
        'def f(x: Nowhere = 0.0, *, k: int = 2) -> Nothing:\n    "Root."\n    return ops.sqrt(x)\n'
    )
    module = load(path, text, monkeypatch)
    with swapped(patched(path)):
        assert float(module.f()) > 0
        assert (module.f.__doc__, module.f.__kwdefaults__) == ("Root.", {"k": 2})
        assert module.f.__annotations__["x"] == "Nowhere"


def test_proxies_are_not_asked_what_they_are(tmp_path, monkeypatch):
    class Proxy:
        @property
        def __class__(self):
            raise AssertionError("touched")

    proxies = [Proxy()]
    path = tmp_path / "user_module.py"
    load(path, HEADER + HOLDERS["function"], monkeypatch)
    with swapped(patched(path)) as count:
        assert count == len(proxies)


def test_a_thread_that_is_inside_the_function_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "user_module.py"
    text = HEADER + "def f(x, wait):\n    wait()\n    return ops.sqrt(x)\n"
    module = load(path, text, monkeypatch)
    patch = patched(path)
    inside, leave, found = threading.Event(), threading.Event(), []

    def wait():
        inside.set()
        leave.wait(10)

    thread = threading.Thread(target=lambda: found.append(float(module.f(0.0, wait))))
    thread.start()
    inside.wait(10)
    with swapped(patch):
        leave.set()
        thread.join(10)
    assert found == [0.0]
