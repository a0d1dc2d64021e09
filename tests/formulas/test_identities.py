"""Every identity in the installed framework: the rewritten form against exact arithmetic.

One example is one run of all identities at the same numbers.
"""

import keras
import numpy as np
from hypothesis import given, settings
from keras import ops
from mpmath import mp

from stayfinite.numerics.identities import IDENTITIES
from stayfinite.repair.engine.evaluate import EXACT, FLOATING, Evaluation, exact_array, to_float64
from stayfinite.repair.engine.patterns import parsed
from stayfinite.repair.formula import walk
from tests.formulas.identities import formula, numbers, operands

BACKEND = keras.backend.backend()
RELATIVE = 1e-3
ROUNDINGS = 256 * 1.2e-7
# Functions that `keras.ops` does not have.
if BACKEND == "jax":
    import jax
    from jax.scipy import special

    OWN = {"erfc": special.erfc, "log_ndtr": special.log_ndtr, "lgamma": special.gammaln}
    OWN["xlogy"] = special.xlogy
elif BACKEND == "torch":
    import torch

    OWN = {
        "erfc": torch.erfc,
        "log_ndtr": torch.special.log_ndtr,
        "lgamma": torch.lgamma,
        "xlogy": torch.xlogy,
    }
else:
    import tensorflow as tf

    OWN = {"erfc": tf.math.erfc, "lgamma": tf.math.lgamma, "xlogy": tf.math.xlogy}


def available(root):
    return all(
        x.op in ("leaf", "constant") or x.op in OWN or hasattr(ops, x.op) for x in walk(root)
    )


def value_of(root, leaves):
    """The formula in the framework."""
    done = dict(leaves)
    for x in walk(root):
        if x not in done:
            parts = [done[part] for part in x.operands]
            made = x.attribute("value") if x.op == "constant" else None
            done[x] = made if x.op == "constant" else applied(x, parts)
    return ops.convert_to_tensor(done[root], "float32")


def applied(x, parts):
    parts = [ops.convert_to_tensor(part, "float32") for part in parts]
    function = OWN.get(x.op) or getattr(ops, x.op)
    return function(*parts, **dict(x.attributes))


def value_and_gradients(root, arrays, seed):
    """What the framework computes, with the gradient of `sum(seed * root)`."""
    keys = list(arrays)
    values = [np.asarray(arrays[key], "float32") for key in keys]
    if BACKEND == "jax":
        found, back = jax.vjp(lambda *x: value_of(root, dict(zip(keys, x, strict=True))), *values)
        return np.asarray(found), [np.asarray(g) for g in back(jax.numpy.asarray(seed))]
    if BACKEND == "torch":
        tensors = [torch.tensor(x, requires_grad=True) for x in values]
        found = value_of(root, dict(zip(keys, tensors, strict=True)))
        grads = torch.autograd.grad(found, tensors, torch.tensor(seed), allow_unused=True)
        found = found.detach().numpy()
    else:
        tensors = [tf.constant(x) for x in values]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            result = value_of(root, dict(zip(keys, tensors, strict=True)))
        grads = tape.gradient(result, tensors, tf.constant(seed))
        found = result.numpy()
    empty = np.zeros_like
    return found, [
        empty(x) if g is None else np.asarray(g) for g, x in zip(grads, values, strict=True)
    ]


def compared(identity, arrays):
    """Whether the framework computed something that could be compared; asserts that it is right."""
    left, right = formula(parsed(identity.left)), formula(parsed(identity.right))
    arrays = {key: np.asarray(x, "float32") for key, x in arrays.items()}
    with mp.workdps(40):
        exact = Evaluation(EXACT, arrays)
        want = to_float64(exact.value(left))
        defined = np.isfinite(want) & (np.abs(want) < 1e30)
        shape = np.shape(exact.value(right))
        if not defined.all() or shape != want.shape or not available(right):
            return False
        seed = np.linspace(0.5, 1.7, want.size).reshape(want.shape).astype("float32")
        slopes = exact.gradients(left, exact_array(seed), tuple(arrays))
    found, grads = value_and_gradients(right, arrays, seed)
    # What the roundings of operands and terms may do: sums that cancel have no relative accuracy.
    floating = Evaluation(FLOATING[BACKEND], arrays)
    sizes = floating.magnitudes(right, seed, tuple(arrays))
    moved = sum(float(np.max(sizes[key] * np.abs(x))) for key, x in arrays.items())
    slack = ROUNDINGS * (moved + float(np.max(np.abs(want))))
    assert np.all(np.abs(found - want) <= RELATIVE * np.abs(want) + slack), str(identity)
    for key, gradient in zip(arrays, grads, strict=True):
        slope = to_float64(slopes[key])
        usable = np.isfinite(slope) & (np.abs(slope) < 1e30)
        room = RELATIVE * np.abs(slope) + ROUNDINGS * (
            float(np.max(sizes[key])) + moved / np.abs(arrays[key])
        )
        wrong = usable & ~(np.abs(gradient - slope) <= room)
        assert not wrong.any(), (str(identity), gradient, slope)
    return True


@settings(max_examples=2, deadline=None)
@given(numbers())
def test_every_identity_holds_in_the_framework(drawn):
    num = sum(compared(identity, operands(identity, drawn)) for identity in IDENTITIES)
    assert num > len(IDENTITIES) / 3
