"""A patch of the user's file, and the running program with it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from stayfinite.experiments.moved_activation import MovedActivation
from stayfinite.experiments.rewritings import Rewriting
from stayfinite.experiments.source_fix import Description
from stayfinite.repair import (
    ONE_FOR_ZERO,
    SHIFT,
    Edit,
    KnownFunctions,
    Patch,
    Remade,
    RepairError,
    SourceFile,
    TemplateEdit,
    put_in_place,
    swapped,
)

# Kinds of edits by templates that compute a part in float32.
_CASTS = {"float32", "cast", "island"}
# Functions whose result or derivative jumps with an operand.
_CHOICES = {"where", "maximum", "minimum", "clip"}


@dataclass(frozen=True)
class AppliedPatch:
    """A patch with what its edits do, and the library objects that some of them remade.

    `kinds` are those of the edits by templates.
    """

    patch: Patch
    descriptions: tuple[Description, ...] = ()
    remade: tuple[Remade, ...] = ()
    rewriting: Rewriting | None = None
    kinds: tuple[str, ...] = ()

    @classmethod
    def start(cls, source: SourceFile) -> AppliedPatch:
        """The patch of `source` that changes nothing yet."""
        return cls(Patch.start(source))

    def rewritten(self, rewriting: Rewriting) -> AppliedPatch:
        """This patch and a rewriting after it."""
        descriptions = (*self.descriptions, rewriting.fact)
        return AppliedPatch(self.patch.then(rewriting.edit), descriptions, self.remade, rewriting)

    def then(
        self, edit: Edit, description: Description, remade: tuple[Remade, ...] = ()
    ) -> AppliedPatch:
        """This patch and one more edit."""
        return AppliedPatch(
            self.patch.then(edit), (*self.descriptions, description), (*self.remade, *remade)
        )

    def edited(self, edit: TemplateEdit, made: Remade | None) -> AppliedPatch:
        """This patch and one more edit by a template."""
        applied = self.then(edit, edit.fact, () if made is None else (made,))
        return dataclasses.replace(applied, kinds=(*self.kinds, edit.kind))

    def with_tighter_bounds(self) -> AppliedPatch | None:
        """This patch with far smaller bounds of its templates; None where it has none."""
        tighter = self.patch.with_tighter_bounds() if self._bounds_by_templates else None
        return None if tighter is None else dataclasses.replace(self, patch=tighter)

    @property
    def _bounds_by_templates(self) -> bool:
        return self.rewriting is None and bool(set(self.kinds) - _CASTS)

    @property
    def ends_in_cast(self) -> bool:
        """Whether the last edit computes a part in float32."""
        return bool(self.kinds) and self.kinds[-1] in _CASTS

    @property
    def only_casts(self) -> bool:
        """Whether dtypes are changed and nothing else, so that exact arithmetic gives the same."""
        return len(self.kinds) == len(self.descriptions) and set(self.kinds) <= _CASTS

    @property
    def shifts(self) -> bool:
        """Whether it adds a number that the program does not have, which changes every value."""
        return SHIFT in self.kinds

    @property
    def replaces(self) -> bool:
        """Whether it puts 1 in the place of a 0, which bounds nothing."""
        return ONE_FOR_ZERO in self.kinds

    @property
    def compares(self) -> bool:
        """Whether it chooses by a comparison, as `where` and clamps do."""
        if self.rewriting is not None and _CHOICES & set(self.rewriting.fact.functions):
            return True
        return bool(set(self.kinds) - _CASTS)

    @property
    def clamps(self) -> bool:
        """Whether it may bound a value, which is no other form of the same formula."""
        is_bound = self.rewriting is not None and self.rewriting.bounds
        return is_bound or bool(set(self.kinds) - _CASTS)

    @property
    def moves_activation(self) -> bool:
        """Whether the network gives the operand of its last activation."""
        return any(isinstance(each, MovedActivation) for each in self.descriptions)

    @property
    def _changes_functions(self) -> bool:
        """Whether it changes more than the lines that made the remade objects."""
        return self.moves_activation or len(self.remade) < max(len(self.descriptions), 1)

    @contextlib.contextmanager
    def in_place(self, known: KnownFunctions | None = None) -> Iterator[None]:
        """Run the patched code in the place of the running code inside the block.

        `known` is for a search that tries several patches.
        """
        with contextlib.ExitStack() as stack:
            for made in self.remade:
                stack.enter_context(made.in_place())
            if self._changes_functions:
                stack.enter_context(
                    swapped(self.patch, but_module_code=bool(self.remade), known=known)
                )
            yield

    def put_in_place(self) -> bool:
        """Have the program run the patched code from now on; False where it cannot."""
        if self.moves_activation:
            return False  # the rest of the program would get logits from `predict`
        # Without the formula, which holds the failing step: this stays as long as the program.
        lasting = dataclasses.replace(self, rewriting=None)
        try:
            put_in_place(self.patch, lasting.in_place)
        except RepairError:
            return False
        return True
