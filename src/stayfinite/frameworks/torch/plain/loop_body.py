"""The body of the user's loop as code that can be run again, or with a patched text.

The body is compiled from the AST of the file, with the name, lines and columns of the file kept.
In a function its local names become parameters; in a module it runs in the globals of the module,
which are put back after it.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType

import numpy as np
import torch
from executing import Source

from stayfinite.frameworks.contained_files import kept_files
from stayfinite.frameworks.loop_code import function_code, module_code, once
from stayfinite.frameworks.source_bindings import bound_names, read_first
from stayfinite.frameworks.source_loops import SourceLoop, taken_names
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain.alone import alone
from stayfinite.frameworks.torch.plain.containers import Containers
from stayfinite.frameworks.torch.plain.data import Iteration, LoopData
from stayfinite.frameworks.torch.plain.drawn import Prefix, prefix_of
from stayfinite.frameworks.torch.plain.frames import all_values_of, values_of
from stayfinite.frameworks.torch.plain.randomness import Generators
from stayfinite.frameworks.torch.plain.step_data import AfterStatements
from stayfinite.frameworks.torch.plain.steps import is_total
from stayfinite.frameworks.torch.plain.trees import leaves
from stayfinite.graph.cells import cell_name, num_lines_above
from stayfinite.graph.graph import Span
from stayfinite.graph.running_loops import loops_in

# Run with a function that returns how many batches it has drawn.
Take = Callable[[Callable[[], int]], None]
_LOCALS = "__stayfinite_locals__"
# The function in the place of `next`, for a name whose items are known.
_TAKE = "__stayfinite_take__"
# What may be read by statements that are run once more.
_PLAIN: tuple[type, ...] = (
    *(int, float, complex, str, type, type(None), ModuleType, BuiltinFunctionType),
    *(torch.Tensor, torch.dtype, torch.device, torch.Generator, np.ndarray, np.generic),
)


class LoopBody:
    """The body of a loop in a running frame; an `again.Again`, and a `RunningLoop`.

    Args:
        frame: The frame.
        loop: The loop.
    """

    def __init__(self, frame: FrameType, loop: SourceLoop) -> None:
        self.loop = loop
        self._globals = frame.f_globals
        self._is_function = bool(frame.f_code.co_flags & inspect.CO_OPTIMIZED)
        local = {*frame.f_code.co_varnames, *frame.f_code.co_cellvars, *frame.f_code.co_freevars}
        names = loop.names & local if self._is_function else frozenset()
        # Names that the body reads and does not bind have the values of the frame.
        self._held = values_of(frame, sorted(names - loop.bound))
        self._failing: Iteration | None = None
        self._begun_with: Mapping[str, object] = {}
        # The names bound to `next(...)` whose items are known.
        self._next_names: frozenset[str] = frozenset()
        self._containers = Containers(_named_values(frame))
        self._kept = self._containers.kept
        self._code: tuple[tuple[str, ...], CodeType] | None = None
        self._tree: ast.Module | None = None
        # Statements that have been run already.
        self._left_out: frozenset[str] = frozenset()

    @property
    def described(self) -> str:
        """`the loop at train.py:36`, `the loop at Cell In [3], line 2`."""
        cell = cell_name(self.loop.file)
        if cell is None:
            return f"the loop at {Path(self.loop.file).name}:{self.loop.line}"
        return f"the loop at {cell}, line {self.loop.line + num_lines_above(self.loop.file)}"

    @property
    def file(self) -> str:
        """The file that the loop is in."""
        return self.loop.file

    @property
    def number(self) -> int:
        """The number of the loop among those of its file."""
        return self.loop.number

    @property
    def names(self) -> dict[str, object]:
        """The globals of its module."""
        return self._globals

    @property
    def is_of_module(self) -> bool:
        """Whether no function is around it."""
        return not self._is_function

    @property
    def is_patched(self) -> bool:
        """Whether it is run from a patched text of its file."""
        return self._tree is not None

    def make(self, data: LoopData) -> None:
        """Run the body once for each iteration of `data`.

        Raises:
            CannotRemakeError: its values at the beginning are not known, or it has no source.
        """
        if data.missing is not None:
            raise CannotRemakeError(data.missing)
        values = [v for iteration in data.iterations for v in iteration.values.values()]
        containers = Containers(values)
        files = kept_files(self._values_in(data))
        taken = frozenset(name for iteration in data.iterations for name in iteration.taken)
        if taken != self._next_names:
            self._next_names, self._code = taken, None
        totals = self._totals_kept(data)
        with self._kept_globals(), containers.kept(), self._kept(), files, totals:
            carried: Mapping[str, object] = {}
            for iteration in data.iterations:
                iteration.generators.restore()
                after = self._run(iteration, carried)
                # The iteration may be another than that of training, with a fix.
                names = self.loop.read & self.loop.bound - {*self.loop.targets}
                carried = {name: after[name] for name in names if name in after}
        raise CannotRemakeError("the body of the loop ended without an update")

    def holds(self, span: Span) -> bool:
        """Whether a position is in its body, in code that was compiled from it."""
        if span.file != self.loop.file or span.code is None:
            return False
        body = self._statement().body
        name = self.loop.code.co_qualname if self._is_function else "<module>"
        last = body[-1].end_lineno or body[-1].lineno
        return span.code.co_qualname == name and body[0].lineno <= span.line <= last

    @property
    def left_out(self) -> frozenset[str]:
        """The statements that are not run again, as `ast.dump` gives them."""
        return self._left_out

    @property
    def values(self) -> Mapping[str, object]:
        """What its names stood for when the last iteration of the failing step began."""
        return {**self._held, **self._begun_with}

    def fails_with(self, data: LoopData) -> None:
        """Note the data of the failing step: `values` are of it, whatever is run after it."""
        if data.iterations:
            self._failing = data.iterations[-1]
            self._begun_with = {**self._failing.values, **self._failing.batch}

    def measure(self, make: Callable[[], None]) -> None:
        """Find what the step adds to lists of the user, by `make`, which makes it once."""
        if not self._containers.may_have_grown:
            return
        self._kept = self._containers.measured
        try:
            make()
        finally:
            self._kept = self._containers.kept

    def _values_in(self, data: LoopData) -> Iterator[object]:
        """What the names of the body stand for."""
        yield from self._held.values()
        for iteration in data.iterations:
            yield from iteration.values.values()
        if not self._is_function:
            yield from [self._globals[n] for n in self.loop.names if n in self._globals]

    @contextlib.contextmanager
    def _totals_kept(self, data: LoopData) -> Iterator[None]:
        """What the body adds up in small tensors is as it was after the block."""
        held = {**self._held, **{n: v for each in data.iterations for n, v in each.values.items()}}
        values = [held.get(name, self._globals.get(name)) for name in self.loop.written]
        with private.unseen():
            copies = [(value, value.clone()) for value in values if is_total(value)]
        try:
            yield
        finally:
            with private.unseen(), torch.no_grad():
                for value, copy_of_it in copies:
                    value.copy_(copy_of_it)

    @contextlib.contextmanager
    def patched(self, tree: ast.Module) -> Iterator[None]:
        """Inside the block, the body is that of the same loop in a patched text of its file."""
        outer, self._tree, self._code = self._tree, tree, None
        try:
            yield
        finally:
            self._tree, self._code = outer, None

    def run_quietly(
        self, statements: list[ast.stmt], values: Mapping[str, object], generators: Generators
    ) -> AfterStatements | None:
        """Run assignments of the body on `values`; None where they may do more, or cannot be run.

        Only assignments that read numbers, arrays and modules are run: others, such as a step of
        an environment, would happen once more.
        """
        if not all(isinstance(s, ast.Assign | ast.AugAssign | ast.AnnAssign) for s in statements):
            return None
        held = {**self._held, **values}
        read, _ = read_first(statements, frozenset())
        names = {n: held.get(n, self._globals.get(n, getattr(builtins, n, None))) for n in read}
        if not all(_is_plain(value) for value in names.values()):
            return None
        generators.restore()
        try:
            with alone():
                bound = self._bound(statements, held)
        except Exception:
            # A name is not known; the step is then made again of what is.
            return None
        return AfterStatements(bound, generators.now())

    def take_batches(
        self, data: Sequence[LoopData], run: Callable[[LoopData, Take], None]
    ) -> list[LoopData]:
        """`data` with the batches that the first statements of the body take, which are then over.

        `data` itself where there are no such statements.

        Args:
            data: Of each step, the first of the failing one; draws only where it has one iteration.
            run: Calls a function while the hooks give the batches of the data.
        """
        first = data[0].iterations[0]
        body = self._statement().body
        prefix = Prefix(frozenset(), frozenset())

        def find(num_drawn: Callable[[], int]) -> None:
            nonlocal prefix
            values = {**self._held, **first.values, **first.batch}
            first.generators.restore()

            def bind(statements: list[ast.stmt]) -> Mapping[str, object]:
                values.update(self._bound(statements, values))
                return values

            with self._kept():
                prefix = prefix_of(body, bind)

        run(data[0], find)
        rest = [each for number, each in enumerate(body) if number not in prefix.statements]
        read, _ = read_first(rest, frozenset())
        names = sorted(prefix.names & read)
        taken = [self._taken(each, body, prefix, names, run) for each in data]
        if not names or not any(taken[0].iterations[0].batch):
            return list(data)
        self._left_out = frozenset(ast.dump(body[number]) for number in prefix.statements)
        self._code = None
        return taken

    def _taken(
        self,
        data: LoopData,
        body: list[ast.stmt],
        prefix: Prefix,
        names: list[str],
        run: Callable[[LoopData, Take], None],
    ) -> LoopData:
        found = []
        statements = [body[number] for number in sorted(prefix.statements)]

        def take(num_drawn: Callable[[], int]) -> None:
            for iteration in data.iterations:
                iteration.generators.restore()
                values = {**self._held, **iteration.values, **iteration.batch}
                with self._kept():
                    values.update(self._bound(statements, values))
                batch = {n: values[n] for n in names if any(True for _ in leaves(values[n]))}
                others = {name: value for name, value in values.items() if name not in batch}
                draws = dict(list(iteration.draws.items())[num_drawn() :])
                found.append(Iteration(others, batch, iteration.generators.now(), draws))

        run(data, take)
        return LoopData(tuple(found), data.missing, data.is_sure)

    def _bound(
        self, statements: list[ast.stmt], values: Mapping[str, object]
    ) -> Mapping[str, object]:
        """What `statements`, assignments, bind when they are run on `values`."""
        names = sorted({name for statement in statements for name in bound_names(statement)})
        if not self._is_function:
            with self._kept_globals():
                self._globals.update(values)
                exec(module_code(self.loop, list(statements)), self._globals)
                return {name: self._globals[name] for name in names}
        found = ast.Dict([ast.Constant(n) for n in names], [ast.Name(n, ast.Load()) for n in names])
        parameters = tuple(sorted(values))
        code = function_code(
            self.loop, self._statement(), parameters, [*statements, ast.Return(found)]
        )
        bound: dict[str, object] = FunctionType(code, self._globals)(**values)
        return bound

    def _run(self, iteration: Iteration, carried: Mapping[str, object]) -> Mapping[str, object]:
        """Run the body; the names that it may hand to the next iteration, with their values."""
        values = {**self._held, **iteration.values, **iteration.batch, **carried}
        if iteration is self._failing:
            self._begun_with = values  # with what the iterations before it have made
        if not self._is_function:
            self._globals.update(values)
            self._globals[_TAKE] = _taking(iteration)
            exec(self._module(), self._globals)
            return dict(self._globals)
        values[_LOCALS] = locals
        values[_TAKE] = _taking(iteration)
        names = tuple(sorted(values))
        if self._code is None or self._code[0] != names:
            end = ast.Return(ast.Call(ast.Name(_LOCALS, ast.Load()), [], []))
            self._code = (
                names,
                function_code(self.loop, self._statement(), names, [self._body_once(), end]),
            )
        # Of the original globals, so that its functions are those of the module.
        found = FunctionType(self._code[1], self._globals)(**values)
        # A body that returns by itself hands nothing on.
        return found if isinstance(found, dict) else {}

    def _module(self) -> CodeType:
        if self._code is None:
            self._code = (), module_code(self.loop, [self._body_once()])
        return self._code[1]

    def _body_once(self) -> ast.For:
        statement = self._statement()
        body = [each for each in statement.body if ast.dump(each) not in self._left_out]
        return once(statement, [_Taker(self._next_names).visit(copy.deepcopy(s)) for s in body])

    def _statement(self) -> ast.For | ast.While:
        tree = self._tree or Source.for_filename(self.loop.file).tree
        loops = [] if tree is None else loops_in(tree)
        if self.loop.number >= len(loops):
            raise CannotRemakeError(f"the source of {self.loop.file} is not there")
        return loops[self.loop.number]

    @contextlib.contextmanager
    def _kept_globals(self) -> Iterator[None]:
        """The globals of the module are as they were after the block."""
        before = dict(self._globals)
        try:
            yield
        finally:
            for name in [name for name in self._globals if name not in before]:
                del self._globals[name]
            self._globals.update(before)


def _named_values(frame: FrameType) -> Iterator[object]:
    """What the names of a frame and of its module stand for."""
    for names in (frame.f_globals, all_values_of(frame)):
        yield from [value for name, value in names.items() if not name.startswith("__")]


class _Taker(ast.NodeTransformer):
    """Has names bound to `next(...)` take the items that training had.

    Args:
        names: Those names.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        """Replace the call, if each name is known."""
        names = taken_names(node)
        if names and self._names.issuperset(names):
            node.value = ast.copy_location(_taken_by(node.targets[0]), node.value)
        return node


def _taken_by(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Tuple | ast.List):
        return ast.Tuple([_taken_by(element) for element in target.elts], ast.Load())
    assert isinstance(target, ast.Name)
    return ast.Call(ast.Name(_TAKE, ast.Load()), [ast.Constant(target.id)], [])


def _taking(iteration: Iteration) -> Callable[[str], object]:
    """Returns the next item for a name each time that it is called."""
    left = {name: list(draws) for name, draws in iteration.taken.items()}

    def take(name: str) -> object:
        if not left.get(name):
            raise CannotRemakeError(f"the step takes more items as `{name}` than were noted")
        return iteration.draws[left[name].pop(0)]

    return take


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(part) for part in value)
    return isinstance(value, _PLAIN)
