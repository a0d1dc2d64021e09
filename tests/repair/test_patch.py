import os
import shutil
import subprocess

import pytest

from stayfinite.repair import Patch, SourceFile, candidates, find_expression
from tests.repair.helpers import first_patch

SPAN = "ops.sqrt(x)"
BODY = ["from keras import ops", "", "def f(x):  # größe", "    return ops.sqrt(x)", ""]


def tool(*command, cwd, data):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    subprocess.run(command, cwd=cwd, input=data, check=True, capture_output=True)


def as_bytes(patch, name):
    """The diff for a tool that applies it: the text in the encoding of the file."""
    encoding = patch.original.encoding
    lines = patch.diff(name).split("\n")
    text = "\n".join(lines[2:]).encode("utf-8" if encoding == "utf-8-sig" else encoding)
    return b"".join(os.fsencode(line) + b"\n" for line in lines[:2]) + text


TOOLS = [("patch", "-p0"), ("git", "apply", "-p0")]
FILES = {
    "plain": "\n".join(BODY).encode(),
    "crlf": "\r\n".join(BODY).encode(),
    "no newline at the end": "\n".join(BODY[:-1]).encode(),
    "crlf, no newline at the end": "\r\n".join(BODY[:-1]).encode(),
    "byte order mark": b"\xef\xbb\xbf" + "\n".join(BODY).encode(),
    "latin-1": ("# coding: latin-1\n" + "\n".join(BODY)).encode("latin-1"),
    "new import": "\n".join(["def f(x):  # größe", "    return x ** 0.5"]).encode(),
    "new import, crlf": "\r\n".join(["import os", "def f(x):", "    return x ** 0.5"]).encode(),
    "form feed": "\n".join(["s = '\f'", "\f", *BODY]).encode(),
}


@pytest.mark.parametrize("command", TOOLS, ids=lambda command: command[0])
@pytest.mark.parametrize("name", ["train.py", "a folder/my train.py", "größe.py"])
@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_the_diff_turns_the_file_into_the_patched_file(tmp_path, data, name, command):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    patch = first_patch(path, "singular-gradient", SPAN if b"sqrt" in data else "x ** 0.5")
    assert patch.source.text != patch.original.text
    tool(*command, cwd=tmp_path, data=as_bytes(patch, name))
    assert path.read_bytes() == patch.source.text.encode(patch.source.encoding)


def test_the_diff_as_users_read_it(tmp_path):
    path = tmp_path / "train.py"
    path.write_text("\n".join(BODY))
    patch = first_patch(path, "singular-gradient", SPAN)
    assert patch.diff("train.py") == (
        "--- train.py\n"
        "+++ train.py\n"
        "@@ -1,4 +1,4 @@\n"
        " from keras import ops\n"
        " \n"
        " def f(x):  # größe\n"
        "-    return ops.sqrt(x)\n"
        "+    return ops.sqrt(ops.maximum(x, 1e-12))\n"
    )
    assert patch.diff().startswith(f"--- {path}\n")


def test_one_edit_after_another():
    """The second expression is found in the patched text, where the trace of the replay saw it."""
    text = "def f(x, y):\n    return x ** 0.5 / y\n"
    patch = Patch.start(SourceFile("t.py", text))
    assert patch.is_empty
    assert patch.diff() == ""
    for mechanism, part in (("singular-gradient", "x ** 0.5"), ("division-by-zero", None)):
        source = patch.source
        whole = source.text.strip().rpartition("return ")[2]
        start = source.text.index(part or whole)
        span = source.span(start, start + len(part or whole))
        patch = patch.then(candidates(find_expression(source, span), mechanism)[0])
    assert patch.source.text == (
        "from keras import ops\n"
        "def f(x, y):\n"
        "    return ops.maximum(x, 1e-12) ** 0.5 / ops.where(ops.equal(y, 0), 1.0, y)\n"
    )
    assert patch.original.text == text


def test_an_edit_of_another_version_is_refused(tmp_path):
    path = tmp_path / "train.py"
    path.write_text("\n".join(BODY))
    patch = first_patch(path, "singular-gradient", SPAN)
    source = patch.original
    start = source.text.index(SPAN)
    expression = find_expression(source, source.span(start, start + len(SPAN)))
    with pytest.raises(ValueError, match="not of the present text"):
        patch.then(candidates(expression, "singular-gradient")[0])


def test_bounds_that_a_patch_adds_are_made_tighter():
    text = "a = 1e-12\nroot = sqrt(x) + 1e-7\nb = 1e-12\n"
    patched = text.replace("sqrt(x)", "sqrt(clamp(x, min=1e-12)) / max(y, 1e-40)")
    patch = Patch(SourceFile("f.py", text, "utf-8"), SourceFile("f.py", patched, "utf-8"))
    tighter = "a = 1e-12\nroot = sqrt(clamp(x, min=1e-96)) / max(y, 1e-200) + 1e-7\nb = 1e-12\n"
    assert patch.with_tighter_bounds().source.text == tighter
    assert Patch(patch.original, patch.original).with_tighter_bounds() is None
