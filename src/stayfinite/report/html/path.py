"""The path of the bad value through a step: from the samples to the weights, as a drawing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from stayfinite.incident import Incident
from stayfinite.report.lines import clean_name, clip, clip_start
from stayfinite.report.source_lines import mark
from stayfinite.report.words import number, plural, sample_list

# finite; made non-finite here; non-finite from before; as it was, since the update was not applied
NodeState = Literal["finite", "origin", "spread", "kept"]

# Characters of a line of text in a box.
_CELLS = 15


@dataclass(frozen=True)
class PathNode:
    """One box: what it is, its name, what it has, and its state."""

    kind: str
    name: str
    value: str
    state: NodeState


@dataclass(frozen=True)
class PathBox:
    """A node and its place in the drawing. `name` and `value` fit into it; `full` is all of it."""

    node: PathNode
    name: str
    value: str
    full: str
    x: int
    y: int


@dataclass(frozen=True)
class Drawing:
    """The boxes, from left to right or from top to bottom, and the size of all in pixels."""

    boxes: tuple[PathBox, ...]
    width: int
    height: int
    box_width: int
    box_height: int
    is_tall: bool


def nodes_of(incident: Incident) -> tuple[PathNode, ...]:
    """The nodes of the path, as far as each is known."""
    return tuple(_nodes(incident))


def _nodes(incident: Incident) -> Iterator[PathNode]:
    phase, origin, spread = incident.where.phase, incident.origin, incident.spread
    if incident.cause.name == "not-reproduced":
        return
    yield _batch(incident)
    if phase == "load":
        yield PathNode("weights", origin.tensor or "", _nonfinite(incident), "origin")
    if origin.layer is not None:
        state: NodeState = "spread" if phase in ("data", "load") else "finite"
        yield PathNode("layer", origin.layer, "", state)
    expression = _expression(incident)
    if phase == "statistics":
        yield PathNode("statistics", origin.tensor or expression, _made(incident), "origin")
    elif phase == "forward":
        yield PathNode("expression", expression, _made(incident), "origin")
    elif phase == "backward":
        yield PathNode("expression", expression, "finite", "finite")
    loss = _loss(spread.loss)
    if loss is not None:
        yield PathNode("loss", number(loss), "", "finite" if math.isfinite(loss) else "spread")
    if phase == "backward":
        yield PathNode("derivative", _derivative(incident), _made(incident), "origin")
    if spread.num_gradients:
        bad = spread.num_gradients_nonfinite
        value = f"{bad} nan or inf" if bad else "all finite"
        gradients = plural(spread.num_gradients, "gradient")
        yield PathNode("gradients", gradients, value, "spread" if bad else "finite")
    if phase == "update":
        yield PathNode("update", origin.tensor or origin.op, _made(incident), "origin")
    kept = incident.kept.step
    yield PathNode("weights", "not updated", f"of step {kept}" if kept >= 0 else "initial", "kept")


def _batch(incident: Incident) -> PathNode:
    samples, rows = incident.origin.samples, incident.num_rows
    is_origin = incident.where.phase == "data"
    name = plural(rows, "sample") if rows is not None else ""
    value = sample_list(samples, rows) if samples else ""
    if is_origin and incident.origin.tensor is not None:
        name = incident.origin.tensor
        value = value or _nonfinite(incident)
    return PathNode("batch", name, value, "origin" if is_origin else "finite")


def _expression(incident: Incident) -> str:
    """The marked expression on one line, or the op."""
    origin, line = incident.origin, incident.source_line
    if line is not None and origin.column is not None:
        text, start, end = mark(origin, line)
        marked = text[start:end].strip()
        if marked:
            return marked
    return origin.op or "not known"


def _derivative(incident: Incident) -> str:
    return f"of {incident.origin.op}" if incident.origin.op else "not known"


def _made(incident: Incident) -> str:
    return incident.arithmetic or _nonfinite(incident) or "nan or inf"


def _nonfinite(incident: Incident) -> str:
    bad = sum(operand.num_nonfinite for operand in incident.origin.operands)
    return f"{bad:,} non-finite" if bad else ""


def _loss(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def across(nodes: tuple[PathNode, ...]) -> Drawing:
    """The nodes from left to right."""
    width, height, gap = 136, 74, 20
    boxes = tuple(_box(node, _CELLS, i * (width + gap) + 1, 1) for i, node in enumerate(nodes))
    total = len(nodes) * (width + gap) - gap + 2
    return Drawing(boxes, total, height + 2, width, height, False)


def down(nodes: tuple[PathNode, ...]) -> Drawing:
    """The nodes from top to bottom, for a narrow window."""
    width, height, gap = 338, 58, 20
    boxes = tuple(_box(node, 27, 1, i * (height + gap) + 1) for i, node in enumerate(nodes))
    total = len(nodes) * (height + gap) - gap + 2
    return Drawing(boxes, width + 2, total, width, height, True)


def _box(node: PathNode, cells: int, x: int, y: int) -> PathBox:
    name, value = clean_name(node.name), clean_name(node.value)
    full = ": ".join(part for part in (node.kind, name, value) if part)
    # The end of a path of a layer identifies it better than its beginning.
    short = clip_start(name, cells) if node.kind == "layer" else clip(name, cells)
    return PathBox(node, short, clip(value, cells + 1), full, x, y)
