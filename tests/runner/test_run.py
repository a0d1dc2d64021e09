"""The run around the program: guard, run file, exit code 3. Keras and the guard are stand-ins."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys

import pytest

from tests.report.incidents import SQRT
from tests.runner.conftest import LAUNCHES, launch

# Runs a script under a guard that does as it is told: `keras.train(bad=True)` is a bad step.
DRIVER = """
import contextlib, json, sys
from pathlib import Path
from stayfinite.errors import NonFiniteError
from stayfinite.incident import Incident
from stayfinite.runner.program import UserProgram
from stayfinite.runner.run import GuardedRun

class Session:
    was_aborted = has_reported = has_unguarded = False
    def __init__(self, policy, keep, script, say, unguarded_ok):
        print("session", policy.name, keep == Path.cwd() / "kept", script)
        self.incidents, self.notes, self.num_steps = [], [], 0
    def install(self):
        import keras
        print("install", keras.READY)
        keras.train = self.train
    def check_loops(self):
        pass
    def say_bad_losses(self):
        pass
    def writing(self):
        return contextlib.nullcontext()
    def with_reports(self):
        return self.incidents
    def report_loops(self):
        pass
    def train(self, bad=False):
        self.num_steps += 1
        if bad:
            incident = Incident.from_json(json.loads(Path("incident.json").read_text()))
            self.incidents.append(incident)
            raise NonFiniteError("the report\\n", incident)

