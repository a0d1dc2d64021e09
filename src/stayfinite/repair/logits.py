"""An activation moved from the layer that has it to the code that reads what the layer gives.

A sigmoid that is rounded to 1 has lost what a loss needs. The edit removes the activation where it
was made and applies it where the output is read, so that nothing changes but the place. The formula
there then has the operand of the activation, and may have an exact form.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from stayfinite.repair.activations import Removal
from stayfinite.repair.api import Api, Calls, NoSpellingError
from stayfinite.repair.edit import Edit, Replacement, insert_imports, overlap
from stayfinite.repair.metrics_of_logits import metric_edits
from stayfinite.repair.scope import Function, Scope, bound_names, enclosing_function
from stayfinite.repair.source import SourceFile

# What a result, and an operand, of each activation may be called.
_RESULTS = {"sigmoid": "probability", "softmax": "probabilities", "tanh": "squashed"}
_OPERANDS = {"sigmoid": "logits", "softmax": "logits", "tanh": "unsquashed"}
_Binding = ast.arg | ast.Name
# What runs the reader: a function, or the module itself.
Code = Function | ast.Module
# Methods whose parameters Keras passes by keyword.
_BY_KEYWORD = ("call", "compute_loss", "compute_metrics", "train_step", "test_step", "update_state")


def moved(removal: Removal, readers: Sequence[ast.expr], num_outputs: int) -> Edit | None:
    """The activation removed, and applied at `readers`; None where there is no place for it.

    Args:
        removal: What removes it.
        readers: In the same file, an expression for each value that the activation gave: where a
            function that the library calls has it first.
        num_outputs: The length of the last axis of what the activation gave.
    """
    metrics = metric_edits(removal.source, removal.op, num_outputs)
    if metrics is None:
        return None
    return _Move(removal, len(readers), tuple(metrics)).edit(readers)


@dataclass
class _Move:
    removal: Removal
    num_readers: int
    metrics: tuple[Replacement, ...] = ()
    _names: set[str] = field(default_factory=set)

    @property
    def _source(self) -> SourceFile:
        return self.removal.source

    def edit(self, readers: Sequence[ast.expr]) -> Edit | None:
        pieces = [*self.removal.pieces, *self.metrics]
        for reader in readers:
            calls = Calls(Api(Scope(self._source, reader), reader))
            try:
                found = self._applied(reader, calls)
            except NoSpellingError:
                return None
            if not found:
                return None
            pieces += found
            pieces += insert_imports(self._source, reader, calls.take_imports())
        pieces = list(dict.fromkeys(pieces))
        if overlap(pieces):
            return None
        return Edit(self._source, "logits", tuple(sorted(pieces)))

    def _applied(self, reader: ast.expr, calls: Calls) -> list[Replacement]:
        """The activation of what `reader` gives; empty where that takes more than a few names."""
        source = self._source
        function = enclosing_function(source, reader) or source.tree
        if not isinstance(reader, ast.Name):
            return self._of_expression(reader, function, calls)
        name = reader.id
        bindings = _bindings(function, name)
        inner = [n for n in ast.walk(function) if isinstance(n, Function) and n is not function]
        if not bindings or any(name in dict(bound_names(other)) for other in inner):
            return []
        loads = _loads(function, name)
        if len(bindings) == 1 and (len(loads) == 1 or isinstance(function, ast.Lambda)):
            return [Replacement(*source.range_of(n), self._call(calls, name)) for n in loads]
        binding = min(bindings, key=lambda node: (node.lineno, node.col_offset))
        line = _line_after(source, function, binding)
        if line is None or isinstance(function, ast.Lambda):
            return []
        position, indent = line
        if _may_be_renamed(source, function, binding):
            new = self._new(function, _OPERANDS, name)
            text = f"{indent}{name} = {self._call(calls, new)}{source.newline}"
            start = source.index(binding.lineno, binding.col_offset)
            return [
                Replacement(start, start + len(name), new),
                Replacement(position, position, text),
            ]
        if len(bindings) > 1:
            new = self._new(function, _OPERANDS, name)
            text = f"{indent}{new} = {name}{source.newline}"
            text += f"{indent}{name} = {self._call(calls, new)}{source.newline}"
            return [Replacement(position, position, text)]
        new = self._new(function, _RESULTS, name)
        text = f"{indent}{new} = {self._call(calls, name)}{source.newline}"
        changed = [Replacement(*source.range_of(load), new) for load in loads]
        return [Replacement(position, position, text), *changed]

    def _of_expression(self, reader: ast.expr, function: Code, calls: Calls) -> list[Replacement]:
        """Of what a call gives, as `self(x)` in a train step."""
        source, text = self._source, self._source.text_of(reader)
        statement = source.parents.get(reader)
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            line = _line_after(source, function, statement)
            if isinstance(target, ast.Name) and line is not None:
                new = self._new(function, _OPERANDS, target.id)
                position, indent = line
                after = f"{indent}{target.id} = {self._call(calls, new)}{source.newline}"
                return [
                    Replacement(*source.range_of(target), new),
                    Replacement(position, position, after),
                ]
        return [Replacement(*source.range_of(reader), self._call(calls, text))]

    def _call(self, calls: Calls, text: str) -> str:
        op, axis = self.removal.op, self.removal.axis
        needs_axis = op == "softmax" and (axis != -1 or calls.spell(op).family == "torch")
        return calls(op, text, axis=str(axis) if needs_axis else None)

    def _new(self, function: Code, words: dict[str, str], name: str) -> str:
        """A name for what is not called `name` any more."""
        word = words[self.removal.op]
        wanted = [f"{name}_{word}", f"{name}_{word}_2"]
        if self.num_readers == 1:
            wanted.insert(0, word)
        scope = Scope(self._source, function)
        taken = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)} | self._names
        taken |= {n.arg for n in ast.walk(function) if isinstance(n, ast.arg)}
        new = next((w for w in wanted if w not in taken and scope.is_free(w)), wanted[-1])
        self._names.add(new)
        return new


def _loads(function: Code, name: str) -> list[ast.Name]:
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    return [node for node in names if node.id == name and isinstance(node.ctx, ast.Load)]


def _bindings(function: Code, name: str) -> list[_Binding]:
    """What gives `name` a value; empty if something else than a parameter or an assignment does."""
    found = [node for bound, node in bound_names(function) if bound == name]
    known = [node for node in found if isinstance(node, _Binding)]
    return known if len(known) == len(found) else []


def _may_be_renamed(source: SourceFile, function: Code, binding: _Binding) -> bool:
    """Whether nothing but the function itself uses the name that `binding` gives to a value."""
    if isinstance(function, ast.Lambda):
        return False
    if isinstance(binding, ast.Name):
        return isinstance(source.parents.get(binding), ast.Assign | ast.Tuple | ast.List)
    if isinstance(function, ast.Module) or binding not in function.args.args:
        return False
    is_loss = not function.name.startswith(_BY_KEYWORD) or (
        function.name == "call" and len(function.args.args) == 3
    )
    keywords = {n.arg for n in ast.walk(source.tree) if isinstance(n, ast.keyword)}
    return is_loss and binding.arg not in keywords and binding.annotation is None


def _line_after(
    source: SourceFile, function: Code, binding: _Binding | ast.Assign
) -> tuple[int, str] | None:
    """Where a line may stand at which a value has just got its name, and the indent there."""
    if isinstance(function, ast.Lambda):
        return None
    if isinstance(binding, ast.arg) and not isinstance(function, ast.Module):
        first, *others = function.body
        is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        following = others[0] if is_text and others else first
        if following.lineno == function.lineno:
            return None
        return source.line_starts[following.lineno - 1], _indent(source, following)
    around = [binding, *source.ancestors(binding)]
    statement = next((node for node in around if isinstance(node, ast.stmt)), None)
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return None
    starts = [*source.line_starts, len(source.text)]
    start, end = starts[statement.lineno - 1], starts[statement.end_lineno or statement.lineno]
    text, own = source.text[start:end].strip(), source.text_of(statement)
    if not text.startswith(own) or not source.text[:end].endswith("\n"):
        return None
    rest = text[len(own) :].strip()
    return None if rest and not rest.startswith("#") else (end, _indent(source, statement))


def _indent(source: SourceFile, statement: ast.stmt) -> str:
    line = source.text[source.line_starts[statement.lineno - 1] :]
    return line[: len(line) - len(line.lstrip(" \t"))]
