"""Applies identities to the classes of an e-graph: matching, and adding the other side."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from stayfinite.numerics.exact import Array
from stayfinite.repair.engine.egraph import Attributes, EGraph, ENode
from stayfinite.repair.engine.evaluate import BadFormula, to_float64
from stayfinite.repair.engine.patterns import ALONG, REDUCTIONS, Pattern, Rule
from stayfinite.repair.formula import constant

LARGE, SMALL = 1e35, 1e-30
Binding = dict[str, int]


def saturate(
    graph: EGraph, chosen: tuple[Rule, ...], *, rounds: int, nodes: int, deadline: float
) -> None:
    """Applies all rules to all classes until a limit is met."""
    for _ in range(rounds):
        matches: list[tuple[Rule, int, Binding, Attributes]] = []
        by_op: dict[str, list[tuple[int, ENode]]] = {}
        for number, each in graph.classes.items():
            for enode in each.nodes:
                by_op.setdefault(enode.op, []).append((number, enode))
        for rule in chosen:
            for number, enode in by_op.get(rule.left.op, ()):
                for binding, axis in _match_node(graph, rule.left, enode, {}, ()):
                    if _holds(graph, rule, binding):
                        matches.append((rule, number, binding, axis))
            if time.thread_time() > deadline:
                break
        before = graph.size(), len(graph.classes)
        for rule, number, binding, axis in matches:
            if graph.size() > nodes or time.thread_time() > deadline:
                break
            try:
                made = _instantiate(graph, rule.right, binding, axis)
            except BadFormula:
                continue
            graph.union(number, made)
        graph.rebuild()
        stopped = graph.size() > nodes or time.thread_time() > deadline
        if stopped or (graph.size(), len(graph.classes)) == before:
            break


def _holds(graph: EGraph, rule: Rule, binding: Binding) -> bool:
    bound = {name: graph.classes[graph.find(number)] for name, number in binding.items()}
    if not all(bound[name].positive for name in rule.positive):
        return False
    if not all(bound[name].non_negative for name in rule.non_negative):
        return False
    return not rule.extreme or any(_extreme(each.values) for each in bound.values())


def _extreme(values: Array) -> bool:
    sizes = np.abs(to_float64(values))
    return bool(((sizes > LARGE) | ((sizes < SMALL) & (sizes > 0)) | np.isinf(sizes)).any())


def _match(
    graph: EGraph, pattern: Pattern, number: int, binding: Binding, axis: Attributes
) -> Iterator[tuple[Binding, Attributes]]:
    number = graph.find(number)
    if pattern.op == "?":
        known = binding.get(pattern.name)
        if known is None:
            yield {**binding, pattern.name: number}, axis
        elif graph.find(known) == number:
            yield binding, axis
        return
    if pattern.op == "#":
        for enode in graph.classes[number].nodes:
            attributes = dict(enode.attributes)
            if enode.op != "constant" or "name" in attributes:
                continue
            if attributes["value"] == pattern.value:
                yield binding, axis
                return
        return
    for enode in list(graph.classes[number].nodes):
        if enode.op == pattern.op:
            yield from _match_node(graph, pattern, enode, binding, axis)


def _match_node(
    graph: EGraph, pattern: Pattern, enode: ENode, binding: Binding, axis: Attributes
) -> Iterator[tuple[Binding, Attributes]]:
    if len(enode.children) != len(pattern.operands):
        return
    if pattern.op in REDUCTIONS:
        found = dict(enode.attributes)
        if pattern.kept and not found["keepdims"]:
            return
        shared = dict(axis)
        if shared and shared["axis"] != found["axis"]:
            return
        keepdims = shared.get("keepdims")
        if not pattern.kept:
            if keepdims is not None and keepdims != found["keepdims"]:
                return
            keepdims = found["keepdims"]
        axis = (("axis", found["axis"]), ("keepdims", keepdims))
    elif pattern.op in ALONG:
        single = (dict(enode.attributes)["axis"],)
        shared = dict(axis)
        if shared and shared["axis"] != single:
            return
        axis = (("axis", single), ("keepdims", shared.get("keepdims")))
    states = [(binding, axis)]
    for child, part in zip(enode.children, pattern.operands, strict=True):
        states = [found for b, a in states for found in _match(graph, part, child, b, a)]
        if not states:
            return
    yield from states


def _instantiate(graph: EGraph, pattern: Pattern, binding: Binding, axis: Attributes) -> int:
    if pattern.op == "?":
        return graph.find(binding[pattern.name])
    if pattern.op == "#":
        return graph.add_formula(constant(pattern.value))
    children = tuple(_instantiate(graph, operand, binding, axis) for operand in pattern.operands)
    attributes: Attributes = ()
    if pattern.op in REDUCTIONS:
        found = dict(axis)
        keepdims = True if pattern.kept else bool(found.get("keepdims"))
        attributes = (("axis", found["axis"]), ("keepdims", keepdims))
    elif pattern.op in ALONG:
        axes = dict(axis)["axis"]
        if not isinstance(axes, tuple) or len(axes) != 1:
            raise BadFormula(f"{pattern.op} over {axes}")
        attributes = (("axis", axes[0]),)
    return graph.add(ENode(pattern.op, children, attributes))
