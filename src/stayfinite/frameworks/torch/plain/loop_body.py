"""The body of the user's loop as code that can be run again, or with a patched text.

The body is compiled from the AST of the file, with the name, lines and columns of the file kept.
In a function its local names become parameters; in a module it runs in the globals of the module,
which are put back after it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import compress
from types import FrameType, FunctionType

import torch

from stayfinite.frameworks.contained_files import kept_files
from stayfinite.frameworks.frames import all_values_of, kept_names, values_of
from stayfinite.frameworks.loop_code import LOCALS
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.patched_loop import PatchedLoop
from stayfinite.frameworks.source_loops import SourceLoop
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain import trees
from stayfinite.frameworks.torch.plain.again import NoUpdateError
from stayfinite.frameworks.torch.plain.body_code import TAKE, BodyCode, taking
from stayfinite.frameworks.torch.plain.body_statements import BodyStatements
from stayfinite.frameworks.torch.plain.carried import CarriedValues
from stayfinite.frameworks.torch.plain.containers import Containers
from stayfinite.frameworks.torch.plain.data import Iteration, LoopData
from stayfinite.frameworks.torch.plain.own_attributes import Attributes
from stayfinite.frameworks.torch.plain.steps import is_total


class LoopBody(PatchedLoop):
    """The body of a loop in a running frame; an `again.Again`, and a `RunningLoop`.

    Args:
        frame: The frame.
        loop: The loop.

    Attributes:
        statements: Runs some of its statements alone.
    """

    def __init__(self, frame: FrameType, loop: SourceLoop) -> None:
        super().__init__(loop)
        self._globals = frame.f_globals
        own = frame.f_code
        local = {*own.co_varnames, *own.co_cellvars, *own.co_freevars}
        names = frozenset() if loop.is_of_module else loop.names & local
        # Names that the body reads and does not bind have the values of the frame.
        self._held = values_of(frame, sorted(names - loop.bound))
        self._failing: Iteration | None = None
        self._begun_with: Mapping[str, object] = {}
        self._containers = Containers(_named_values(frame))
        self._attributes = Attributes(_named_values(frame))
        self._is_measuring = False
        self._measured = LoopData(())
        self._code = BodyCode(self)
        self.statements = BodyStatements(self._code, self._globals, self._held, self._kept)

    @property
    def names(self) -> dict[str, object]:
        """The globals of its module."""
        return self._globals

    @property
    def is_patched(self) -> bool:
        """Whether it is run from a patched text of its file."""
        return self.tree is not None

    def make(self, data: LoopData) -> None:
        """Run the body once for each iteration of `data`.

        Raises:
            CannotRemakeError: its values at the beginning are not known, or it has no source.
        """
        if data.missing is not None:
            raise CannotRemakeError(data.missing)
        self._note_other_lists(data)
        containers = Containers(data.values())
        files = kept_files(self._values_in(data))
        taken = frozenset(name for iteration in data.iterations for name in iteration.taken)
        self._code.take(taken)
        totals = self._totals_kept(data)
        with kept_names(self._globals), containers.kept(), self._kept(), files, totals:
            carried: Mapping[str, object] = {}
            for iteration in data.iterations:
                iteration.generators.restore()
                after = self._run(iteration, carried)
                # The iteration may be another than that of training, with a fix.
                names = self.loop.read & self.loop.bound - {*self.loop.targets}
                carried = {name: after[name] for name in names if name in after}
        raise NoUpdateError(WhyNot(Obstacle.BODY_WITHOUT_UPDATE))

    @property
    def left_out(self) -> frozenset[str]:
        """The statements that are not run again, as `ast.dump` gives them."""
        return self._code.left_out

    @property
    def values(self) -> Mapping[str, object]:
        """What its names stood for when the last iteration of the failing step began."""
        return {**self._held, **self._begun_with}

    def fails_with(self, data: LoopData) -> None:
        """Note the data of the failing step: `values` are of it, whatever is run after it."""
        if data.iterations:
            self._failing = data.iterations[-1]
            self._begun_with = {**self._failing.values, **self._failing.batch}

    def measure(self, data: LoopData, make: Callable[[], None]) -> None:
        """Find what the step adds to lists and counters of the user.

        Args:
            data: What its names stood for. One of them may have been bound to another list since.
            make: Makes the step of it.
        """
        self._containers.look(data.values())
        self._measured = data
        if not (self._containers.may_have_grown or self._attributes.may_have_changed):
            return
        self._is_measuring = True
        try:
            make()
        finally:
            self._is_measuring = False

    def begins_with(self, carried: CarriedValues) -> None:
        """Leave the places of `carried` as they are where a run begins: they are put back there."""
        self._containers.known = carried.lists
        self._attributes.known = carried.attributes

    def for_good(self) -> AbstractContextManager[None]:
        """What a run in the block sets on objects of the user stays, unless it fails."""
        return self._attributes.set_for_good()

    def begin_at(self, number: int, data: LoopData, now: Mapping[str, object]) -> LoopData | None:
        """`data` for the body without its first `number` statements, which are left out from now.

        None where it is not known what the names that they bind stood for.

        Args:
            number: How many of the statements are left out.
            data: Of a step with one iteration.
            now: What the names stand for at the update.
        """
        with self._totals_kept(data), kept_files(self._values_in(data)):
            return self.statements.begin_at(number, data, now)

    def begin_first(self) -> None:
        """No statement of the body is left out."""
        self._code.leave_none_out()

    def _note_other_lists(self, data: LoopData) -> None:
        """Names may stand for other lists in another step; they have grown by as much in it."""
        for iteration, measured in zip(data.iterations, self._measured.iterations, strict=False):
            for name, value in iteration.values.items():
                self._containers.add_as(measured.values.get(name), value)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """Objects of the user begin as before the step; after the block they are put back."""
        with contextlib.ExitStack() as stack:
            for part in (self._containers, self._attributes):
                stack.enter_context(part.measured() if self._is_measuring else part.kept())
            yield

    def _values_in(self, data: LoopData) -> Iterator[object]:
        """What the names of the body stand for."""
        yield from self._held.values()
        for iteration in data.iterations:
            yield from iteration.values.values()
        if self.is_of_module:
            yield from [self._globals[n] for n in self.loop.names if n in self._globals]

    @contextlib.contextmanager
    def _totals_kept(self, data: LoopData) -> Iterator[None]:
        """What the body adds up in small tensors, or writes into a batch, is put back after it."""
        held = {**self._held, **{n: v for each in data.iterations for n, v in each.values.items()}}
        values = [held.get(name, self._globals.get(name)) for name in self.loop.written]
        batches = [each.batch for each in data.iterations]
        arrays = [leaf for batch in batches for _, leaf in trees.leaves(batch)]
        parts = [leaf for leaf in arrays if isinstance(leaf, torch.Tensor)]
        is_written = not data.is_sure and any(self.loop.bound_in_header(each) for each in batches)
        versions = private.writes_to(parts)
        with private.unseen():
            totals = [(value, value.clone()) for value in values if is_total(value)]
            copies = [(part, part.clone()) for part in parts]
        try:
            yield
        finally:
            # A batch that the loop had written to is known by the count of writes.
            now = private.writes_to(parts)
            changed = [is_written or a != b for a, b in zip(versions, now, strict=True)]
            with private.unseen(), torch.no_grad():
                for value, copy_of_it in [*totals, *compress(copies, changed)]:
                    value.copy_(copy_of_it)

    def _run(self, iteration: Iteration, carried: Mapping[str, object]) -> Mapping[str, object]:
        """Run the body; the names that it may hand to the next iteration, with their values."""
        values = {**self._held, **iteration.values, **iteration.batch, **carried}
        if iteration is self._failing:
            self._begun_with = values  # with what the iterations before it have made
        if self.is_of_module:
            self._globals.update(values)
            self._globals[TAKE] = taking(iteration)
            exec(self._code.of_module(), self._globals)
            return dict(self._globals)
        values[LOCALS] = locals
        values[TAKE] = taking(iteration)
        code = self._code.of_function(tuple(sorted(values)))
        # Of the original globals, so that its functions are those of the module.
        found = FunctionType(code, self._globals)(**values)
        # A body that returns by itself hands nothing on.
        return found if isinstance(found, dict) else {}


def _named_values(frame: FrameType) -> Iterator[object]:
    """What the names of a frame and of its module stand for."""
    for names in (frame.f_globals, all_values_of(frame)):
        yield from [value for name, value in names.items() if not name.startswith("__")]
