"""The leaves of a formula: names, recorded arrays, and unknown values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from stayfinite.repair.extraction.formulas import Formulas, as_constant
from stayfinite.repair.extraction.recorded import RecordedArray, RecordedCall
from stayfinite.repair.extraction.values import Pending, Tensor
from stayfinite.repair.formula import LeafRole, Node, leaf

_VIEWS = frozenset("broadcast_to cast identity reshape".split())


@dataclass
class Leaves:
    """The leaves met so far.

    `recordings` has the recorded array of a node; `known` holds arrays that did not have to
    be looked up. `earlier` are the leaves of the same function before an edit, by name.
    """

    formulas: Formulas
    recordings: dict[Node, RecordedArray] = field(default_factory=dict)
    known: dict[Node, np.ndarray] = field(default_factory=dict)
    earlier: Mapping[str, Node] = field(default_factory=dict)
    _names: dict[str, int] = field(default_factory=dict)
    _arrays: dict[str, list[Node]] = field(default_factory=dict)
    _objects: dict[int, tuple[object, Pending]] = field(default_factory=dict)
    _living: dict[Pending, object] = field(default_factory=dict)

    def named(self, text: str, recording: RecordedArray | None) -> Tensor:
        """A new leaf for the value of `text`."""
        name = self._free(text)
        role = LeafRole.VARIABLE if recording is None else recording.role
        made = self.earlier.get(name) or leaf(name, role)
        if recording is not None:
            self.record(made, recording)
        return Tensor(made)

    def array(self, text: str, value: np.ndarray) -> Tensor:
        """The leaf of an array that is known; one for all equal arrays of the same text."""
        for made in self._arrays.get(text, ()):
            if np.array_equal(self.known[made], value) and self.known[made].dtype == value.dtype:
                return Tensor(made)
        name = self._free(text)
        made = self.earlier.get(name) or leaf(name, _role(value))
        self.known[made] = value
        self._arrays.setdefault(text, []).append(made)
        self.formulas.shapes[made] = value.shape
        self.formulas.dtypes[made] = value.dtype.name
        return Tensor(made)

    def living(self, text: str, value: object) -> Pending:
        """The leaf of a tensor of the program; the same one for each use of the tensor."""
        found = self._objects.get(id(value))
        if found is None:
            found = value, Pending(text)
            self._objects[id(value)] = found
            self._living[found[1]] = value
        return found[1]

    def record(self, node: Node, recording: RecordedArray) -> None:
        """`node` has this recorded array."""
        self.recordings[node] = recording
        if self.formulas.shape(node) is None:
            self.formulas.shapes[node] = recording.shape
        self.formulas.dtypes.setdefault(node, recording.dtype)

    def resolve(self, pending: Pending, recording: RecordedArray | None) -> Tensor:
        """`pending` is a tensor, with this recorded array if it is known."""
        if pending.tensor is None:
            array = self._held_array(pending) if recording is None else None
            pending.tensor = (
                self.named(pending.text, recording)
                if array is None
                else self.array(pending.text, array)
            )
        elif recording is not None and pending.tensor.node not in self.recordings:
            self.record(pending.tensor.node, recording)
        return pending.tensor

    def has_shape(self, pending: Pending, shape: tuple[int, ...], dtype: str) -> None:
        """`pending` is a tensor of this shape and dtype; which array it is, is not known yet."""
        made = self.resolve(pending, None).node
        if self.formulas.shape(made) is None:
            self.formulas.shapes[made] = shape
        self.formulas.dtypes.setdefault(made, dtype)

    def living_shape(self, pending: Pending) -> tuple[int, ...] | None:
        """The shape of a living tensor; None for anything else."""
        shape = getattr(self._living.get(pending), "shape", None)
        return None if shape is None else tuple(shape)

    def is_wrapped(self, node: Node) -> bool:
        """Whether a leaf is a variable around an array of JAX, which is its attribute `value`."""
        return any(
            pending.tensor is not None and pending.tensor.node is node and _is_wrapper(value)
            for pending, value in self._living.items()
        )

    def wraps(self, pending: Pending) -> bool:
        """The same of a value that may not be a tensor yet."""
        return _is_wrapper(self._living.get(pending))

    def _held_array(self, pending: Pending) -> np.ndarray | None:
        """The array of a living tensor that is no weight; None for anything else."""
        value = self._living.get(pending)
        if value is None or hasattr(value, "assign") or getattr(value, "requires_grad", False):
            return None
        try:
            return np.asarray(value)
        except (TypeError, RuntimeError, ValueError):
            return None  # on a device, or of a dtype that NumPy has not

    def match(self, operands: Sequence[object], evaluation: RecordedCall | None) -> None:
        """Find the recorded arrays of those `operands` that are not known yet.

        Of an operation that takes them in the order of its operands. A view that
        changes nothing has no operation on JAX: its array is that of the leaf below it.
        """
        if evaluation is None:
            return
        inputs = list(evaluation.inputs)
        values = {r.value for r in map(self._recording, operands) if r is not None}
        inputs = [recording for recording in inputs if recording.value not in values]
        wanted, others = self._unknown(operands)
        for other in others:
            # A value without a number of its own, such as a broadcast: known by its shape.
            shape = self.formulas.shape(other.node)
            same = [recording for recording in inputs if recording.shape == shape]
            if len(inputs) > len(wanted) and same:
                inputs.remove(same[0])
        if len(inputs) != len(wanted) or (len(wanted) > 1 and not evaluation.is_ordered):
            return
        for found, recording in zip(wanted, inputs, strict=True):
            if isinstance(found, Pending):
                self.resolve(found, recording)
            else:
                self._record_below(found.node, recording)

    def needs_order(self, operands: Sequence[object]) -> bool:
        """Whether the arrays of several `operands` are not known yet."""
        return len(self._unknown(operands)[0]) > 1

    def _unknown(self, operands: Sequence[object]) -> tuple[list[Pending | Tensor], list[Tensor]]:
        """The operands that have to be found, and those that are computed but have no array."""
        wanted: list[Pending | Tensor] = []
        others: list[Tensor] = []
        for operand in dict.fromkeys(o for o in operands if isinstance(o, Pending | Tensor)):
            if isinstance(operand, Pending):
                if operand.tensor is None or operand.tensor.node not in self.recordings:
                    wanted.append(operand)
            elif self._is_view_of_unknown(operand.node):
                wanted.append(operand)
            elif operand.node.op != "constant" and operand.node not in self.recordings:
                others.append(operand)
        return wanted, others

    def operand(self, value: object, text: str) -> Node | None:
        """The node of an operand; None for what is no number and no tensor."""
        if isinstance(value, Tensor):
            return value.node
        if isinstance(value, Pending):
            return self.resolve(value, None).node
        if isinstance(value, np.ndarray):
            return self.living_array(text, value).node
        return as_constant(value)

    def living_array(self, text: str, value: np.ndarray, owner: object = None) -> Tensor:
        """The leaf of an array of the program: of `owner`, else a NumPy array by itself."""
        pending = self.living(text, value if owner is None else owner)
        if pending.tensor is None:
            pending.tensor = self.array(text, value)
        return pending.tensor

    def values(self, fetched: Mapping[int, np.ndarray], node: Node) -> np.ndarray | None:
        """The array of a leaf, from the arrays of its recording."""
        if node in self.known:
            return self.known[node]
        recording = self.recordings.get(node)
        return None if recording is None else fetched.get(recording.value)

    def _is_view_of_unknown(self, node: Node) -> bool:
        """Whether `node` is a view of a leaf of which neither shape nor array is known."""
        below = node
        while below.op in _VIEWS and below not in self.recordings:
            below = below.operands[0]
        is_known = below in self.recordings or below in self.known
        return (
            below is not node
            and below.op == "leaf"
            and not is_known
            and (self.formulas.shape(below) is None)
        )

    def _record_below(self, view: Node, recording: RecordedArray) -> None:
        """The leaf below a `view` that changes nothing has its array, and its shape."""
        while view.op in _VIEWS:
            if self.formulas.shape(view) is None:
                self.formulas.shapes[view] = recording.shape
            view = view.operands[0]
        self.record(view, recording)

    def _recording(self, operand: object) -> RecordedArray | None:
        tensor = operand.tensor if isinstance(operand, Pending) else operand
        return self.recordings.get(tensor.node) if isinstance(tensor, Tensor) else None

    def _free(self, text: str) -> str:
        number = self._names.get(text, 0) + 1
        self._names[text] = number
        return text if number == 1 else f"{text}#{number}"


def _is_wrapper(value: object) -> bool:
    return hasattr(value, "__jax_array__") and hasattr(value, "value")


def _role(value: np.ndarray) -> LeafRole:
    if value.dtype.kind == "b" or (value.size > 1 and np.isin(value, (0.0, 1.0)).all()):
        return LeafRole.MASK
    if value.dtype.kind in "iu":
        return LeafRole.INTEGER
    return LeafRole.DATA
