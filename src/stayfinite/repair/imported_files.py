"""Which files of a program import which, by the names in their import statements."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from stayfinite.repair.same_objects import reached
from stayfinite.repair.source import SourceFile


def related_by_imports(sources: Sequence[SourceFile], files: Iterable[str]) -> set[str]:
    """`files`, those that import them, and what any of these imports; directly or not.

    Files are found by the last name of a module, so one of the same name elsewhere counts, too.

    Args:
        sources: The files of a program.
        files: Paths of some of them.
    """
    by_name: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        path = Path(source.path)
        by_name[path.parent.name if path.stem == "__init__" else path.stem].add(source.path)
    imported = {
        source.path: {path for name in _imported_names(source) for path in by_name.get(name, ())}
        for source in sources
    }
    importing: dict[str, set[str]] = defaultdict(set)
    for importer, others in imported.items():
        for other in others:
            importing[other].add(importer)
    return reached(reached(files, importing), imported)


def _imported_names(source: SourceFile) -> set[str]:
    """The last names of the modules that a file may import."""
    found: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.rpartition(".")[2] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names)
            found.add((node.module or "").rpartition(".")[2])
    return found
