"""Whether a program reads what an object or a function gives at other places than are known."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from stayfinite.graph.graph import Span
from stayfinite.repair.expression import expression_at
from stayfinite.repair.imported_files import related_by_imports
from stayfinite.repair.loaded_files import loaded_sources
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
# More files, as of a large library in development mode, take minutes to follow.
_MAX_FILES = 80


class _TooManyFilesError(Exception):
    """A program has more files than can be followed in the time of a search."""


def reads_elsewhere(calls: Sequence[Span]) -> bool:
    """Whether what is called at `calls` is called at another place of the program, too.

    It counts as called there where the program has too many files to follow.

    Args:
        calls: Positions of calls in files of the user.
    """
    try:
        program = program_of([span.file for span in calls])
    except _TooManyFilesError:
        return True
    found = [_call_at(program, span) for span in calls]
    known = {each[1] for each in found if each is not None}
    if None in found:
        return True
    places = program.same(called_at_all(program, calls))
    return any(
        call not in known and not places.isdisjoint(_called(program, source, call))
        for source in program.sources
        for call in ast.walk(source.tree)
        if isinstance(call, ast.Call) and last_name(call.func) not in _WITH_LOSS
    )


def is_called_and_trained(source: SourceFile, made: ast.expr) -> bool:
    """Whether a program calls twice, or trains and calls, what it makes at `made`.

    A model that is trained by itself may be a part of another one, too, which gets its output. It
    counts as one where the program has too many files to follow.
    """
    try:
        program, places = places_of_made(source, made)
    except _TooManyFilesError:
        return True
    found = [
        last_name(call.func) in _WITH_LOSS
        for other in program.sources
        for call in ast.walk(other.tree)
        if isinstance(call, ast.Call)
        and last_name(call.func) not in _PREDICTING
        and not places.isdisjoint(_called(program, other, call))
    ]
    return found.count(False) + (True in found) > 1


def program_of(files: Sequence[str]) -> ObjectPlaces:
    """The files of the user that may have objects of `files`."""
    return _followed(_sources(files))


def called_at_all(program: ObjectPlaces, calls: Sequence[Span]) -> list[Place]:
    """What is called at `calls`."""
    found = [_call_at(program, span) for span in calls]
    return [place for each in found if each is not None for place in _called(program, *each)]


def places_of_made(source: SourceFile, made: ast.expr) -> tuple[ObjectPlaces, set[Place]]:
    """The program, and what may hold what it makes at `made`, by the assignment around that."""
    # The trees of a file that is read again have other nodes.
    program = _followed([source, *(s for s in _sources([source.path]) if s.path != source.path)])
    statement = next((n for n in source.ancestors(made) if isinstance(n, ast.Assign)), None)
    targets = [] if statement is None else statement.targets
    places = [program.names.place(source, target) for target in targets]
    return program, program.same([place for place in places if place is not None])


def _followed(sources: list[SourceFile]) -> ObjectPlaces:
    if len(sources) > _MAX_FILES:
        raise _TooManyFilesError
    return ObjectPlaces(sources)


def _call_at(program: ObjectPlaces, span: Span) -> tuple[SourceFile, ast.Call] | None:
    """The call at a position, in its file."""
    source = next((each for each in program.sources if each.path == span.file), None)
    found = None if source is None else expression_at(source, span)
    if source is None or found is None:
        return None
    call = next((node for node in ast.walk(found.node) if isinstance(node, ast.Call)), None)
    return None if call is None else (source, call)


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
    found = loaded_sources(files)
    related = related_by_imports(found, files)
    return [s for s in found if s.path in related or not Path(s.path).exists()]
