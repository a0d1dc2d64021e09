"""The files of the user that a running program has loaded."""

from __future__ import annotations

import contextlib
import linecache
import sys
from collections.abc import Sequence

from stayfinite.graph.code_owner import is_user_file
from stayfinite.repair.source import SourceFile


def loaded_sources(first: Sequence[str] = ()) -> list[SourceFile]:
    """The files of the user that are loaded and can be parsed, those of `first` first."""
    loaded = [*first]
    for module in list(sys.modules.values()):
        file = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(file, str) and file.endswith(".py"):
            loaded.append(file)
    loaded += list(linecache.cache)
    found: list[SourceFile] = []
    for file in dict.fromkeys(loaded):
        if not is_user_file(file):
            continue
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            source = SourceFile.of(file)
            assert source.tree
            found.append(source)
    return found
