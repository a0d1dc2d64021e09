"""The import direction of the package: script -> runner -> guard -> replay -> rules -> report.

Read from the source with `ast`, so that an import inside a function counts too. Imports for the
type checker alone do not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
FRAMEWORKS = {"jax", "jaxlib", "tensorflow", "torch"}
BUILDING_BLOCKS = {"models", "losses", "metrics", "data"}
INNER = {"backends", "replay", "rules", "repair", "report", "runner", "trace"}


@dataclass(frozen=True)
class Import:
    """`module` as imported by `importer`; `late` when only inside a function."""

    importer: str
    module: str
    late: bool

    def __str__(self):
        return f"{self.importer} imports {self.module}"

    @property
    def root(self):
        return self.module.partition(".")[0]


def room(module: str) -> str:
    """The part of the package a module lies in: "guard" for "stayfinite.guard.watch"."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "stayfinite"


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted((SRC / "stayfinite").rglob("*.py"))}


def imports_of(importer: str) -> Iterator[Import]:
    def visit(node: ast.AST, late: bool) -> Iterator[Import]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(importer, alias.name, late)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{importer}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(importer, inner if inner in FILES else str(node.module), late)
        late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, late)

    yield from visit(ast.parse(FILES[importer].read_text(encoding="utf-8")), False)


IMPORTS = [found for importer in FILES for found in imports_of(importer)]
OURS = [found for found in IMPORTS if found.root == "stayfinite"]


def rooms_imported_by(*importers: str) -> set[str]:
    return {room(i.module) for i in OURS if room(i.importer) in importers} - set(importers)


def test_there_is_something_to_look_at():
    assert len(FILES) > 30
    assert len(OURS) > 50


def test_only_backends_import_a_framework():
    assert not [str(i) for i in IMPORTS if i.root in FRAMEWORKS and room(i.importer) != "backends"]


def test_only_guard_backends_and_what_users_could_write_import_keras():
    allowed = {"backends", "guard", "training", "lab", *BUILDING_BLOCKS}
    assert not [str(i) for i in IMPORTS if i.root == "keras" and room(i.importer) not in allowed]


def test_building_blocks_stand_alone():
    """A saved model of ours loads without the guard, so its classes must not need it."""
    assert rooms_imported_by(*BUILDING_BLOCKS) <= {"stayfinite", "errors"}
    third = {i.root for i in IMPORTS if room(i.importer) in BUILDING_BLOCKS}
    assert third & FRAMEWORKS == set()


def test_nobody_imports_the_command_line():
    importers = {i.importer for i in OURS if room(i.module) == "cli" and room(i.importer) != "cli"}
    assert importers == {"stayfinite.__main__"}


@pytest.mark.parametrize(
    "name, forbidden",
    [
        ("incident", {"any room"}),
        ("errors", {"any room"}),
        ("trace", {"rules", "repair", "report", "guard", "backends", "replay", "runner"}),
        ("rules", {"guard", "backends", "report", "replay", "runner"}),
        ("repair", {"guard", "backends", "report", "runner", "rules"}),
        ("backends", {"rules", "repair", "report", "runner"}),
        ("guard", {"rules", "repair", "runner"}),
        ("replay", {"runner"}),
        ("verify", {"guard", "backends", "replay", "rules", "repair", "report", "runner"}),
        ("training", {*INNER, "guard", "lab"}),
        ("lab", {*INNER, "guard"}),
        ("runner", {"backends", "replay", "rules", "repair", "trace", "verify"}),
    ],
)
def test_one_direction(name, forbidden):
    if forbidden == {"any room"}:
        forbidden = {room(module) for module in FILES} - {name, "stayfinite"}
    found = [str(i) for i in OURS if room(i.importer) == name and room(i.module) in forbidden]
    assert not found


def test_report_knows_nothing_but_the_incident():
    assert rooms_imported_by("report") <= {"incident"}


def test_rules_know_no_framework():
    third = {i.root for i in IMPORTS if room(i.importer) == "rules"}
    assert third & {"keras", *FRAMEWORKS} == set()


def reachable(start: str) -> set[str]:
    """What importing `start` imports, packages on the way and third parties included."""
    seen, todo = set(), [start]
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        if module in FILES:
            todo += [i.module for i in IMPORTS if i.importer == module and not i.late]
            todo += [module.rpartition(".")[0]] if "." in module else []
    return seen


@pytest.mark.parametrize("start", ["stayfinite", "stayfinite.cli", "stayfinite.runner.run"])
def test_nothing_heavy_before_the_script_asks_for_it(start):
    roots = {module.partition(".")[0] for module in reachable(start)}
    assert roots & {"keras", "numpy", "h5py", "rich", "safetensors", *FRAMEWORKS} == set()
