"""Whether a program reads what an object or a function gives at other places than are known."""

from __future__ import annotations

import ast
import contextlib
import linecache
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from stayfinite.graph.code_owner import is_user_file
from stayfinite.graph.graph import Span
from stayfinite.repair.expression import expression_at
from stayfinite.repair.imported_files import related_by_imports
from stayfinite.repair.object_names import Place, last_name
from stayfinite.repair.same_objects import ObjectPlaces
from stayfinite.repair.source import SourceFile

# Methods of a network that call it.
_CALLING = frozenset(
    "__call__ apply call evaluate fit forward predict predict_on_batch predict_step test_on_batch"
    " train_on_batch".split()
)
# Of those, the ones that train it with its own loss, or measure it with its own metrics.
_WITH_LOSS = frozenset("evaluate fit test_on_batch train_on_batch".split())
# The report says what to do with what these give.
_PREDICTING = frozenset("predict predict_on_batch predict_step".split())
# Functions that call what they are given.
_MAPPING = frozenset("checkpoint filter map pmap vectorized_map vmap".split())


def reads_elsewhere(calls: Sequence[Span]) -> bool:
    """Whether what is called at `calls` is called at another place of the program, too.

    Args:
        calls: Positions of calls in files of the user.
    """
    program = ObjectPlaces(_sources([span.file for span in calls]))
    by_path = {source.path: source for source in program.sources}
    known: set[ast.AST] = set()
    called: list[Place] = []
    for span in calls:
        source = by_path.get(span.file)
        found = None if source is None else expression_at(source, span)
        if source is None or found is None:
            return True
        inside = [node for node in ast.walk(found.node) if isinstance(node, ast.Call)]
        known.update(inside[:1])
        called += [p for call in inside[:1] for p in _called(program, source, call)]
    places = program.same(called)
    return any(
        call not in known and not places.isdisjoint(_called(program, source, call))
        for source in program.sources
        for call in ast.walk(source.tree)
        if isinstance(call, ast.Call) and last_name(call.func) not in _WITH_LOSS
    )


def is_called_and_trained(source: SourceFile, made: ast.expr) -> bool:
    """Whether a program calls twice, or trains and calls, what it makes at `made`.

    A model that is trained by itself may be a part of another one, too, which gets its output.
    """
    statement = next((n for n in source.ancestors(made) if isinstance(n, ast.Assign)), None)
    if statement is None:
        return False
    # The trees of a file that is read again have other nodes.
    program = ObjectPlaces([source, *(s for s in _sources([source.path]) if s.path != source.path)])
    targets = [program.names.place(source, target) for target in statement.targets]
    places = program.same([place for place in targets if place is not None])
    found = [
        last_name(call.func) in _WITH_LOSS
        for other in program.sources
        for call in ast.walk(other.tree)
        if isinstance(call, ast.Call)
        and last_name(call.func) not in _PREDICTING
        and not places.isdisjoint(_called(program, other, call))
    ]
    return found.count(False) + (True in found) > 1


def _called(program: ObjectPlaces, source: SourceFile, call: ast.Call) -> Iterator[Place]:
    """What `call` calls."""
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr in _CALLING:
        yield from program.places(source, function.value)
    elif isinstance(function, ast.Call):
        yield from program.places(source, function)
    else:
        place = program.names.place(source, function)
        if place is not None:
            yield place
    if last_name(function) in _MAPPING:
        for each in call.args:
            yield from program.places(source, each)


def _sources(files: Sequence[str]) -> list[SourceFile]:
    """The files of the user that may have objects of `files`: they, and those related by imports.

    An object gets into another file where that file imports its own, or is imported by one that
    does. Cells of notebooks, which are in no file, may have any.
    """
    loaded = [*files]
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
    related = related_by_imports(found, files)
    return [s for s in found if s.path in related or not Path(s.path).exists()]
