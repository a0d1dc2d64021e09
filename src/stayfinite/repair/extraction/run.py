"""The state of one interpreted run: where it is, and what is known of the values so far."""

from __future__ import annotations

import abc
import ast
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from stayfinite.repair.extraction import natives
from stayfinite.repair.extraction.formulas import Formulas, as_constant
from stayfinite.repair.extraction.frames import Patched
from stayfinite.repair.extraction.leaves import Leaves
from stayfinite.repair.extraction.recorded import (
    ExpressionSpan,
    Recorded,
    RecordedArray,
    RecordedCall,
)
from stayfinite.repair.extraction.syntax import place_of
from stayfinite.repair.extraction.values import (
    Body,
    Call,
    Frame,
    Moment,
    Pending,
    SourceOrigin,
    Tensor,
    ValuesAndIndices,
    named_number,
)
from stayfinite.repair.formula import Node
from stayfinite.repair.source import SourceFile

_MAX_STEPS = 40_000


def _uses(body: Body) -> list[tuple[ast.expr, list[ast.expr]]]:
    """Every expression with operands; last the calls with several, read in an unknown order."""
    found: list[tuple[ast.expr, list[ast.expr]]] = []
    for node in ast.walk(body):
        if isinstance(node, ast.BinOp):
            found.append((node, [node.left, node.right]))
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            found.append((node, [node.left, *node.comparators]))
        elif isinstance(node, ast.Call):
            found.append((node, node.args))
        elif isinstance(node, ast.UnaryOp):
            found.append((node, [node.operand]))
        elif isinstance(node, ast.Subscript):
            key = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            arrays = [part for part in key if not isinstance(part, ast.Slice)]
            found.append((node, [node.value, *arrays]))
    # A number is in the operation itself, and is no input.
    found = [(use, [o for o in operands if not _is_number(o)]) for use, operands in found]
    return sorted(found, key=lambda use: isinstance(use[0], ast.Call) and len(use[1]) > 1)


def _is_number(operand: ast.expr) -> bool:
    if isinstance(operand, ast.UnaryOp):
        operand = operand.operand
    return isinstance(operand, ast.Constant)


def _may_be_none(body: Body, name: str) -> bool:
    """Whether a function tests a parameter for None or for being empty."""
    for node in ast.walk(body):
        tests: list[ast.expr] = []
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            tests = [node.test]
        elif isinstance(node, ast.BoolOp):
            tests = node.values
        elif isinstance(node, ast.Compare):
            tests = [node.left, *node.comparators]
        elif isinstance(node, ast.UnaryOp):
            tests = [node.operand] if isinstance(node.op, ast.Not) else []
        if any(isinstance(test, ast.Name) and test.id == name for test in tests):
            return True
    return False


def _identity(value: object) -> Hashable:
    """What is equal for arguments that are the same tensor, or the same number."""
    tensor = value.tensor if isinstance(value, Pending) else value
    if isinstance(tensor, Tensor):
        return tensor.node
    return repr(value) if natives.is_plain(value) else id(value)


class GivesUpError(Exception):
    """The function is too long, or needs an unknown value."""


