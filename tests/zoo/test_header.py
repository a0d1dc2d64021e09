"""The answer at the top of a case, and what is said of a wrong one."""

import pytest

from zoo.case import read_case, read_control
from zoo.header import BadHeader

GOOD = """
cause = "log-of-zero"
step = 12
rows = [3, 1]
fix = "source"
value = "exact"
stands_for = ["GRIST 5"]
"""
SCRIPT = "import keras\n\nloss = keras.ops.log(0.0)  # at fault\n"


def written(folder, header, script=SCRIPT, place="log_of_zero/entropy.py"):
    path = folder / place
    path.parent.mkdir(exist_ok=True)
    lines = "".join(f"# {line}\n" if line else "#\n" for line in header.strip().splitlines())
    path.write_text(f'"""What was wanted."""\n# /// zoo\n{lines}# ///\n\n{script}')
    return path


def test_header_is_read(tmp_path):
    case = read_case(written(tmp_path, GOOD))
    assert (case.id, case.cause, case.fix) == ("log_of_zero/entropy", "log-of-zero", "source")
    assert (case.rows, case.stands_for) == ((1, 3), ("GRIST 5",))
    assert case.value == "exact"
    assert case.backends == ("jax", "tensorflow", "torch")
    assert [case.step_on(backend) for backend in case.backends] == [12, 12, 12]
    assert case.line == 13
    assert case.twin.name == "entropy_fixed.py"


def test_backends_may_have_steps_of_their_own(tmp_path):
    header = GOOD.replace("12", "{jax = 1, torch = 2}") + 'backends = ["jax", "torch"]'
    case = read_case(written(tmp_path, header))
    assert (case.step_on("jax"), case.step_on("torch")) == (1, 2)


@pytest.mark.parametrize("backend", ["plain-jax", "plain-torch"])
def test_script_may_be_written_without_keras(tmp_path, backend):
    case = read_case(written(tmp_path, GOOD + f'backends = ["{backend}"]'))
    assert (case.backends, case.step_on(backend)) == ((backend,), 12)


def test_rows_and_line_may_be_missing(tmp_path):
    header = GOOD.replace("rows = [3, 1]", "")
    case = read_case(written(tmp_path, header, "import keras\n"))
    assert (case.rows, case.line) == (None, None)


@pytest.mark.parametrize(
    "change, said",
    [
        (("log-of-zero", "nan"), "`cause` is 'nan': expected one of singular-gradient"),
        (("log-of-zero", "overflow"), "move it to overflow/"),
        (("12", "-1"), "`step` is -1: expected a number from 0"),
        (("12", "true"), "`step` is True"),
        (("step = 12", ""), "`step` is None"),
        (("12", "{jax = 1}"), "one for each of jax, tensorflow, torch"),
        (("[3, 1]", "3"), "`rows` is 3: expected a list"),
        (("[3, 1]", "[]"), "`rows` is []"),
        (('"source"', '"code"'), "`fix` is 'code': expected one of source, setting, data, none"),
        (('"exact"', '"right"'), "`value` is 'right': expected one of exact, bounded, undefined"),
        (('value = "exact"\n', ""), "`value` is None"),
        (('"source"', '"data"'), '`value` is for `fix = "source"` only'),
        (("stands_for", "stand_for"), "unknown key 'stand_for'"),
        (('["GRIST 5"]', '"GRIST 5"'), "`stands_for` is 'GRIST 5': expected a list of strings"),
        (("12", "twelve"), "the header is no TOML"),
        (("step = 12", 'step = 12\nbackends = ["mxnet"]'), "`backends` is ['mxnet']"),
    ],
)
def test_wrong_header_is_told_in_one_line(tmp_path, change, said):
    assert change[0] in GOOD
    with pytest.raises(BadHeader) as raised:
        read_case(written(tmp_path, GOOD.replace(*change)))
    assert said in str(raised.value)
    assert str(raised.value).startswith(("log_of_zero/entropy: ",))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ("import keras\n", "expected a header that begins with '# /// zoo', received none"),
        ("# /// zoo\n# step = 1\n", "the header is not closed"),
        ("# /// zoo\nstep = 1\n# ///\n", "does not start with '#': 'step = 1'"),
    ],
)
def test_broken_block(tmp_path, text, said):
    path = tmp_path / "case.py"
    path.write_text(text)
    with pytest.raises(BadHeader, match=said):
        read_case(path)


def test_one_line_is_at_fault(tmp_path):
    path = written(tmp_path, GOOD, SCRIPT + SCRIPT)
    with pytest.raises(BadHeader, match=r"expected one line with '# at fault', received lines"):
        read_case(path)


def test_control_has_no_cause(tmp_path):
    path = written(tmp_path, 'backends = ["jax"]', place="controls/floor.py")
    assert read_control(path).backends == ("jax",)
    with pytest.raises(BadHeader, match="unknown key 'cause'"):
        read_control(written(tmp_path, GOOD, place="controls/floor.py"))
