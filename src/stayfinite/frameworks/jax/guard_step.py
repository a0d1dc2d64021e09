"""The sentinel: a finiteness flag in the compiled step. After a bad step no update is applied.

Keras compiles `model.train_step`. Here it compiles `guarded_step` instead, whose state has one
more entry, the sentinel. Loss, gradients and new state are reduced to one boolean on the device;
the old state is kept when it is false, and the number of the first bad step is latched, so no
later update is applied either, however late the host reads the flag.

The choice is between two finished states, which takes memory for both. Cheaper ways were tried,
and changed the weights of a healthy training in the last bit: with `jnp.where`, and with the
update inside the `cond`, XLA fuses the update with other operations than it does without a guard,
and so rounds it differently (tests/guard/test_bit_equality.py).

`lax.cond` copies the state that it chooses. Where the old state is donated, the result goes into
its memory, and that copy is needed. Where it is not, `lax.while_loop` begins with the new state
and has one turn, that gives the old one, after a bad step only: a finite step copies nothing. Its
condition reads the new state: read in front of the loop, it makes XLA for CPUs run the operations
of a large step in an order that leaves cores without work (51 layers on 2 cores: 11 % of the step).
JAX 0.6.0 loses that turn of a program that comes from its compilation cache on disk, and the bad
state stays; 0.10.2 and 0.12 do not (tests/guard/test_plain_jax.py with a filled cache).

To read an array takes much of the time of the check on a CPU. So gradients and slots that cannot be
non-finite without marking another array that is read are left out (marks.py), and large arrays are
read as products of a matrix and a vector, which no reduction of XLA is as fast as.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.library import StepLibrary

# One array, because each argument of a compiled step costs about a microsecond.
Sentinel = Any
_STEPS, _FIRST_BAD = 0, 1
_HAS_SAFE_LOOPS = jax.__version_info__ >= (0, 10)
# Elements of a matrix from which on it is read as a product, and of its rows and columns.
_LARGE, _LONG = 2**14, 16


@dataclass(frozen=True)
class ArraysRead:
    """The arrays of a step that show whether all of them are finite.

    Attributes:
        num_gradients: How many gradients the step has.
        gradients: The numbers of those to be read.
        state: The positions of the new state to be read, counted as those of `Subject` are.
    """

    num_gradients: int
    gradients: tuple[int, ...]
    state: tuple[int, ...]


def new_sentinel() -> Sentinel:
    """A sentinel that has seen no step: how many it saw, and the first bad one or -1."""
    return jnp.asarray([0, -1], "int32")


def all_finite(tree: Any) -> Any:
    """One boolean scalar: is every floating-point element in `tree` finite?"""
    verdicts = [peak < _bits_of(jnp.inf, dtype) for peak, dtype in _peaks(tree)]
    return jnp.all(jnp.stack(verdicts)) if verdicts else jnp.asarray(True)


def _peaks(tree: Any) -> list[Any]:
    """The largest magnitudes in the floating-point leaves of `tree`, of several leaves each.

    A magnitude is an integer, the bits of a floating-point number without their sign: they are
    ordered as the numbers are, and infinity and NaN come last. The largest integer is found faster
    than a conjunction. Of other dtypes it is 0 where all is finite, else that of infinity.
    """
    alike: dict[Any, list[Any]] = {}
    for leaf in jax.tree.leaves(tree):
        dtype = jnp.result_type(leaf)
        if jnp.issubdtype(dtype, jnp.inexact) and jnp.size(leaf):
            alike.setdefault((jnp.shape(leaf), dtype), []).append(jnp.asarray(leaf, dtype))
    # Arrays of one shape are reduced together: on small networks the number of loops counts.
    return [_peak(arrays) for arrays in alike.values()]


def _peak(arrays: list[Any]) -> tuple[Any, Any]:
    """The largest magnitude in arrays of one dtype, and that dtype."""
    dtype = arrays[0].dtype
    if dtype not in (jnp.float32, jnp.float64, jnp.float16, jnp.bfloat16):
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(array)) for array in arrays]))
        return jnp.where(finite, 0, _bits_of(jnp.inf, jnp.dtype("float32"))), jnp.dtype("float32")
    bits = _bits_of(0.0, dtype).dtype
    sign = np.asarray(np.iinfo(bits).max, bits)
    largest = jnp.asarray(0, bits)
    for array in arrays:
        largest = jnp.maximum(largest, jax.lax.bitcast_convert_type(array, bits) & sign)
    return jnp.max(largest), dtype


def _bits_of(number: float, dtype: Any) -> Any:
    bits = jnp.dtype(f"int{8 * dtype.itemsize}")
    return jax.lax.bitcast_convert_type(jnp.asarray(number, dtype), bits)


def shortened(array: Any) -> Any:
    """`array`, or fewer numbers that are all finite if and only if all of it is.

    They are sums of its rows times a power of two that leaves room for the largest numbers. Of a
    gradient that XLA does not store, this would change how it is computed; of a result it does not.
    """
    is_large = array.dtype in (jnp.float32, jnp.float64) and array.size >= _LARGE
    if not is_large or jax.default_backend() != "cpu":
        return array
    for length in (array.shape[-1], array.size // array.shape[0]):
        if min(length, array.size // length) >= _LONG:
            part = 0.5 ** (1 + math.ceil(math.log2(length)))
            return array.reshape(-1, length) @ jnp.full(length, part, array.dtype)
    return array


def guarded(
    train_step: Callable[..., Any],
    library: StepLibrary,
    loss_scales: Callable[[], list[int]] = list,
    may_keep_infinity: Callable[[], list[int]] = list,
    arrays_read: Callable[[], ArraysRead | None] = lambda: None,
    *,
    keeps_metrics: bool = False,
    is_donated: bool = True,
) -> Callable[..., Any]:
    """`train_step` with the sentinel as a fifth entry of its state.

    `loss_scales` and `may_keep_infinity` return positions in the state, as those of `StepLibrary`
    and of `Subject` do; they are called when the step is compiled, as is `arrays_read`: what to
    read, or None for everything. With `keeps_metrics` a bad step leaves the metrics as they were,
    too. `is_donated` says whether the compiled step may write to the memory of the old state.

    Returns `((logs, report), state)`; `report` is the step number of the first bad step or -1,
    as an array of its own, because the sentinel in the state is donated to the next step.
    """

    def guarded_step(state: Any, data: Any) -> Any:
        old, sentinel = tuple(state[:4]), state[4]
        grads: list[Any] = []
        with library.watched(lambda values, _: grads.extend(values)) as seen:
            logs, new = train_step(old, data)
        loss = seen.of(logs)
        if not library.judges_loss:
            logs, loss = {**logs, "loss": loss}, None
        *lasting, metrics = new
        good = sentinel[_FIRST_BAD] < 0
        reading = arrays_read()
        if reading is not None and reading.num_gradients != len(grads):
            reading = None
        if reading is not None:
            grads = [grads[number] for number in reading.gradients]
        ok = good & all_finite((loss, grads))
        for position in loss_scales():
            ok &= ~library.has_collapsed(old[2][position], new[2][position])
        infinities = may_keep_infinity()

        def read(state: Any) -> list[Any]:
            judged = _without_kept_infinities(state, old, infinities)
            if reading is None:
                return _changed(judged, old[:3])
            variables = [*judged[0], *judged[1]]
            changed = _changed([variables[position] for position in reading.state], old[:3])
            return [shortened(array) for array in changed]

        # Metrics keep the bad step, so that they agree with the progress bar.
        number = 4 if keeps_metrics else 3
        ok, kept = _choose(ok, read, [*lasting, metrics][:number], list(old[:number]), is_donated)
        kept = (*kept, metrics)[:4]
        first_bad = jnp.where(good & ~ok, sentinel[_STEPS], sentinel[_FIRST_BAD])
        after = jnp.stack([sentinel[_STEPS] + 1, first_bad])
        return (logs, first_bad), (*kept, after)

    return guarded_step


def _choose(
    ok: Any, read: Callable[[Any], list[Any]], new: Any, old: Any, is_donated: bool
) -> tuple[Any, Any]:
    """Whether `ok` holds and what `read` gives of `new` is finite; then `new`, else `old`."""
    if not private.is_tracing((ok, new, old)):
        ok = ok & all_finite(read(new))
        return ok, (new if bool(ok) else old)
    # A train step may return lists for tuples, or other types; both states have to be of the same
    # structure. Weak types are those of the new one, as they decide what later steps compute.
    leaves, treedef = jax.tree.flatten(new)
    pairs = list(zip(leaves, jax.tree.leaves(old), strict=True))
    changed = [n for n, (one, other) in enumerate(pairs) if one is not other]
    like = [pairs[n][1] for n in changed]
    values = [
        jnp.asarray(leaves[n], o.dtype) if leaves[n].dtype != o.dtype else leaves[n]
        for n, o in zip(changed, like, strict=True)
    ]
    like = [_typed_as(value, o) for value, o in zip(values, like, strict=True)]

    def whole(values: Any) -> Any:
        placed = dict(zip(changed, values, strict=True))
        return jax.tree.unflatten(treedef, [placed.get(n, leaf) for n, leaf in enumerate(leaves)])

    if is_donated or not _HAS_SAFE_LOOPS:
        ok = ok & all_finite(read(new))
        return ok, whole(jax.lax.cond(ok, lambda n, _: n, lambda _, o: o, values, like))

    def is_bad(carry: Any) -> Any:
        is_old, values = carry
        return ~is_old & ~(ok & all_finite(read(whole(values))))

    start = jnp.asarray(False), values
    is_old, chosen = jax.lax.while_loop(is_bad, lambda _: (jnp.asarray(True), like), start)
    return ~is_old, whole(chosen)


def _typed_as(value: Any, array: Any) -> Any:
    """`array`, which has the dtype of `value`, weakly typed if and only if `value` is."""
    is_weak = getattr(value, "weak_type", False)
    if is_weak == getattr(array, "weak_type", False):
        return array
    if not is_weak:
        return jax.lax.convert_element_type(array, array.dtype)
    kinds = (bool, int, float, complex)
    alike = [kind for kind in kinds if jax.dtypes.canonicalize_dtype(kind) == array.dtype]
    return jax.lax.convert_element_type(array, alike[0]) if alike else array


def _without_kept_infinities(new: list[Any], old: Any, positions: list[int]) -> list[Any]:
    """The new state with 0 for infinities that these variables of the model held before."""
    variables, held = [*new[0], *new[1]], [*old[0], *old[1]]
    for position in positions:
        after, before = variables[position], held[position]
        if after is not before and jnp.issubdtype(after.dtype, jnp.floating):
            variables[position] = jnp.where(jnp.isinf(after) & (after == before), 0, after)
    count = len(new[0])
    return [variables[:count], variables[count:], new[2]]


def _changed(new: Any, old: Any) -> list[Any]:
    """The leaves of the new state that are not the old ones: frozen weights are not read."""
    before = {id(leaf) for leaf in jax.tree.leaves(old)}
    return [leaf for leaf in jax.tree.leaves(new) if id(leaf) not in before]
