"""The import of Keras: a call once it is done, and the reason where its backend makes it fail.

The guard has to be in place before the script builds its first model. It does not import Keras
itself, because the script may still set `KERAS_BACKEND`, or not use Keras.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

# A step of JAX is written with these.
ON_JAX = ("jax", "optax", "flax", "flax.nnx", "equinox")


def after_import(name: str, call: Callable[[], object]) -> None:
    """Call `call()` once, when the module `name` has been imported.

    The call comes before the import statement returns. After it, the finder is removed from
    `sys.meta_path` and the module has its own loader. An import that fails can be repeated.
    """
    if name in sys.modules:
        call()
    else:
        sys.meta_path.insert(0, _Finder(name, call))


class _Finder(importlib.abc.MetaPathFinder):
    """Gets the module's spec from the other finders and wraps its loader in a `_Loader`."""

    def __init__(self, name: str, call: Callable[[], object]) -> None:
        self._name = name
        self._call = call

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self._fire)
                return spec
        return None

    def _fire(self) -> None:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)
        self._call()


class _Loader(importlib.abc.Loader):
    """Restores the module's own loader, runs the module with it, then calls back."""

    def __init__(self, loader: importlib.abc.Loader, fire: Callable[[], None]) -> None:
        self._loader = loader
        self._fire = fire

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._fire()


_TRAINING = ("jax", "tensorflow", "torch")
_KNOWN = (*_TRAINING, "numpy", "openvino")


def import_failure(error: BaseException) -> str | None:
    """Explain in one line that the chosen backend made `import keras` fail; None if it did not.

    For use after the end of the program, which may catch the error and choose another backend.
    """
    if not isinstance(error, ImportError | ValueError) or "keras" in sys.modules:
        return None
    if not _was_raised_in_keras(error):
        return None
    name = _chosen()
    expected = ", ".join(_TRAINING[:-1]) + f" or {_TRAINING[-1]}"
    if name not in _KNOWN:
        return f"Keras has no backend {name!r}; set KERAS_BACKEND to {expected}"
    if name not in _TRAINING:
        # Keras cannot train on them, whether they are installed or not.
        return (
            f"trainings on the Keras backend {name!r} cannot be guarded; "
            f"set KERAS_BACKEND to {expected}"
        )
    if not _is_installed(name):
        there = [other for other in _TRAINING if _is_installed(other)]
        others = f"{' or '.join(there)}, which is installed" if there else f"another of {expected}"
        return (
            f"the Keras backend {name!r} is not installed; set KERAS_BACKEND to {others}, "
            f"or run pip install {name}"
        )
    return None


def _was_raised_in_keras(error: BaseException) -> bool:
    """Return whether the error, or one that it replaced, passed through the code of Keras."""
    cause: BaseException | None = error
    while cause is not None:
        for frame, _ in traceback.walk_tb(cause.__traceback__):
            if str(frame.f_globals.get("__name__")).partition(".")[0] == "keras":
                return True
        cause = cause.__cause__ or cause.__context__
    return False


def _chosen() -> str:
    """Return the backend that Keras chooses: environment, configuration file, TensorFlow."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = os.environ.get("KERAS_HOME") or str(Path.home() / ".keras")
    try:
        config = json.loads((Path(home) / "keras.json").read_text(encoding="utf-8"))
        return str(config.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):
        return "tensorflow"


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
