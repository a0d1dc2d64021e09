"""What a compiled step returns with its batch: one dictionary, the form that costs least.

TensorFlow builds nested results in Python. For each tuple in them that takes longer than to return
the tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


class StepOutputs:
    """The forms of the batches for which a step was traced."""

    def __init__(self) -> None:
        self._forms: list[_Form] = []

    def joined(self, logs: dict[str, Any], data: Any) -> dict[str, Any]:
        """Logs and batch in one dictionary; called while a step is traced or run eagerly."""
        form = _Form(data, len(self._forms))
        same = next((known for known in self._forms if known.is_like(form)), None)
        if same is None:
            self._forms.append(form)
        else:
            form = same
        leaves = [leaf for leaf in tf.nest.flatten(data) if leaf is not None]
        return {**logs, **dict(zip(form.keys, leaves, strict=True))}

    def parted(self, outputs: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """Logs and batch of what the step has returned."""
        for form in self._forms:
            if form.keys[0] in outputs:
                break
        return outputs, form.packed([outputs.pop(key) for key in form.keys])


class _Form:
    """The structure of a batch, and the names of its tensors."""

    def __init__(self, data: Any, number: int) -> None:
        flat = tf.nest.flatten(data)
        self._structure = tf.nest.map_structure(lambda leaf: leaf is not None, data)
        self._present = [leaf is not None for leaf in flat]
        self._is_flat = type(data) is tuple and all(
            leaf is each for leaf, each in zip(data, flat, strict=False)
        )
        count = sum(self._present)
        self.keys = [f"stayfinite batch {number} {position}" for position in range(count)]

    def is_like(self, other: _Form) -> bool:
        """Whether the batches have the same structure."""
        return bool(self._structure == other._structure)

    def packed(self, leaves: Sequence[Any]) -> Any:
        following = iter(leaves)
        flat = [next(following) if present else None for present in self._present]
        return tuple(flat) if self._is_flat else tf.nest.pack_sequence_as(self._structure, flat)
