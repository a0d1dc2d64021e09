"""`python -m zoo.warm`: a process that has loaded a library, and forks itself for each script.

Loading a framework takes longer than most of the zoo's trainings. The forked process begins where
the import of Keras, or of PyTorch or JAX for a script without Keras, has just returned, with no
computation made and no thread started for one. What an explanation imports is loaded, too, with the
templates of its page; a script that is run without the command does not find it.

Reads one request a line, `{"arguments", "folder", "variables", "output", "timeout"}`, and answers
each with a line `{"exit_code"}`, null where the time was up.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from zoo.forked import run_and_end

# What can be run here as `python -m` runs it. Other arguments are a script and its arguments.
MODULES = (
    "stayfinite",
    "zoo.guarded_jax",
    "zoo.peers.launcher",
    "zoo.probing",
    "zoo.probing_jax",
    "zoo.probing_torch",
)
_LIBRARIES = {"plain-jax": "jax", "plain-torch": "torch"}
# What guarded runs import, with each library. Together they take a fifth of a second.
_OF_ANY_RUN = (
    *("cli", "explanation.pipeline", "guard.session", "report.wording"),
    "repair.writing.syntax_tree",
)
_OF_A_RUN = {
    "keras": ("guard.callback", "guard.every_model", "replay.run"),
    "jax": ("frameworks.jax.plain.framework", "frameworks.jax.step", "guard.jax_steps"),
    "tensorflow": ("frameworks.tensorflow.engine", "frameworks.tensorflow.loops"),
    "torch": (
        *("frameworks.torch.plain.framework", "frameworks.torch.plain.engine"),
        *("frameworks.recording.step", "guard.plain_torch"),
    ),
}
_POLL_SECONDS = 0.02


def main() -> None:
    """Serve requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    # What the frameworks say while they load is not an answer.
    os.dup2(2, 1)
    _load()
    for line in sys.stdin:
        answers.write(json.dumps({"exit_code": _forked(json.loads(line))}) + "\n")
        answers.flush()


def _load() -> None:
    library = _LIBRARIES.get(os.environ.get("ZOO_BACKEND", ""), "keras")
    loaded = importlib.import_module(library)
    names = [*_OF_ANY_RUN, *_OF_A_RUN[library]]
    if library == "keras":
        backend = loaded.backend.backend()
        names += [f"frameworks.{backend}.backend", *_OF_A_RUN[backend]]
    for name in ("libcst", *(f"stayfinite.{name}" for name in names)):
        importlib.import_module(name)
    _compile_templates()
    # A collection in a forked process would copy the pages of every object that it looks at.
    gc.collect()
    gc.freeze()


def _compile_templates() -> None:
    """Those of the page of a report, which each explanation would compile again."""
    from stayfinite.pages.rendering import environment

    templates = environment("stayfinite.report.html")
    for name in templates.list_templates():
        templates.get_template(name)


def _forked(request: dict[str, Any]) -> int | None:
    child = os.fork()
    if child == 0:
        _become(request)
    until = time.monotonic() + request["timeout"]
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_POLL_SECONDS)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _become(request: dict[str, Any]) -> NoReturn:
    """Run the arguments in this process, and end it."""

    def program() -> int | None:
        os.setsid()
        os.environ.update(request["variables"])
        os.chdir(request["folder"])
        output = os.open(request["output"], os.O_WRONLY | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(output, stream)
        return _run(request["arguments"])

    run_and_end(program)


def _run(arguments: Sequence[str]) -> int | None:
    if list(arguments[:2]) != ["-m", "stayfinite"]:
        for name in [name for name in sys.modules if name.partition(".")[0] == "stayfinite"]:
            del sys.modules[name]
    if arguments[0] != "-m":
        sys.argv = list(arguments)
        sys.path[0] = str(Path(arguments[0]).parent)
        runpy.run_path(arguments[0], run_name="__main__")
        return 0
    module, rest = arguments[1], list(arguments[2:])
    if module not in MODULES:
        raise ValueError(f"a warm process runs `-m` of {MODULES}, not of {module}")
    if module == "stayfinite":
        from stayfinite.cli import main as stayfinite

        sys.argv = [str(Path(sys.executable).with_name("stayfinite")), *rest]
        return stayfinite(rest)
    if module == "zoo.guarded_jax":
        from zoo.guarded_jax import main as guarded_jax

        return guarded_jax(rest)
    if module.startswith("zoo.probing"):
        importlib.import_module(module).main(rest)
        return 0
    from zoo.peers import launcher

    sys.argv = [launcher.__file__, *rest]
    launcher.main()
    return 0


if __name__ == "__main__":
    main()
