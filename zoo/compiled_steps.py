"""The step of a script in plain JAX: what the script itself compiles, found without changing it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

Step = Callable[..., Any]
_COMPILERS = (("jax", "jit"), ("flax.nnx", "jit"), ("equinox", "filter_jit"))


def wrap_compiled(script: Path, wrap: Callable[[Step], Step]) -> None:
    """From now on, wrap what `script` compiles by `jax.jit`, `nnx.jit` or `eqx.filter_jit`."""
    text = script.read_text(encoding="utf-8")
    for library, name in _COMPILERS:
        # A library is imported only if the script does so.
        if library.partition(".")[0] in text:
            module = importlib.import_module(library)
            setattr(module, name, _wrapping(getattr(module, name), script.name, wrap))


def _wrapping(
    compile_: Callable[..., Any], script: str, wrap: Callable[[Step], Step]
) -> Callable[..., Any]:
    def compile_and_wrap(function: Any = None, **options: Any) -> Any:
        if function is None:
            return partial(compile_and_wrap, **options)
        made = compile_(function, **options)
        caller = sys._getframe(1).f_code.co_filename
        return wrap(made) if Path(caller).name == script else made

    return compile_and_wrap
