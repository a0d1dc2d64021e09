"""Calls: functions of the user's are entered, the others are looked up."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import types
from collections.abc import Iterator, Mapping, Sequence

from stayfinite.graph.running_loops import RunningLoop
from stayfinite.graph.source import Definition
from stayfinite.repair.extraction import natives
from stayfinite.repair.extraction.contractions import contracted, contraction_of
from stayfinite.repair.extraction.frames import (
    bound,
    frame_of,
    frame_of_loop,
    num_required,
    user_function,
)
from stayfinite.repair.extraction.function_modules import function_of_module
from stayfinite.repair.extraction.instances import made_instance
from stayfinite.repair.extraction.library_calls import library_call, method_call
from stayfinite.repair.extraction.native_calls import native_call
from stayfinite.repair.extraction.operators import applied
from stayfinite.repair.extraction.run import GivesUpError, Run
from stayfinite.repair.extraction.values import (
    Call,
    Closure,
    Frame,
    Method,
    Pending,
    SourceOrigin,
    Tensor,
)
from stayfinite.repair.libraries import LIBRARIES

_BUILTIN_OPS = {id(abs): "abs", id(pow): "power", id(round): "round"}
# What a scan with an operation of two operands is.
_SCANS = {"add": "cumsum", "logaddexp": "logcumsumexp", "multiply": "cumprod"}
# What a training does with the loss it has computed.
_SINKS = ("add_loss", "backward", "gradient", "manual_backward")


def call_expression(run: Run, expression: ast.Call, frame: Frame) -> object:
    """What a call gives."""
    called = run.evaluate(expression.func, frame)
    positional = _arguments(run, expression, called, frame)
    named = _named_arguments(run, expression, frame)
    if isinstance(expression.func, ast.Attribute) and expression.func.attr in _SINKS:
        receiver = called.receiver if isinstance(called, Method) else None
        run.sinks += positional[:1] if receiver is None else [receiver]
        return Pending(frame.text_of(expression))
    return _called(run, Call(called, positional, named, expression, frame))


def _called(run: Run, call: Call) -> object:
    called, positional, named = call.called, call.positional, call.named
    if isinstance(called, functools.partial):
        arguments = [*called.args, *positional], {**called.keywords, **named}
        return _called(run, Call(called.func, *arguments, call.expression, call.frame))
    if isinstance(called, Method):
        return method_call(run, call, called)
    row = LIBRARIES.of(called)
    if row is not None and row.op == "identity" and all(map(natives.is_plain, call.arguments)):
        return native_call(run, call)  # it makes an array
    if row is not None:
        return library_call(run, call, row)
    of_module = function_of_module(called)
    if of_module is not None and len(positional) == 1 and not named:
        run.family = "torch"
        run.is_pure(call)
        op, options = of_module
        return applied(run, op, {"x": positional[0], **options}, call.expression, call.frame)
    scanned = _scanned(called, positional, named)
    if scanned is not None:
        run.is_pure(call)
        return applied(run, *scanned, call.expression, call.frame)
    contraction = contraction_of(called, positional)
    if contraction is not None and not named:
        return contracted(run, call, contraction)
    function = id(called)
    if function in _BUILTIN_OPS and any(isinstance(v, Tensor | Pending) for v in positional):
        run.is_pure(call)
        operands = dict(zip(("x", "y"), positional, strict=False))
        return applied(run, _BUILTIN_OPS[function], operands, call.expression, call.frame)
    caller = SourceOrigin(run.moments[-1], call.expression)
    if isinstance(called, Closure):
        return _closed(run, called, positional, named, caller)
    if isinstance(called, type):
        made = made_instance(
            run, called, positional, named, lambda f, args, kw: enter(run, f, args, kw, caller)
        )
        if made is not None:
            return made
    called = _method_behind(called)
    user = user_function(called)
    if user is not None:
        if isinstance(called, types.MethodType):
            positional = [called.__self__, *positional]
        try:
            return enter(run, user, positional, named, caller)
        except LookupError:
            pass
        except GivesUpError:
            # As a network that loops over layers of unknown number: what it gives is an operand.
            return run.unknown_call(call, *call.arguments)
    return native_call(run, dataclasses.replace(call, positional=positional))


def _method_behind(called: object) -> object:
    """The method that a call of an object of the user's own class calls."""
    method = inspect.getattr_static(type(called), "__call__", None)
    if isinstance(method, types.FunctionType) and user_function(method) is not None:
        return types.MethodType(method, called)
    return called


