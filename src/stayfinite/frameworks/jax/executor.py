"""Running a program segment by segment, and op by op where asked."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jax

from stayfinite.frameworks.jax import private, segments
from stayfinite.frameworks.jax.capture_program import JaxProgram
from stayfinite.frameworks.jax.host_data import is_finite, on_one_device
from stayfinite.frameworks.jax.segments import Segment

# Compiled segments that are kept: a deep network has some hundred different ones.
_MAX_COMPILED = 2048

_DRAFT = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@dataclass
class ProgramRun:
    """One pass: the values asked for, which border values were finite, and inputs kept."""

    values: dict[int, Any]
    finite: dict[int, bool]
    suspects: dict[int, list[Any]] = field(default_factory=dict)


class Executor:
    """Runs one program; compiled segments are shared with every other executor.

    Args:
        program: What to run.
        borders: Values at which segments end, so that they can be replaced.
        draft: Compile with less optimisation, in half the time; for a program that is run once
            and need not round as the training did.
        device: The device for which it is compiled, if that is not the one of the training.
        whole: Compile it in one piece, without borders.
    """

    def __init__(
        self,
        program: JaxProgram,
        borders: Iterable[int] = (),
        *,
        draft: bool = False,
        device: Any = None,
        whole: bool = False,
    ) -> None:
        self.program = program
        self._device = device
        self.segments = segments.whole(program) if whole else segments.cut(program, set(borders))
        self.structure = [self._key(segment) for segment in self.segments]
        self._options = _DRAFT if draft else {}
        self._compiled: list[Any] = []
        self._inner: dict[int, Any] = {}
        self._one_by_one: set[int] = set()

    def run(
        self,
        inputs: list[Any],
        *,
        fetch: Iterable[int] = (),
        overrides: dict[int, Any] | None = None,
        keep_suspects: int = 0,
    ) -> ProgramRun:
        """Run the whole program.

        Args:
            inputs: One array per program input.
            fetch: Further values to return beside the program's outputs.
            overrides: Values to replace when they are made; they must be borders.
            keep_suspects: Keep the inputs of up to so many segments that made the first
                non-finite values out of finite ones.
        """
        overrides = overrides or {}
        wanted = set(self.program.outputs) | set(fetch)
        env = dict(zip(self.program.inputs, inputs, strict=True))
        env.update(self.program.constants)
        result = ProgramRun({}, {})
        last_use = self._last_use(wanted)
        inner = {
            index: wanted.intersection(made_in(segment)).difference(segment.results)
            for index, segment in enumerate(self.segments)
        }
        self._prepare(index for index, values in inner.items() if values)
        for index, (segment, compiled) in enumerate(zip(self.segments, self._ready(), strict=True)):
            operands = [env[value] for value in segment.operands]
            if inner[index]:
                env.update(self._step_through(index, operands, inner[index]))
            # An op may divide its results over devices, and the next segment is for one.
            results = map(on_one_device, compiled(*operands))
            env.update(zip(segment.results, results, strict=True))
            env.update((v, overrides[v]) for v in segment.results if v in overrides)
            finite = {v: is_finite(env[v]) for v in segment.results} if keep_suspects else {}
            result.finite.update(finite)
            if (
                len(result.suspects) < keep_suspects
                and not all(finite.values())
                and all(result.finite.get(value, True) for value in segment.operands)
            ):
                result.suspects[index] = operands
            for value in last_use.get(index, ()):
                env.pop(value, None)
        result.values = {value: env[value] for value in wanted}
        return result

    def step_through(
        self, index: int, operands: list[Any], visit: Callable[[int, list[Any], list[Any]], None]
    ) -> None:
        """Go through one segment op by op: `visit(equation number, operands, results)` for each.

        The segment is compiled once more, with everything that it makes as a result. An op alone
        would not do: XLA makes one rounding of `1 - x * y` where op by op there are two, so a
        radicand that is 0 here may be -1e-8 there; and each kind of op would be compiled by itself.
        """
        segment = self.segments[index]
        env = dict(zip(segment.operands, operands, strict=True))
        if index not in self._one_by_one:
            self._prepare([index])
            made = map(on_one_device, self._inner[index](*operands))
            env.update(zip(made_in(segment), made, strict=True))
        for number, equation in enumerate(segment.equations, segment.first):
            values = [env[v] if v in env else self.program.constants[v] for v in equation.operands]
            if index in self._one_by_one:
                bound = private.bind(equation.primitive, equation.params, values)
                results = [on_one_device(result) for result in bound]
                env.update(zip(equation.results, results, strict=True))
            visit(number, values, [env[result] for result in equation.results])

    def go_one_by_one(self, index: int) -> None:
        """From now on `step_through` of this segment runs each op by itself."""
        self._one_by_one.add(index)

    def _prepare(self, indices: Iterable[int]) -> None:
        """Compile the given segments with all that they make as results."""
        missing = [n for n in indices if n not in self._inner and n not in self._one_by_one]
        cuts = [
            dataclasses.replace(self.segments[n], results=made_in(self.segments[n]))
            for n in missing
        ]
        keys = [self._key(cut) for cut in cuts]
        compiled = _COMPILED.of(self.program, cuts, keys, self._options)
        self._inner.update(zip(missing, compiled, strict=True))

    def _key(self, segment: Segment) -> tuple[Any, ...]:
        return (self._device, *segments.structure(self.program, segment))

    def _step_through(self, index: int, operands: list[Any], wanted: set[int]) -> dict[int, Any]:
        found: dict[int, Any] = {}

        def visit(number: int, _: list[Any], results: list[Any]) -> None:
            names = self.program.equations[number].results
            found.update((n, r) for n, r in zip(names, results, strict=True) if n in wanted)

        self.step_through(index, operands, visit)
        return found

    def _last_use(self, wanted: set[int]) -> dict[int, list[int]]:
        last: dict[int, int] = {}
        for index, segment in enumerate(self.segments):
            for value in segment.operands:
                last[value] = index
        uses: dict[int, list[int]] = {}
        for value, index in last.items():
            if value not in wanted:
                uses.setdefault(index, []).append(value)
        return uses

    def _ready(self) -> list[Any]:
        if not self._compiled:
            self._compiled = _COMPILED.of(
                self.program, self.segments, self.structure, self._options
            )
        return self._compiled


def made_in(segment: Segment) -> tuple[int, ...]:
    """Everything that the equations of a segment make."""
    return tuple(result for equation in segment.equations for result in equation.results)


class _CompiledSegments:
    """Compiled segments by their structure; beyond `max_kept` those not used for longest go.

    The replays of one incident differ in few segments, and so do those of the next incident.
    """

    def __init__(self, max_kept: int) -> None:
        self._max_kept = max_kept
        self._kept: collections.OrderedDict[tuple[Any, ...], Any] = collections.OrderedDict()
        # Two threads may explain an incident each.
        self._lock = threading.Lock()

    def of(
        self,
        program: JaxProgram,
        cuts: list[Segment],
        keys: list[tuple[Any, ...]],
        options: dict[str, Any],
    ) -> list[Any]:
        """The compiled form of each of `cuts`, whose structures are `keys`."""
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
        todo = {k: s for k, s in zip(keys, cuts, strict=True) if k not in found}
        found.update(_compiled(program, todo, options))
        with self._lock:
            for key in keys:
                self._kept[key] = found[key]
                self._kept.move_to_end(key)
            while len(self._kept) > self._max_kept:
                self._kept.popitem(last=False)
        return [found[key] for key in keys]


def _compiled(
    program: JaxProgram, todo: dict[tuple[Any, ...], Segment], options: dict[str, Any]
) -> dict[tuple[Any, ...], Any]:
    """The compiled form of each segment, by its structure."""

    def lowered(segment: Segment) -> Any:
        avals = [_shape_of(program.avals[value]) for value in segment.operands]
        return jax.jit(segments.function_of(program, segment)).lower(*avals)

    if not threading.main_thread().is_alive():
        # A program that ends, as one that has left a flag unread, starts no thread any more.
        return {key: lowered(segment).compile(options) for key, segment in todo.items()}
    # XLA compiles without holding the interpreter, so two segments can compile at once.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = {
            key: pool.submit(lowered(segment).compile, options) for key, segment in todo.items()
        }
        return {key: future.result() for key, future in futures.items()}


_COMPILED = _CompiledSegments(_MAX_COMPILED)


def _shape_of(aval: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(
        aval.shape, aval.dtype, weak_type=bool(getattr(aval, "weak_type", False))
    )
