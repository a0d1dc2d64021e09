"""A jaxpr as one flat list of equations, each with its place in the user's code.

Calls (`jit`, `custom_jvp_call`, rematerialisation) and bodies of `shard_map` are inlined; loops
and branches stay one equation. JAX caches the jaxpr of a jitted function, and the tracebacks inside
it begin at that function: the frames of an inlined equation are its own, then those of the call
around it.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import jax
import numpy as np
from jax.extend import core as jex

from stayfinite.frameworks.entries import is_entry
from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.host_data import on_one_device
from stayfinite.frameworks.jax.private_shards import shards_on_one_device
from stayfinite.frameworks.recording.places import Place
from stayfinite.graph.code_owner import is_user_file
from stayfinite.graph.source import user_spans

_TOKEN = re.compile(r"@(\d+)")


@dataclass(frozen=True)
class Equation:
    """One primitive application on numbered values.

    `section` is equal for consecutive equations of one layer in one pass.
    """

    primitive: Any
    params: dict[str, Any]
    operands: tuple[int, ...]
    results: tuple[int, ...]
    place: Place
    name_stack: str
    section: str


@dataclass
class JaxProgram:
    """Equations over numbered values: `inputs` and `constants` come in, `outputs` are wanted."""

    equations: list[Equation]
    avals: dict[int, Any]
    inputs: list[int]
    outputs: list[int]
    constants: dict[int, Any] = field(default_factory=dict)


def flatten(closed: Any, boundary: CodeType) -> JaxProgram:
    """`closed` as a `JaxProgram`. Only frames inside `boundary`, a code object, are the step's."""
    return _Flattener(boundary).run(closed)


class _Flattener:
    def __init__(self, boundary: CodeType) -> None:
        self._boundary = boundary
        self._program = JaxProgram([], {}, [], [])
        self._places: dict[int, Place] = {}
        self._keep: list[Any] = []

    def run(self, closed: Any) -> JaxProgram:
        env: dict[Any, int] = {}
        program = self._program
        for var in closed.jaxpr.invars:
            env[var] = self._new(var.aval)
            program.inputs.append(env[var])
        for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
            env[var] = self._constant(value, var.aval)
        self._inline(closed.jaxpr, env, None, "")
        program.outputs = [self._read(atom, env) for atom in closed.jaxpr.outvars]
        return program

    def _inline(
        self,
        jaxpr: Any,
        env: dict[Any, int],
        outer: Place | None,
        stack: str,
    ) -> None:
        for eqn in jaxpr.eqns:
            place = self._place(eqn.source_info, outer)
            name_stack = f"{stack}/{private.scope(eqn.source_info)}"
            call = private.closed_call_of(eqn)
            shards = shards_on_one_device(eqn)
            if shards is not None:
                call = shards.jaxpr, list(shards.consts)
            operands = [self._read(atom, env) for atom in eqn.invars]
            if call is not None:
                inner, consts = call
                given = operands[len(operands) - len(inner.invars) :]
                inner_env = dict(zip(inner.invars, given, strict=True))
                for var, value in zip(inner.constvars, consts, strict=True):
                    inner_env[var] = self._constant(value, var.aval)
                self._inline(inner, inner_env, place, name_stack)
                for var, atom in zip(eqn.outvars, inner.outvars, strict=True):
                    env[var] = self._read(atom, inner_env)
                continue
            if private.only_places(eqn):
                # The step is run again on one device.
                env.update(zip(eqn.outvars, operands, strict=True))
                continue
            for var in eqn.outvars:
                env[var] = self._new(var.aval)
            results = tuple(env[var] for var in eqn.outvars)
            self._program.equations.append(
                Equation(
                    eqn.primitive,
                    eqn.params,
                    tuple(operands),
                    results,
                    place,
                    name_stack,
                    section(name_stack),
                )
            )

    def _read(self, atom: Any, env: dict[Any, int]) -> int:
        if isinstance(atom, jex.Literal):
            return self._constant(atom.val, atom.aval)
        return env[atom]

    def _new(self, aval: Any) -> int:
        number = len(self._program.avals)
        self._program.avals[number] = aval
        return number

    def _constant(self, value: Any, aval: Any) -> int:
        number = self._new(aval)
        if isinstance(value, int | float | bool | complex | np.generic):
            value = np.asarray(value, aval.dtype)
        elif isinstance(value, jax.Array) and not private.is_tracing(value):
            value = on_one_device(value)
        self._program.constants[number] = value
        return number

    def _place(self, source_info: Any, outer: Place | None) -> Place:
        key = id(source_info.traceback)
        if key not in self._places:
            self._keep.append(source_info.traceback)  # keeps the id from being used again
            self._places[key] = _place_of(source_info, self._boundary)
        place = self._places[key]
        if outer is None or place.stack[-len(outer.stack) :] == outer.stack != ():
            return place
        if not place.stack:
            return outer
        return Place(place.stack + outer.stack, place.in_library_object)


def _place_of(source_info: Any, boundary: CodeType) -> Place:
    inside: list[tuple[CodeType, int]] = []
    for code, instruction in private.frames(source_info):
        if code is boundary:
            break
        inside.append((code, instruction))
    in_library_object = False
    for code, _ in inside:
        if is_user_file(code.co_filename):
            break
        if is_entry(code):
            in_library_object = True
            break
    return Place(user_spans(inside), in_library_object)


class Scopes:
    """Which library object was being called for each equation: a token `@n` on JAX's name stack.

    While a step is traced for its explanation, each call of a layer, operation, loss or optimizer
    is wrapped in a scope `@n`, and `n` leads back to the object.
    """

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def chain(self, name_stack: str) -> list[Any]:
        """The objects named in `name_stack`, outermost first."""
        return [self._objects[int(number)] for number in _TOKEN.findall(name_stack)]

    def entered(self, called: Any) -> contextlib.AbstractContextManager[Any]:
        """The scope of a call of the object `called`."""
        scope: contextlib.AbstractContextManager[Any] = jax.named_scope(f"@{self._number(called)}")
        return scope

    def _number(self, called: Any) -> int:
        if id(called) not in self._numbers:
            self._numbers[id(called)] = len(self._objects)
            self._objects.append(called)
        return self._numbers[id(called)]


def section(name_stack: str) -> str:
    """The innermost token and the pass: what stays the same inside one call of a layer."""
    tokens = _TOKEN.findall(name_stack)
    innermost = tokens[-1] if tokens else ""
    return f"{innermost} {is_backward(name_stack)}"


def is_backward(name_stack: str) -> bool:
    """Whether JAX made the equation by transposing a forward one."""
    return "transpose(" in name_stack


def is_differentiated(name_stack: str) -> bool:
    """Whether the equation is the forward one of a derivative."""
    return "jvp(" in name_stack and not is_backward(name_stack)
