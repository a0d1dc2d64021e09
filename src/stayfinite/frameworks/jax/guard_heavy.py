"""Steps of a heavy state on JAX: the train function of Keras, to which the state is donated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks import heavy
from stayfinite.frameworks.heavy_state import MAX_WRITTEN_BYTES, HeavyTraining, Writes
from stayfinite.frameworks.heavy_steps import HeavySteps
from stayfinite.frameworks.jax import guard_step
from stayfinite.frameworks.jax.host_data import LateScalar, has_finite_square, is_finite
from stayfinite.frameworks.jax.state import state_variables
from stayfinite.frameworks.jax.state_copy import StateCopy, is_on_cpu
from stayfinite.frameworks.optimizers import learning_rate_of
from stayfinite.frameworks.recorded_steps import RecordedBatch


class JaxHeavySteps(HeavySteps):
    """Makes the steps of one training by the train function of Keras."""

    def __init__(self, training: HeavyTraining) -> None:
        super().__init__(training.num_bytes)
        self._training = training
        self._snapshot = StateCopy(training.host_copies())
        self._structure: Any = None
        # By the structure of a state, the positions of the leaves that are in the snapshot.
        self._in_snapshot: dict[Any, list[int]] = {}
        # The other leaves, while steps are made again.
        self._unchanged: dict[int, Any] = {}
        # The positions of the leaves that a bad step may leave non-finite, and the types of all.
        self._judged: list[int] = []
        self._dtypes: list[Any] = []
        self._held: list[Any] | None = []
        # What the last step returned.
        self._new: Any = None

    @property
    def state(self) -> Any:
        """The present state, as a train function takes it."""
        return jax.tree.unflatten(self._structure, self._leaves)

    @property
    def _leaves(self) -> list[Any]:
        # Taken apart when they are needed: in each step it would take as long as the rest of it.
        if self._held is None:
            self._held = jax.tree.leaves(self._new)
        return self._held

    @_leaves.setter
    def _leaves(self, leaves: list[Any]) -> None:
        self._held, self._new = leaves, None

    def begins_finite(self, state: Any) -> bool:
        """Whether a state is finite. If not, what a step leaves as it is would count as bad."""
        leaves = jax.tree.leaves(state[:3])
        self._judged = self._positions_judged(leaves)
        return _is_finite([leaves[position] for position in self._judged])

    def run(self, state: Any, recorded: RecordedBatch, data: object) -> Any:
        """Make a step: what the train function of Keras returns."""
        if self.has_window and state is self._new:
            self.begin_step({})
        else:
            self._begin_anew(state)
        logs, new = self._training.plain(state, iter([data]))
        self._held, self._new = None, new
        self.end_step(recorded, LateScalar(logs["loss"]))
        return logs, new

    def took(self, state: Any) -> None:
        """Steps were made up to `state`, which `end_series` will tell."""
        self._held, self._new = None, state

    def _begin_anew(self, state: Any) -> None:
        """Begin a step on a state that other code may have changed."""
        leaves, structure = jax.tree.flatten(state)
        # A variable that is frozen since the last step has another place in the state.
        is_alike = self._structure is not None and structure == self._structure
        writes = self._written_to(leaves) if is_alike and self.has_window else None
        self._leaves, self._structure = leaves, structure
        lasting = leaves[: sum([len(group) for group in state[:3]])]
        dtypes = [leaf.dtype for leaf in lasting]
        if not is_alike or dtypes != self._dtypes:
            self._judged, self._dtypes = self._positions_judged(lasting), dtypes
        self.begin_step(writes)

    def _written_to(self, leaves: list[Any]) -> Writes | None:
        """The leaves that are not those of the last step."""
        pairs = enumerate(zip(leaves, self._leaves, strict=True))
        changed = [position for position, (leaf, before) in pairs if leaf is not before]
        if sum(leaves[position].nbytes for position in changed) > MAX_WRITTEN_BYTES:
            return None
        return {position: np.array(leaves[position]) for position in changed}

    def forget(self) -> None:
        """Begin a new window with the next step."""
        super().forget()
        self._snapshot, self._unchanged = StateCopy(self._training.host_copies()), {}

    def is_used_up(self) -> bool:
        """Whether a step that did not end has taken the arrays of the present state."""
        return any(leaf.is_deleted() for leaf in self._leaves)

    def wait(self) -> None:
        """Until the device has computed the present state."""
        jax.block_until_ready(self._leaves)

    @property
    def snapshot_bytes(self) -> int:
        """The size of the snapshot, on host or device."""
        return self._snapshot.num_bytes

    @property
    def is_snapshot_in_file(self) -> bool:
        """Whether the snapshot takes no memory of the process."""
        return self._snapshot.is_in_file

    def copy(self) -> None:
        """Take a snapshot of the present state."""
        leaves = self._leaves
        self._snapshot.take([leaves[position] for position in self._copied(len(leaves))])

    def _copied(self, number: int) -> Sequence[int]:
        """The positions of the leaves in the snapshot, of `number` leaves."""
        return self._in_snapshot.get(self._structure, range(number))

    def traced(self, old: Any, new: Any, present: Any) -> None:
        """A step was traced, and is about to be made for the first time.

        A large leaf that it returns as it was given, as a frozen weight, is not kept in the
        snapshot. Other code may write to a small one within a window.

        Args:
            old: The traced state that the step was given.
            new: The traced state that it returns.
            present: The state that it is made on.
        """
        leaves, structure = jax.tree.leaves(present), self._structure
        triples = zip(jax.tree.leaves(old), jax.tree.leaves(new), leaves, strict=True)
        copied = [
            position
            for position, (one, other, leaf) in enumerate(triples)
            if one is not other or leaf.nbytes <= MAX_WRITTEN_BYTES
        ]
        before = self._in_snapshot.get(structure)
        if before is None:
            self._in_snapshot[structure] = copied
            self._snapshot.keep_only(copied)
        else:
            # No step before has changed these.
            others = [position for position in copied if position not in before]
            self._in_snapshot[structure] = before + others
            self._snapshot.add([leaves[position] for position in others])

    def restore(self) -> None:
        """Make the snapshot the present state."""
        restored = self._snapshot.restored()
        number = len(restored) + len(self._unchanged)
        leaves = dict(zip(self._copied(number), restored, strict=True))
        leaves |= {position: jnp.array(leaf) for position, leaf in self._unchanged.items()}
        self._leaves = [leaves[position] for position in range(number)]

    def write(self, writes: Writes) -> None:
        """Replace leaves."""
        for position, value in writes.items():
            self._leaves[position] = jnp.array(value)

    def make(self, data: object) -> LateScalar:
        """Make a step from the present state on; returns the mean of the loss."""
        logs, new = self._training.plain(self.state, iter([data]))
        self._leaves = jax.tree.leaves(new)
        return LateScalar(logs["loss"])

    def is_finite(self) -> bool:
        """Whether the present state is finite, metrics left out."""
        leaves = self._leaves
        changed = set(self._copied(len(leaves)))
        return _is_finite([leaves[each] for each in self._judged if each in changed])

    def _positions_judged(self, lasting: list[Any]) -> list[int]:
        """Without integers, random keys and the learning rate, which no step changes."""
        subject = self._training.subject
        rate = learning_rate_of(subject.optimizers[0])
        variables = [variable for group in state_variables(subject)[:3] for variable in group]
        return [
            position
            for position, (leaf, variable) in enumerate(zip(lasting, variables, strict=True))
            if variable is not rate and jnp.issubdtype(leaf.dtype, jnp.inexact)
        ]

    def is_bad(self, data: object) -> bool:
        """Make a step on copies, with the sentinel."""
        return self._training.fails(data)

    def set_aside(self) -> list[Any]:
        """The leaves of the present state."""
        self._hold_unchanged()
        return self._leaves

    def take_back(self, state: Any) -> None:
        """Make what was set aside the present state again."""
        self._leaves, self._unchanged = state, {}

    def drop(self) -> None:
        """Delete the arrays of the present state, which `fit` still refers to."""
        self._hold_unchanged()
        for position, leaf in enumerate(self._leaves):
            if position not in self._unchanged:
                leaf.delete()

    def _hold_unchanged(self) -> None:
        positions = range(len(self._leaves))
        unchanged = set(positions) - set(self._copied(len(positions)))
        self._unchanged = {position: self._leaves[position] for position in unchanged}


def _is_finite(leaves: list[Any]) -> bool:
    if not leaves:
        return True
    if is_on_cpu(leaves) and sum([leaf.nbytes for leaf in leaves]) < heavy.MIN_STATE_BYTES:
        # Nothing has to be compiled, and no array is copied.
        with np.errstate(all="ignore"):
            return all(has_finite_square(leaf) or is_finite(leaf) for leaf in leaves)
    return bool(_has_finite_squares(leaves)) or bool(_all_finite(leaves))


@jax.jit
def _has_finite_squares(leaves: list[Any]) -> Any:
    """Whether the sum of all squares is finite: faster than `_all_finite`, and may overflow."""
    floating = [leaf.ravel() for leaf in leaves]
    wide = [jnp.promote_types(leaf.dtype, jnp.float32) for leaf in floating]
    squares = [
        jnp.vdot(leaf, leaf, preferred_element_type=dtype).real
        for leaf, dtype in zip(floating, wide, strict=True)
    ]
    return jnp.isfinite(sum(squares))


@jax.jit
def _all_finite(leaves: list[Any]) -> Any:
    return guard_step.all_finite(leaves)
