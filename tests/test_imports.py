"""The import direction of the package, as the table of rooms in ARCHITECTURE.md states it.

The table is the only statement of the rule. Imports are read from the source with `ast`, so an
import inside a function counts too. Imports for the type checker alone do not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
FRAMEWORKS = {"jax", "jaxlib", "tensorflow", "torch"}
# Files of `frameworks` that hold values and Protocols. The other rooms import these and no more.
SEAM = {f"stayfinite.frameworks.{path.stem}" for path in SRC.glob("stayfinite/frameworks/*.py")}
# `guard` and `replay` are built on Keras; `explain` makes the step of a failure. They go through
# the seam.
MAY_IMPORT_KERAS = {"frameworks", "guard", "networks", "replay", "saving"}


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
    return parts[1] if len(parts) > 1 else "__init__"


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


def table_of_rooms() -> dict[str, set[str]]:
    """Room to the rooms it may import, from the rows "| `room` | does | `a` `b` |"."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = text.partition("## The rooms")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|[^|]+\|([^|]*)\|$", section, re.M)
    table: dict[str, set[str]] = {}
    for names, imported in rows:
        for name in re.findall(r"`([\w]+)[./]?(?:py)?`", names):
            table[name] = set(re.findall(r"`(\w+)`", imported))
    return table


ROOMS = table_of_rooms()


def test_every_room_is_in_the_table_and_every_row_is_a_room():
    assert {room(module) for module in FILES} == set(ROOMS)


def test_the_table_has_no_circle():
    left = dict(ROOMS)
    while left:
        free = [name for name, imported in left.items() if not imported & set(left)]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_what_its_row_states_and_nothing_else(name):
    # `import stayfinite` for a public name or the version is open to all: it imports nothing.
    found = {room(i.module) for i in OURS if room(i.importer) == name} - {name, "__init__"}
    assert found == ROOMS[name]


def test_only_frameworks_imports_a_framework():
    assert not [
        str(i) for i in IMPORTS if i.root in FRAMEWORKS and room(i.importer) != "frameworks"
    ]


def test_keras_is_imported_by_few_rooms():
    found = {room(i.importer) for i in IMPORTS if i.root == "keras"}
    assert found == MAY_IMPORT_KERAS


def test_the_seam_of_frameworks_imports_no_framework():
    """`base` loads the backend in use by its name; everything else there is plain values."""
    inner = [
        str(i)
        for i in IMPORTS
        if i.importer in SEAM
        and (i.root in FRAMEWORKS or (room(i.module) == "frameworks" and i.module not in SEAM))
    ]
    assert not inner


def test_diagnosis_and_experiments_see_the_seam_only():
    behind = [
        str(i)
        for i in OURS
        if room(i.importer) not in ("frameworks", "guard", "replay", "saving")
        and room(i.module) == "frameworks"
        and i.module not in SEAM
    ]
    assert not behind


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
