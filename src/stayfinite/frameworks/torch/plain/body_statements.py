"""Statements of the body of a loop, run by themselves: to find out what they bind."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import BuiltinFunctionType, FunctionType, ModuleType

import numpy as np
import torch

from stayfinite.frameworks.frames import kept_names
from stayfinite.frameworks.loop_code import once
from stayfinite.frameworks.source_bindings import bound_names, read_first
from stayfinite.frameworks.torch.plain.alone import alone
from stayfinite.frameworks.torch.plain.body_code import BodyCode
from stayfinite.frameworks.torch.plain.data import Iteration, LoopData
from stayfinite.frameworks.torch.plain.drawn import Prefix, prefix_of
from stayfinite.frameworks.torch.plain.randomness import Generators
from stayfinite.frameworks.torch.plain.step_data import AfterStatements
from stayfinite.frameworks.torch.plain.trees import leaves
from stayfinite.strict import caught, is_internal

# Run with a function that returns how many batches it has drawn.
Take = Callable[[Callable[[], int]], None]
# What may be read by statements that are run once more.
_PLAIN: tuple[type, ...] = (
    *(int, float, complex, str, type, type(None), ModuleType, BuiltinFunctionType),
    *(torch.Tensor, torch.dtype, torch.device, torch.Generator, np.ndarray, np.generic),
)


class BodyStatements:
    """Runs assignments of a body alone.

    Args:
        code: Compiles them.
        names: The globals of the module.
        held: What names of the frame stand for that the body does not bind.
        kept: Inside what it returns, the lists of the user stay as they are.
    """

    def __init__(
        self,
        code: BodyCode,
        names: dict[str, object],
        held: Mapping[str, object],
        kept: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._code = code
        self._globals = names
        self._held = held
        self._kept = kept

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
        except Exception as error:
            # A name is not known; the step is then made again of what is.
            if is_internal(error):
                caught("running assignments of the loop", error)
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
        body = self._code.statements()
        loop = self._code.loop
        is_alone = all(len(each.iterations) == 1 for each in data)
        carried = frozenset() if is_alone else loop.read & loop.bound - {*loop.targets}
        prefix = Prefix(frozenset(), frozenset())

        def find(num_drawn: Callable[[], int]) -> None:
            nonlocal prefix
            values = {**self._held, **first.values, **first.batch}
            first.generators.restore()

            def bind(statements: list[ast.stmt]) -> Mapping[str, object]:
                values.update(self._bound(statements, values))
                return values

            with self._kept():
                prefix = prefix_of(body, bind, carried)

        run(data[0], find)
        rest = [each for number, each in enumerate(body) if number not in prefix.statements]
        read, _ = read_first(rest, frozenset())
        names = sorted(prefix.names & read)
        taken = [self._taken(each, body, prefix, names, run) for each in data]
        if not names or not any(taken[0].iterations[0].batch):
            return list(data)
        self._code.leave_out([body[number] for number in prefix.statements])
        return taken

    def beginnings(self, line: int) -> list[int]:
        """Numbers of statements before the one that `line` is in, which the step may begin at."""
        body = self._code.statement().body
        last = sum(1 for statement in body if statement.lineno <= line) - 1
        effects = [n + 1 for n in range(last) if not isinstance(body[n], ast.Assign)]
        return list(dict.fromkeys([last, *reversed(effects)])) if last > 0 else []

    def after_calls(self, line: int) -> list[int]:
        """As `beginnings`, after assignments with a call, the earliest first.

        One of them may be a draw from a generator of the user whose state is not known.
        """
        body = self._code.statement().body
        last = sum(1 for statement in body if statement.lineno <= line) - 1
        return [n + 1 for n in range(last) if isinstance(body[n], ast.Assign) and _calls(body[n])]

    def begin_at(self, number: int, data: LoopData, now: Mapping[str, object]) -> LoopData | None:
        """As `LoopBody.begin_at`; the statements are run once, for the random numbers they draw."""
        (iteration,) = data.iterations
        body = self._code.statement().body
        first, rest = body[:number], body[number:]
        bound = {name for statement in first for name in bound_names(statement)}
        again = {name for statement in rest for name in bound_names(statement)}
        read, _ = read_first(rest, frozenset())
        if bound & read & again:
            return None
        iteration.generators.restore()
        values = {**self._held, **iteration.values, **iteration.batch}
        with self._kept():
            # In a loop of their own, as one of them may be `if ...: continue`.
            self._bound([once(self._code.statement(), first)], values)
        known = {name: now[name] for name in bound & read if name in now}
        if any(_has_graph(leaf) for _, leaf in leaves(known)):
            # The step would begin in the middle of what is differentiated.
            return None
        batch = {name: value for name, value in iteration.batch.items() if name not in bound}
        others = {**{n: v for n, v in values.items() if n not in batch}, **known}
        self._code.leave_out(first)
        begun = Iteration(others, batch, iteration.generators.now())
        return LoopData((begun,), data.missing, is_sure=False)

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
                drawn = {n: state for n, state in iteration.drawn.items() if n in draws}
                found.append(Iteration(others, batch, iteration.generators.now(), draws, drawn))

        run(data, take)
        return LoopData(tuple(found), data.missing, data.is_sure)

    def _bound(
        self, statements: list[ast.stmt], values: Mapping[str, object]
    ) -> Mapping[str, object]:
        """What `statements`, assignments, bind when they are run on `values`."""
        names = sorted({name for statement in statements for name in bound_names(statement)})
        if self._code.loop.is_of_module:
            with kept_names(self._globals):
                self._globals.update(values)
                exec(self._code.compiled(list(statements)), self._globals)
                return {name: self._globals[name] for name in names}
        found = ast.Dict([ast.Constant(n) for n in names], [ast.Name(n, ast.Load()) for n in names])
        parameters = tuple(sorted(values))
        code = self._code.function(parameters, [*statements, ast.Return(found)])
        bound: dict[str, object] = FunctionType(code, self._globals)(**values)
        return bound


def _has_graph(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.grad_fn is not None


def _calls(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Call) for node in ast.walk(statement))


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(part) for part in value)
    return isinstance(value, _PLAIN)