def _scanned(
    called: object, positional: list[object], named: dict[str, object]
) -> tuple[str, dict[str, object]] | None:
    """The cumulative operation that `associative_scan(function, x, axis=...)` is, if any."""
    if getattr(called, "__name__", "") != "associative_scan" or len(positional) < 2:
        return None
    function = LIBRARIES.of(positional[0])
    op = None if function is None else _SCANS.get(function.op)
    if op is None or not isinstance(positional[1], Tensor | Pending) or named.keys() - {"axis"}:
        return None
    return op, {"x": positional[1], "axis": named.get("axis", 0)}


def _arguments(run: Run, expression: ast.Call, called: object, frame: Frame) -> list[object]:
    found: list[object] = []
    for part in expression.args:
        if not isinstance(part, ast.Starred):
            found.append(run.evaluate(part, frame))
            continue
        value = run.evaluate(part.value, frame)
        wanted = num_required(called) - len(found) - (len(expression.args) - 1)
        found += run.items(value, max(wanted, 1) if isinstance(value, Pending) else None)
    return found


def _named_arguments(run: Run, expression: ast.Call, frame: Frame) -> dict[str, object]:
    found: dict[str, object] = {}
    for keyword in expression.keywords:
        value = run.evaluate(keyword.value, frame)
        if keyword.arg is not None:
            found[keyword.arg] = value
        elif isinstance(value, dict):
            found.update({str(key): item for key, item in value.items()})
    return found


def _closed(
    run: Run,
    called: Closure,
    positional: list[object],
    named: dict[str, object],
    caller: SourceOrigin,
) -> object:
    names = bound(called.function, positional, named, called.defaults, called.named_defaults)
    outer = called.frame
    frame = Frame(
        outer.source, called.function, names, outer.globals, outer.cells, None, outer, caller
    )
    return run.call(frame)


def closure(run: Run, function: Definition, frame: Frame) -> Closure:
    """A function that interpreted code defines."""
    arguments = function.args
    defaults = tuple(run.evaluate(one, frame) for one in arguments.defaults)
    named = {
        one.arg: run.evaluate(value, frame)
        for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if value is not None
    }
    return Closure(function, frame, defaults, named)


def enter(
    run: Run,
    function: types.FunctionType,
    positional: Sequence[object],
    named: Mapping[str, object],
    caller: SourceOrigin | None,
) -> object:
    """Interpret a live function; `LookupError` if it has no source."""
    frame = frame_of(function, caller, run.patched, run.sources)
    assert isinstance(frame.body, Definition)
    defaults = function.__defaults__ or ()
    frame.names.update(
        bound(frame.body, positional, named, defaults, function.__kwdefaults__ or {})
    )
    if caller is None:
        frame.left_out = frozenset(_with_default(frame.body)) - named.keys()
    return run.call(frame)


def enter_loop(run: Run, loop: RunningLoop) -> object:
    """Interpret one iteration of a running loop; `LookupError` if it has no source."""
    frame = frame_of_loop(loop, run.patched, run.sources)
    for name, value in loop.values.items():
        adopted = frame.names[name] = run.adopted(value, name)
        if not isinstance(adopted, Pending):
            continue
        recording = run.recorded.leaf(name)
        if recording is not None and run.leaves.living_shape(adopted) == recording.shape:
            run.leaves.resolve(adopted, recording)
    return run.call(frame)


def _with_default(function: Definition) -> Iterator[str]:
    """The parameters with a default value that the function assigns nothing else to."""
    arguments = function.args
    by_position = (*arguments.posonlyargs, *arguments.args)
    stored = {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    found = by_position[len(by_position) - len(arguments.defaults) :]
    for one in (*found, *(one for one, default in named if default is not None)):
        if one.arg not in stored:
            yield one.arg
