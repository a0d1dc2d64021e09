"""A diff on its way into a script: by `patch`, and without it."""

import difflib

import pytest

from zoo.patching import CannotApply, apply_diff, patched

BEFORE = "".join(f"line {number}\n" for number in range(30))
AFTER = BEFORE.replace("line 3\n", "line three\nand more\n").replace("line 25\n", "")
DIFF = "".join(
    difflib.unified_diff(BEFORE.splitlines(True), AFTER.splitlines(True), "s.py", "s.py")
)
ADDED = "--- s.py\n+++ s.py\n@@ -2,0 +3 @@\n+new\n"


@pytest.fixture(params=["patch", "no patch"])
def script(request, tmp_path, monkeypatch):
    if request.param == "no patch":
        monkeypatch.setattr("shutil.which", lambda name: None)
    path = tmp_path / "s.py"
    path.write_text(BEFORE)
    return path


def test_diff_is_applied(script):
    apply_diff(DIFF, script)
    assert script.read_text() == AFTER


def test_diff_without_context(script):
    apply_diff(ADDED, script)
    assert script.read_text().splitlines()[1:4] == ["line 1", "new", "line 2"]


def test_diff_of_another_text_is_refused(script):
    script.write_text(BEFORE.replace("line 3\n", "line drei\n"))
    with pytest.raises(CannotApply) as raised:
        apply_diff(DIFF, script)
    assert "\n" not in str(raised.value)


def test_no_diff_at_all():
    with pytest.raises(CannotApply, match="no hunk"):
        patched(["a\n"], "use a smaller learning rate")