@dataclass
class Run(abc.ABC):
    """One run over a function and what it calls.

    Args:
        recorded: The arrays of the failing step.
        leaves: What the formula takes as given.
        patched: The text to interpret in the place of that of the file.
        added_names: What the imports of the new text bring.
        earlier_decisions: The branches that the run over the text before has taken.
    """

    recorded: Recorded
    leaves: Leaves
    patched: Patched | None = None
    added_names: Mapping[str, object] = field(default_factory=dict)
    decisions: list[bool] = field(default_factory=list)
    earlier_decisions: list[bool] = field(default_factory=list)
    origins: dict[Node, list[SourceOrigin]] = field(default_factory=dict)
    evaluated: list[tuple[SourceOrigin, Node]] = field(default_factory=list)
    pure_calls: set[ExpressionSpan] = field(default_factory=set)
    sinks: list[object] = field(default_factory=list)
    given_away: list[object] = field(default_factory=list)
    has_torch_methods: bool = False
    family: str = "keras"
    moments: list[Moment] = field(default_factory=list)
    sources: dict[str, SourceFile] = field(default_factory=dict)
    attributes: dict[tuple[int, str], object] = field(default_factory=dict)
    instances: list[object] = field(default_factory=list)
    _steps: int = 0
    _made: dict[int, object] = field(default_factory=dict)
    _results: dict[Hashable, object] = field(default_factory=dict)
    _waiting: list[tuple[Pending, SourceOrigin]] = field(default_factory=list)

    @abc.abstractmethod
    def evaluate(self, expression: ast.expr, frame: Frame) -> object:
        """The value of an expression."""

    @abc.abstractmethod
    def call(self, frame: Frame) -> object:
        """What the body of `frame` returns."""

    @property
    def formulas(self) -> Formulas:
        """The shapes of the nodes."""
        return self.leaves.formulas

    @contextmanager
    def moment(self, frame: Frame, statement: ast.stmt | ast.Lambda) -> Iterator[None]:
        """One execution of a statement inside the block."""
        self.count()
        self.moments.append(Moment(frame, statement, dict(frame.names)))
        try:
            yield
        finally:
            self.moments.pop()

    def remember(self, expression: ast.expr | ast.AugAssign, value: object) -> None:
        """Note which expression made the node of `value`."""
        tensor = value.tensor if isinstance(value, Pending) else value
        if isinstance(value, Pending) and tensor is None:
            self._waiting.append((value, SourceOrigin(self.moments[-1], expression)))
            return
        node = tensor.node if isinstance(tensor, Tensor) else None
        if node is None:
            node = as_constant(value)
        if node is None or isinstance(expression, ast.Constant):
            return
        origin = SourceOrigin(self.moments[-1], expression)
        self.origins.setdefault(node, []).append(origin)
        if isinstance(tensor, Tensor):
            self.evaluated.append((origin, node))

    def adopted(self, value: object, text: str) -> object:
        """An object of the program as a value here."""
        if isinstance(value, np.ndarray):
            return self.leaves.living_array(text, value)
        if natives.is_living_tensor(value):
            array = natives.elements_of(value)
            if array is not None and self.recorded.has_constant(array):
                return self.leaves.living_array(text, array, value)
            return self.leaves.living(text, value)
        return named_number(value, text)

    def recorded_as(self, made: Node, evaluation: RecordedCall | None) -> Tensor:
        """The tensor of a node, with the recorded array of its evaluation."""
        result = None if evaluation is None else evaluation.result
        if result is not None and made not in self.leaves.recordings:
            shape = self.formulas.shape(made)
            if shape is None or shape == result.shape:
                self.leaves.record(made, result)
        return Tensor(made)

    def is_pure(self, call: Call) -> None:
        """Note that a call has no effect but its result."""
        self.pure_calls.add(place_of(call.frame.source, call.expression))

    def unknown_call(self, call: Call, *given: object) -> object:
        """The leaf of a call that cannot be looked into, and that gets the arguments `given`."""
        evaluation = self.recorded.evaluation(self.stack(call.expression))
        return self.unknown_result(call, evaluation, *given)

    def unknown_result(self, call: Call, evaluation: RecordedCall | None, *given: object) -> object:
        """The same where the recorded evaluation of the call was already asked for."""
        self.given_away += given
        if place_of(call.frame.source, call.expression) not in self.pure_calls:
            return self.unknown(call.text, evaluation)
        # What has no effect gives the same for the same arguments.
        key = call.text, *map(_identity, given)
        if key not in self._results:
            self._results[key] = self.unknown(call.text, evaluation)
        return self._results[key]

    def unknown(self, text: str, evaluation: RecordedCall | None) -> object:
        """The leaf of what cannot be looked into."""
        if evaluation is None or evaluation.result is None:
            return Pending(text)
        return self.leaves.named(text, evaluation.result)

    def decide(self, frame: Frame, first: ast.stmt | ast.expr, last: ast.stmt | ast.expr) -> bool:
        """Whether a branch was taken that depends on a tensor: something was computed there."""
        if len(self.decisions) < len(self.earlier_decisions):
            taken = self.earlier_decisions[len(self.decisions)]
        else:
            end = last.end_lineno or last.lineno
            taken = self.recorded.touches(frame.source.path, first.lineno, end)
        self.decisions.append(taken)
        return taken

    def stack(self, expression: ast.expr | ast.AugAssign) -> list[ExpressionSpan]:
        """The expression and the calls around it, innermost first."""
        frame: Frame | None = self.moments[-1].frame
        assert frame is not None
        places = [place_of(frame.source, expression)]
        while frame is not None and frame.caller is not None:
            caller = frame.caller
            places.append(place_of(caller.source, caller.expression))
            frame = caller.moment.frame
        return places

    def ahead(self, pending: Pending, frame: Frame) -> bool:
        """Look for the recorded array of a parameter among its uses further down."""
        if pending.tensor is None and pending.text in self.leaves.earlier:
            self.leaves.resolve(pending, None)
        if pending.tensor is not None:
            return True
        for node, operands in _uses(frame.body):
            if not any(isinstance(o, ast.Name) and o.id == pending.text for o in operands):
                continue
            evaluation = self.recorded.evaluation(self.stack(node))
            inputs = [] if evaluation is None else list(evaluation.inputs)
            if isinstance(node, ast.Call) and len(operands) == 1:
                inputs = [each for each in inputs if not each.is_held]  # those of a layer
            # A function may read its arguments in any order.
            is_ordered = evaluation is not None and evaluation.is_ordered
            is_ordered = is_ordered and not isinstance(node, ast.Call)
            if self._found_ahead(pending, operands, inputs, is_ordered=is_ordered):
                return True
        return False

    def _found_ahead(
        self,
        pending: Pending,
        operands: list[ast.expr],
        inputs: list[RecordedArray],
        *,
        is_ordered: bool,
    ) -> bool:
        """Take what is known of a parameter from one of its uses.

        Its array is one of the inputs. Where it is not known which, they may be of one shape.
        """
        if not inputs:
            return False
        shape = self.leaves.living_shape(pending)
        texts = list(dict.fromkeys(map(ast.unparse, operands)))
        is_known = len(texts) == len(inputs) and (is_ordered or len(inputs) == 1)
        found = inputs[texts.index(pending.text)] if is_known else inputs[0]
        if shape not in (None, found.shape):
            return False
        if is_known:
            self.leaves.resolve(pending, found)
        elif any((i.shape, i.dtype) != (found.shape, found.dtype) for i in inputs):
            return False
        else:
            self.leaves.has_shape(pending, found.shape, found.dtype)
        return True

    def given(self, name: str, default: bool | None, frame: Frame) -> object:
        """What a name stands for that has this value: a parameter may have been given another.

        That is asked of the arguments that a library passed to the function, which are not known.
        """
        if name not in frame.left_out:
            return default
        pending = Pending(name)
        is_unused = default is None and not self.ahead(pending, frame)
        if is_unused and _may_be_none(frame.body, name):
            return None
        frame.names[name] = pending
        return pending

    def shape_of(self, value: object, frame: Frame) -> tuple[int, ...] | None:
        """The shape of a tensor, if it is known."""
        if isinstance(value, Pending) and not self.ahead(value, frame):
            return self.leaves.living_shape(value)
        tensor = value.tensor if isinstance(value, Pending) else value
        return self.formulas.shape(tensor.node) if isinstance(tensor, Tensor) else None

    def items(self, value: object, count: int | None = None) -> list[object]:
        """The elements of a sequence or tensor; `count` of them where their number is not known.

        Raises:
            GivesUpError: the number is not known.
        """
        if isinstance(value, Pending) and value.tensor is None and count is None:
            if value.text not in self.leaves.earlier:
                raise GivesUpError("the number of elements is not known")
            # Of an edited text nothing is recorded, but the text before had the same leaf.
            value = self.leaves.resolve(value, None)
        if isinstance(value, Pending) and value.tensor is None:
            assert count is not None
            return [
                value.parts.setdefault(repr(i), Pending(f"{value.text}[{i}]")) for i in range(count)
            ]
        if isinstance(value, Pending):
            value = value.tensor
        if isinstance(value, Tensor):
            node = value.node
            shape = self.formulas.shape(node)
            if node.op == "leaf" and count is not None and (not shape or shape[0] != count):
                # A call gave a tuple, and one of its arrays was taken for the result.
                return [Pending(f"{node.attribute('name')}[{i}]") for i in range(count)]
            if not shape:
                raise GivesUpError("the number of elements is not known")
            return [Tensor(self.formulas.make("index", node, key=(i,))) for i in range(shape[0])]
        if isinstance(value, ValuesAndIndices):
            return list(value.parts)
        if not isinstance(value, Iterable):
            raise GivesUpError(f"a {type(value).__name__} is no sequence")
        return list(value)

    def truth(self, value: object) -> bool | None:
        """Whether a value counts as true; None if it depends on a tensor."""
        if isinstance(value, Tensor | Pending):
            return None
        return bool(value)

    def keep(self, value: object) -> object:
        """Note that interpreted code made `value`, so that it may change it."""
        if isinstance(value, list | dict | set):
            self._made[id(value)] = value
        return value

    def owns(self, value: object) -> bool:
        """Whether interpreted code made `value`."""
        return id(value) in self._made

    def count(self) -> None:
        """Count one step.

        Raises:
            GivesUpError: there have been too many.
        """
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise GivesUpError("the function takes too many steps")

    def settle(self) -> None:
        """Note where values were written that turned out to be tensors later."""
        for pending, origin in self._waiting:
            if pending.tensor is not None:
                self.origins.setdefault(pending.tensor.node, []).append(origin)
        self._waiting.clear()
