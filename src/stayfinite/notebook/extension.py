"""`%load_ext stayfinite`: every training of the notebook under guard, until `%unload_ext`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stayfinite.errors import CannotGuardError, UsageError
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.report.wording import notices
from stayfinite.runner.console import say
from stayfinite.runner.keras_import import ON_JAX, after_import

if TYPE_CHECKING:
    from stayfinite.guard.bad_steps import BadSteps
    from stayfinite.guard.every_model import EveryModel
    from stayfinite.guard.jax_steps import JaxSteps
    from stayfinite.guard.plain_torch import PlainTorchSteps

KEEP = Path("stayfinite-out")


class NotebookSession:
    """Guards each `keras.Model` and each hand-written loop of a notebook.

    A `Guard` or a `watching` block in a cell keeps its own settings.
    """

    def __init__(self) -> None:
        self._hooks: EveryModel | None = None
        self._torch: PlainTorchSteps | None = None
        self._jax: JaxSteps | None = None
        self._closed = False

    def install(self) -> None:
        """Guard what trains from now on; called once Keras is imported."""
        if self._closed:
            return
        # Imported here, because a notebook may choose the backend of Keras after this extension.
        from stayfinite.guard.callback import Guard
        from stayfinite.guard.every_model import EveryModel

        hooks = EveryModel(self, lambda: Guard(keep=KEEP), KEEP)
        try:
            hooks.install()
        except UsageError as error:
            _say_line(f"{error}; this notebook runs unguarded")
            return
        self._hooks = hooks
        if self._jax is not None:
            self._jax.install()

    def watch_torch(self) -> None:
        """Judge each step of `torch.optim` from now on; called once PyTorch is imported."""
        if self._closed:
            return
        # Imported here, as it imports PyTorch.
        from stayfinite.guard.plain_torch import PlainTorchSteps

        steps = PlainTorchSteps(KEEP, None)
        self.adopt(steps)
        try:
            steps.install(is_of_notebook=True)
        except CannotGuardError as error:
            _say_line(f"{error}; loops over torch.optim run unguarded")
            return
        steps.begin()
        self._torch = steps

    def watch_jax(self) -> None:
        """Guard each step under `jax.jit` from now on; called after imports of JAX and others."""
        if self._closed:
            return
        # Imported here, as it imports JAX.
        from stayfinite.guard.jax_steps import JaxSteps

        self._jax = self._jax or JaxSteps(KEEP, _say_line)
        self._jax.install()

    def adopt(self, watch: BadSteps) -> None:
        """Have `watch` print its notices, and run unguarded what it cannot attach to."""
        watch.say, watch.unguarded_ok = _say_line, True

    def left_alone(self, name: str, why: WhyNot | str) -> None:
        """Say that the step `name()` of a hand-written loop is not guarded."""
        _say_line(notices.unguarded_step(name, why))

    def close(self) -> None:
        """Guard nothing any more."""
        self._closed = True
        if self._hooks is not None:
            self._hooks.close()
            self._hooks.release()
        if self._torch is not None:
            self._torch.close()
        if self._jax is not None:
            self._jax.close()


_sessions: list[NotebookSession] = []


def load_ipython_extension(_shell: object) -> None:
    """Guard every training from now on; IPython calls it."""
    session = NotebookSession()
    _sessions.append(session)
    after_import("keras", session.install)
    after_import("torch", session.watch_torch)
    for library in ON_JAX:
        after_import(library, session.watch_jax)


def unload_ipython_extension(_shell: object) -> None:
    """Undo `load_ipython_extension`, for models that were guarded, too; IPython calls it."""
    while _sessions:
        _sessions.pop().close()


def _say_line(text: str) -> None:
    say(f"stayfinite: {text}")