program = UserProgram(sys.argv[1], tuple(sys.argv[2:]))
files = {"json": Path("run.json"), "html": Path("run.html")}
run = GuardedRun(program, keep=Path("kept"), new_session=Session, **files)
sys.exit(run())
"""


@pytest.fixture
def run(script, tmp_path):
    """Runs a script under the driver; returns how that went, and the run file."""
    script("READY = True\n", "keras.py")
    script(DRIVER, "driver.py")
    (tmp_path / "incident.json").write_text(json.dumps(SQRT.to_json()))

    def run_(text, **options):
        done = launch(sys.executable, "driver.py", script(text), **options)
        return done, json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))

    return run_


def run_file(exit_code, num_steps=0, incidents=()):
    return {
        "schema": "stayfinite.run/1",
        "exit_code": exit_code,
        "num_steps": num_steps,
        "incidents": [incident.to_json() for incident in incidents],
        "interventions": [],
        "notes": [],
    }


def test_guards_as_soon_as_keras_is_imported(run):
    done, file = run("print('script'); import keras; keras.train(); keras.train(); print('end')")
    assert done.stdout.split("\n") == [
        "script",
        "session stop True x.py",
        "install True",
        "end",
        "",
    ]
    assert done.stderr == ""
    assert file == run_file(0, num_steps=2)


@pytest.mark.parametrize(
    "program, says",
    [
        ("import keras; keras.train()", "Every training step was finite"),
        ("pass", "No training step ran"),
        ("import keras; keras.train(bad=True)", "The gradient of <code>sqrt</code> is infinite"),
        ("import os; os._exit(0)", "This run has not ended"),
    ],
)
def test_page_of_a_run(run, tmp_path, program, says):
    run(program)
    assert says in (tmp_path / "run.html").read_text(encoding="utf-8")


def test_a_script_without_keras_is_told_so(run):
    done, file = run("print('script')")
    assert done.stdout == "script\n"
    assert done.stderr == (
        "stayfinite: no training step that it can guard ran, so nothing was guarded; to guard a "
        "training loop of your own, wrap its step in stayfinite.guarded\n"
    )
    assert file == run_file(0)


def test_nothing_is_said_after_an_error_or_an_exit_code(run):
    assert run("import sys; sys.exit(4)")[0].stderr == ""


def test_a_bad_step_that_nothing_catches(run):
    done, file = run(
        """
        import atexit, keras, sys
        atexit.register(print, "exit handler")
        sys.excepthook = lambda *_: print("not called")
        keras.train()
        keras.train(bad=True)
        """
    )
    assert done.returncode == 3
    assert done.stderr == "the report\n"
    assert done.stdout.endswith("exit handler\n")
    assert "not called" not in done.stdout
    assert file == run_file(3, num_steps=2, incidents=[SQRT])


def test_a_bad_step_that_the_script_catches(run):
    done, file = run(
        """
        import keras, stayfinite, sys
        try:
            keras.train(bad=True)
        except stayfinite.NonFiniteError as error:
            print(error.incident.cause.name)
            sys.exit(5)
        """
    )
    assert done.returncode == 5
    assert done.stderr == ""
    assert file == run_file(5, num_steps=1, incidents=[SQRT])


def test_a_bad_step_that_the_script_turns_into_its_own_error(run):
    done, file = run(
        """
        import keras
        try:
            keras.train(bad=True)
        except ArithmeticError as error:
            raise RuntimeError("mine") from error
        """
    )
    assert done.returncode == 1
    assert done.stderr.endswith("RuntimeError: mine\n")
    assert file == run_file(1, num_steps=1, incidents=[SQRT])


@pytest.mark.parametrize(
    "text, code",
    [
        ("import sys; sys.exit('bye')", 1),
        ("import sys; sys.exit(-1)", 255),
        ("raise ValueError", 1),
        ("def f(:", 1),
        ("raise KeyboardInterrupt", -2),
        ("import sys\nsys.excepthook = lambda *_: sys.exit(9)\nraise ValueError", 9),
        ("import os; os.chdir('/')", 0),
        # Killed: the file is there, and says that the run did not come to an end.
        ("import os; os._exit(3)", -1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -1),
        # A forked child ends too, but is not the run.
        ("import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nelse: raise SystemExit(8)", 0),
    ],
)
def test_the_run_file_has_the_exit_code(run, text, code):
    done, file = run(text)
    assert file == run_file(code)
    assert code in (done.returncode, -1)


def test_the_run_file_has_the_exit_code_where_the_signal_of_ctrl_c_is_blocked(run):
    done, file = run("raise KeyboardInterrupt", interrupt=signal.SIG_BLOCK)
    assert (done.returncode, file) == (130, run_file(130))


def test_a_run_file_that_cannot_be_written_any_more(script, tmp_path):
    x = script("import shutil; shutil.rmtree('out'); open('out', 'w').close(); print('end')")
    (tmp_path / "out").mkdir()
    done = launch(*LAUNCHES["command"], "--json", "out/run.json", x)
    assert (done.returncode, done.stdout) == (0, "end\n")
    assert done.stderr.startswith("stayfinite: the run file could not be written: ")


def test_a_run_file_in_a_folder_that_the_program_deletes_is_written(script, tmp_path):
    x = script("import shutil; shutil.rmtree('out'); print('end')")
    (tmp_path / "out").mkdir()
    done = launch(*LAUNCHES["command"], "--json", "out/run.json", x)
    assert (done.returncode, done.stdout) == (0, "end\n")
    assert json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8")) == run_file(0)


@pytest.mark.parametrize(
    "options, says",
    [
        (["--json", "missing/run.json"], "--json missing/run.json: No such file or directory"),
        (["--json", "."], "--json .: Is a directory"),
        (["--keep", "x.py"], "--keep x.py: Not a directory"),
        (["--keep", "x.py/deeper/still"], "--keep x.py/deeper/still: Not a directory"),
        (["--keep", "/proc/nowhere"], "--keep /proc/nowhere: "),
        (["--keep", "x" * 300], os.strerror(errno.ENAMETOOLONG)),
        (["--json", "x.py"], "--json x.py: is also SCRIPT"),
        (["--json", "a", "--html", "./a"], "--html a: is also --json"),
        (["--policy", "hope"], "--policy"),
        (["--unknown"], "--unknown"),
        ([], None),
    ],
)
def test_bad_options_are_one_line_before_the_script_starts(script, options, says):
    x = [script("print('started')")] if says else []
    done = launch(*LAUNCHES["command"], *options, *x)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("stayfinite: ")
    assert len(done.stderr.splitlines()) == 1
    assert (says or "SCRIPT") in done.stderr


def test_script_that_is_a_loop_of_links(tmp_path):
    loop = tmp_path / "loop.py"
    loop.symlink_to(loop)
    done = launch(*LAUNCHES["command"], str(loop))
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.endswith(os.strerror(errno.ELOOP))


def test_a_run_without_an_incident_leaves_nothing_behind(script, tmp_path):
    launch(*LAUNCHES["command"], script("print('hi')"))
    assert [path.name for path in tmp_path.iterdir()] == ["x.py"]


def test_run_file_into_a_pipe(script):
    done = launch(*LAUNCHES["command"], "--json", "/dev/stdout", script(""))
    assert json.loads(done.stdout) == run_file(0)
