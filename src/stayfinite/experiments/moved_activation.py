"""The last activation of a network, moved to where its output is read.

What is lost when a sigmoid is rounded to 1 cannot be found again in the loss. Where an operand of
the failing formula is the output of an activation, the network may give the activation's operand
instead, and the formula is one of that.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from stayfinite.diagnose.locate import Diagnosis
from stayfinite.experiments.formulas import extracted
from stayfinite.frameworks.step import Step
from stayfinite.graph.graph import Op, Span
from stayfinite.graph.object_sites import site_of
from stayfinite.graph.source import Definition
from stayfinite.graph.walk import unwrapped
from stayfinite.numerics.functions import STRUCTURAL
from stayfinite.repair import (
    Edit,
    Remade,
    Removal,
    SourceFile,
    UnfollowedUse,
    activation_of,
    applied_at,
    called_at,
    expression_at,
    is_called_and_trained,
    moved,
    reads_elsewhere,
    unfollowed_calls,
    unfollowed_object,
)
from stayfinite.repair.extraction import Extraction, SourceOrigin
from stayfinite.repair.formula import LeafRole, Node
from stayfinite.repair.scope import qualname

# The last op of each activation; JAX computes a softmax as a quotient.
_LAST_OPS = {"sigmoid": ("sigmoid",), "softmax": ("softmax", "divide"), "tanh": ("tanh",)}


@dataclass(frozen=True)
class MovedActivation:
    """Of which layer the activation `op` was moved; None for one in the user's own code.

    `unfollowed` is a use of the network whose readers are not known.
    """

    op: str
    layer: str | None
    unfollowed: UnfollowedUse | None = None


@dataclass(frozen=True, eq=False)
class Move:
    """An edit after which an activation is applied where its result is read."""

    fact: MovedActivation
    edit: Edit
    remade: tuple[Remade, ...]


def moved_activations(step: Step, diagnosis: Diagnosis) -> Iterator[Move]:
    """Moves of the activations that give the operands of the failing formula.

    The outermost function is edited, which the library calls with the output of the network:
    another one may have callers that are not run here.
    """
    for extraction in reversed(list(extracted(step, diagnosis))):
        found = _by_activation(step, extraction)
        for (op, _), leaves in found.items():
            move = _moved(step, diagnosis, extraction, op, leaves)
            if move is not None:
                yield move
        if found:
            return


def _by_activation(step: Step, extraction: Extraction) -> dict[tuple[Op, object], list[Node]]:
    """The leaves of a formula that the same activation gave, with an op of it."""
    found: dict[object, tuple[Op, list[Node]]] = {}
    for leaf in extraction.leaves:
        if leaf.attribute("role") is not LeafRole.VARIABLE:
            continue
        maker = _maker(step, extraction, leaf)
        if maker is None or maker.name not in {n for names in _LAST_OPS.values() for n in names}:
            continue
        key = (maker.layer, maker.span)
        found.setdefault(key, (maker, []))[1].append(leaf)
    return {(op, key): leaves for key, (op, leaves) in found.items()}


def _moved(
    step: Step, diagnosis: Diagnosis, extraction: Extraction, op: Op, leaves: list[Node]
) -> Move | None:
    readers = [_first_reader(extraction, leaf) for leaf in leaves]
    known = [reader for reader in readers if reader is not None]
    if len(known) < len(readers):
        return None
    source = extraction.origins[leaves[0]][0].source
    removal = _removal(step, source, op)
    if removal is None or op.name not in _LAST_OPS[removal.op]:
        return None
    if removal.op == "softmax" and not all(_keeps_shape(step, extraction, op, x) for x in leaves):
        return None
    shape = step.trace.values[op.results[0]].shape
    edit = moved(removal, known, shape[-1] if shape else 1)
    if edit is None:
        return None
    calls = _other_calls(step, diagnosis, extraction, removal, leaves, known)
    if _is_read_elsewhere(source, removal, calls):
        return None
    layer = None if removal.owner is None else type(removal.owner).__name__
    remade: tuple[Remade, ...] = ()
    if removal.owner is not None:
        remade = (Remade(source.path, removal.owner, removal.node, "", {}, removal.setting),)
    unfollowed = _unfollowed(source, removal, calls)
    return Move(MovedActivation(removal.op, layer, unfollowed), edit, remade)


def _maker(step: Step, extraction: Extraction, leaf: Node) -> Op | None:
    """The op that gave the value of a leaf."""
    recording = extraction.recording(leaf)
    if recording is None:
        return None
    return step.trace.producer.get(unwrapped(step.trace, recording.value, STRUCTURAL))


def _is_read_elsewhere(source: SourceFile, removal: Removal, calls: list[Span]) -> bool:
    """Whether another part of the program reads what is no result of the activation any more.

    A discriminator that gives logits gives them to the loss of the generator, too.
    """
    if calls:
        return reads_elsewhere(calls)
    return removal.owner is not None and is_called_and_trained(source, removal.node)


def _unfollowed(source: SourceFile, removal: Removal, calls: list[Span]) -> UnfollowedUse | None:
    """A use of the network of which it is not known who reads what it gives."""
    if calls:
        return unfollowed_calls(calls)
    return None if removal.owner is None else unfollowed_object(source, removal.node)


def _other_calls(
    step: Step,
    diagnosis: Diagnosis,
    extraction: Extraction,
    removal: Removal,
    leaves: list[Node],
    readers: list[ast.expr],
) -> list[Span]:
    """The calls between the activation and the formula."""
    source = extraction.origins[leaves[0]][0].source
    failing = diagnosis.evidence.forward_op
    reading = {(s.file, s.function) for s in (() if failing is None else failing.stack)}
    reading |= {(source.path, qualname(source, reader) or "<module>") for reader in readers}
    calls: list[Span] = []
    for leaf in leaves:
        maker = _maker(step, extraction, leaf)
        for span in () if maker is None else maker.callers or maker.stack:
            found = expression_at(source, span) if span.file == source.path else None
            is_removed = found is not None and removal.node in ast.walk(found.node)
            if not is_removed:
                calls.append(span)
            if (span.file, span.function) in reading:
                break
    return calls


def _first_reader(extraction: Extraction, leaf: Node) -> ast.expr | None:
    """Where the function itself has the value of a leaf first, or where one that it calls makes it.

    A parameter of a function that it calls may have another value at another call.
    """
    origins = [o for o in extraction.origins.get(leaf, ()) if isinstance(o.expression, ast.expr)]
    found = [
        origin.expression
        for origin in origins
        if origin.moment.frame.caller is None and origin.moment.frame.outer is None
    ]
    expressions = [x for x in found if isinstance(x, ast.expr)]
    if not expressions and origins and not _is_parameter(origins[0]):
        expression = origins[0].expression
        return expression if isinstance(expression, ast.Call | ast.Name) else None
    return min(expressions, key=lambda x: (x.lineno, x.col_offset), default=None)


def _is_parameter(origin: SourceOrigin) -> bool:
    expression, body = origin.expression, origin.moment.frame.body
    return (
        isinstance(expression, ast.Name)
        and isinstance(body, Definition)
        and any(arg.arg == expression.id for arg in ast.walk(body.args) if isinstance(arg, ast.arg))
    )


def _keeps_shape(step: Step, extraction: Extraction, op: Op, leaf: Node) -> bool:
    recording = extraction.recording(leaf)
    return recording is not None and step.trace.values[op.results[0]].shape == recording.shape


def _removal(step: Step, source: SourceFile, op: Op) -> Removal | None:
    """What removes the activation that made the result of `op`, in the file `source`."""
    if op.stack and op.stack[0].file == source.path:
        found = expression_at(source, op.stack[0])
        removal = None if found is None else applied_at(found)
        if removal is not None:
            return removal
    owner = op.owner
    if owner is not None and op.callers and op.callers[0].file == source.path:
        found = expression_at(source, op.callers[0])
        removal = None if found is None else called_at(found, owner)
        if removal is not None:
            return removal
    if owner is None and op.layer is not None:
        owner = step.subject.layer(op.layer)
    site = None if owner is None else site_of(owner)
    if owner is None or site is None or site.file != source.path:
        return None
    found = expression_at(source, site)
    return None if found is None else activation_of(owner, found)
