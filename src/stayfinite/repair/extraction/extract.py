"""The formula of a failing function, with everything that writing a change of it needs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import FunctionType

import numpy as np

from stayfinite.graph.graph import Span
from stayfinite.graph.running_loops import RunningLoop, loop_at
from stayfinite.repair import live
from stayfinite.repair.errors import RepairError
from stayfinite.repair.extraction.calls import enter, enter_loop
from stayfinite.repair.extraction.formulas import Formulas
from stayfinite.repair.extraction.frames import Patched
from stayfinite.repair.extraction.instances import blank_instance
from stayfinite.repair.extraction.interpreter import Interpreter
from stayfinite.repair.extraction.leaves import Leaves
from stayfinite.repair.extraction.recorded import (
    ExpressionSpan,
    NothingRecorded,
    Recorded,
    RecordedArray,
)
from stayfinite.repair.extraction.run import GivesUpError
from stayfinite.repair.extraction.syntax import place_of
from stayfinite.repair.extraction.values import Frame, SourceOrigin
from stayfinite.repair.formula import Node, replaced, walk
from stayfinite.repair.source import SourceFile


class ExtractionError(RepairError):
    """There is no formula: no source, no function, or the failing expression is not met."""


@dataclass(frozen=True, eq=False)
class Extraction:
    """One interpreted run of `function`.

    `root` is the formula of what the function returns or gives to `add_loss`, else of what it gives
    to code that is no formula. `failing` is the node
    of the failing expression. `origins` has for every node the expressions of the user's that made
    it, in the order of their evaluation, and each origin the names in scope at that time.
    `evaluated` lists all evaluations in order. `shapes` has the shape of a node, None if unknown.
    """

    function: FunctionType | RunningLoop
    root: Node
    failing: Node
    origins: Mapping[Node, Sequence[SourceOrigin]]
    evaluated: Sequence[tuple[SourceOrigin, Node]]
    shapes: Mapping[Node, tuple[int, ...] | None]
    pure_calls: frozenset[ExpressionSpan]
    has_torch_methods: bool
    _leaves: Leaves = field(repr=False)
    _recorded: Recorded = field(repr=False)
    _bound: Mapping[str, object] = field(repr=False)
    _decisions: Sequence[bool] = field(repr=False)
    # Of a text that was edited: the files before it, and the other names of leaves.
    _on_disk: Mapping[str, SourceFile] = field(default_factory=dict, repr=False)
    _aliases: Mapping[str, str] = field(default_factory=dict, repr=False)

    @functools.cached_property
    def leaves(self) -> tuple[Node, ...]:
        """The leaves of `root`."""
        return tuple(node for node in walk(self.root) if node.op == "leaf")

    def shape_of(self, node: Node) -> tuple[int, ...] | None:
        """The shape of any node over the leaves of this extraction."""
        formulas = self._leaves.formulas
        for part in walk(node):
            if part.op not in ("leaf", "constant") and formulas.shapes.get(part) is None:
                formulas.make(part.op, *part.operands, **dict(part.attributes))
        return formulas.shape(node)

    def recording(self, node: Node) -> RecordedArray | None:
        """The recorded array that a node has, as far as it is known: shape, dtype, batch axis."""
        return self._leaves.recordings.get(node)

    def is_wrapped(self, node: Node) -> bool:
        """Whether a leaf is a variable that the functions of JAX do not take as it is."""
        return self._leaves.is_wrapped(node)

    @property
    def has_contraction(self) -> bool:
        """Whether a leaf is a small product of matrices, that could be a sum of products."""
        return self._leaves.formulas.has_contraction

    def arrays(self) -> dict[Node, np.ndarray]:
        """The array of each leaf of `root`; a leaf of unknown value is missing."""
        return self.arrays_of({leaf: leaf for leaf in self.leaves})

    def arrays_of(self, nodes: Mapping[Node, Node]) -> dict[Node, np.ndarray]:
        """The arrays of some nodes, by the keys of `nodes`; one of unknown value is missing."""
        recordings = [self._leaves.recordings.get(node) for node in nodes.values()]
        fetched = self._recorded.arrays(r.value for r in recordings if r is not None)
        found = {key: self._leaves.values(fetched, node) for key, node in nodes.items()}
        return {key: array for key, array in found.items() if array is not None}

    def again(
        self,
        before: SourceFile,
        after: SourceFile,
        added: Mapping[str, object],
        aliases: Mapping[str, str] | None = None,
    ) -> Interpreter:
        """The same function, interpreted with the text `after` in the place of `before`.

        `added` are the names of new imports. The nodes are comparable to those of this extraction;
        `aliases` has the new text of leaves that are written in another way.

        Raises:
            ExtractionError: the new text cannot be interpreted.
        """
        names = {str(n.attribute("name")): n for n in self._all_leaves}
        for name, text in {**self._aliases, **(aliases or {})}.items():
            names.setdefault(text, names[name])
        leaves = Leaves(self._leaves.formulas, earlier=names)
        interpreter = Interpreter(
            NothingRecorded(),
            leaves,
            Patched(self._on_disk.get(before.path, before), after),
            added,
            earlier_decisions=list(self._decisions),
        )
        _run(interpreter, self.function, self._bound)
        return interpreter

    def edited(
        self,
        before: SourceFile,
        after: SourceFile,
        aliases: Mapping[str, str] | None = None,
        renamed: Mapping[Node, Node] | None = None,
    ) -> Extraction | None:
        """This extraction of the file with other text; None if that has another formula.

        `aliases` has the new text of leaves that are written in another way, `renamed` the numbers
        that have another name.

        Raises:
            ExtractionError: the new text cannot be interpreted.
        """
        interpreter = self.again(before, after, {}, aliases)
        root, failing = self.root, self.failing
        for old, new in (renamed or {}).items():
            root, failing = replaced(root, old, new), replaced(failing, old, new)
        if root not in interpreter.roots():
            return None
        return replace(
            self,
            root=root,
            failing=failing,
            origins=interpreter.origins,
            evaluated=interpreter.evaluated,
            pure_calls=frozenset(interpreter.pure_calls),
            _on_disk={**self._on_disk, before.path: self._on_disk.get(before.path, before)},
            _aliases={**self._aliases, **(aliases or {})},
        )

    @property
    def _all_leaves(self) -> list[Node]:
        return [node for node in self._leaves.formulas.shapes if node.op == "leaf"] + [
            node for node in self.origins if node.op == "leaf"
        ]


def extract(
    function: FunctionType | RunningLoop,
    failing: Span,
    recorded: Recorded | None = None,
    bound: Mapping[str, object] | None = None,
    *,
    contracts: bool = False,
) -> Extraction:
    """The formula of `function`, which holds or reaches the expression at `failing`.

    Args:
        function: where to begin: a function of the user's that a library calls, or a loop whose
            body is made again.
        failing: the expression whose value or gradient is bad.
        recorded: the arrays of the failing step.
        bound: what is known of the parameters, by name: `self`, or arrays. A live instance is
            looked for otherwise; unless there is exactly one, only its class is known.
        contracts: whether small products of matrices are sums of products, and not leaves.

    Example:
        >>> extraction = extract(loss, op.span, GraphRecorded(step.trace, step.fetch))
        >>> extraction.root
        negative(mean(log(softmax(leaf(...)))))

    Raises:
        ExtractionError: the source is missing, too long, or does not reach `failing`.
    """
    recorded = recorded or NothingRecorded()
    bound = dict(bound or {})
    if isinstance(function, FunctionType):
        _bind_self(function, bound)
    interpreter = Interpreter(recorded, Leaves(Formulas(contracts=contracts)))
    _run(interpreter, function, bound)
    found = _failing(interpreter, failing)
    for root in interpreter.roots():
        members = set(walk(root))
        bad = next((node for node in found if node in members), None)
        if bad is not None:
            return Extraction(
                function,
                root,
                bad,
                interpreter.origins,
                interpreter.evaluated,
                interpreter.formulas.shapes,
                frozenset(interpreter.pure_calls),
                interpreter.has_torch_methods,
                interpreter.leaves,
                recorded,
                bound,
                interpreter.decisions,
            )
    raise ExtractionError(f"{_described(function)} does not return what {failing.line} computes")


def extractions(
    stack: Sequence[Span],
    recorded: Recorded,
    bound: Callable[[FunctionType], Mapping[str, object]] = lambda function: {},
) -> Iterator[Extraction]:
    """The formulas of the functions of a call stack, the smallest first.

    A helper by itself is the smaller problem, and the better place for an edit; where it has no
    exact form, its caller may have one. Functions that have no formula are left out. Those with
    small products of matrices come once more in the end, with these as sums of products.

    Args:
        stack: That of the failing op, innermost first.
        recorded: The arrays of the failing step.
        bound: What is known of the parameters of a function, by name.
    """
    functions = live.functions_with(span.code for span in stack if span.code is not None)
    again: list[Span] = []
    for contracts, spans in ((False, stack), (True, again)):
        for span in spans:
            loop = loop_at(span)
            function = loop or (None if span.code is None else functions.get(id(span.code)))
            if function is None:
                continue
            known = bound(function) if isinstance(function, FunctionType) else None
            try:
                found = extract(function, stack[0], recorded.fresh(), known, contracts=contracts)
            except ExtractionError:
                continue
            if found.has_contraction:
                again.append(span)
            yield found


def _run(
    interpreter: Interpreter, function: FunctionType | RunningLoop, bound: Mapping[str, object]
) -> None:
    named = {name: _entered(interpreter, name, value) for name, value in bound.items()}
    try:
        if isinstance(function, FunctionType):
            interpreter.returned = enter(interpreter, function, (), named, None)
        else:
            interpreter.returned = enter_loop(interpreter, function)
    except LookupError as error:
        raise ExtractionError(str(error)) from error
    except GivesUpError as error:
        raise ExtractionError(f"{_described(function)}: {error}") from error
    interpreter.settle()


def _described(function: FunctionType | RunningLoop) -> str:
    if isinstance(function, FunctionType):
        return function.__qualname__
    return f"loop {function.number} of {function.file}"


def _entered(interpreter: Interpreter, text: str, value: object) -> object:
    """An argument as a value of the interpreter: arrays are tensors."""
    if isinstance(value, np.ndarray):
        return interpreter.leaves.array(text, value)
    if isinstance(value, tuple | list):
        return [_entered(interpreter, f"{text}[{i}]", one) for i, one in enumerate(value)]
    return value


def _bind_self(function: FunctionType, bound: dict[str, object]) -> None:
    code = function.__code__
    if not code.co_argcount or "." not in code.co_qualname:
        return
    first = code.co_varnames[0]
    if first in bound or code.co_qualname.rpartition(".")[0].endswith("<locals>"):
        return
    instances = live.instances_with(function)
    found = instances[0] if len(instances) == 1 else blank_instance(function)
    if found is not None:
        bound[first] = found


def _failing(interpreter: Interpreter, span: Span) -> list[Node]:
    """The nodes of the expression at `span`, else of the smallest expressions around it."""
    exact: list[Node] = []
    around: list[tuple[int, Node]] = []
    for origin, node in interpreter.evaluated:
        expression, frame = origin.expression, origin.moment.frame
        if not _same_file(frame, span):
            continue
        if place_of(frame.source, expression).matches(span):
            exact.append(node)
        start = expression.lineno, expression.col_offset
        end = expression.end_lineno or 0, expression.end_col_offset or 0
        if start <= (span.line, span.column) and (span.end_line, span.end_column) <= end:
            first, last = frame.source.range_of(expression)
            around.append((last - first, node))
    return list(dict.fromkeys(exact)) or [
        node for _, node in sorted(around, key=lambda pair: pair[0])
    ]


def _same_file(frame: Frame, span: Span) -> bool:
    return frame.source.path == span.file


__all__ = ["Extraction", "ExtractionError", "extract", "extractions"]
