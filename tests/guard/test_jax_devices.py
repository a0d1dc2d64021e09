"""Steps of JAX whose arrays are divided over several devices."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import stayfinite
from tests import versions, warm

if os.environ.get("KERAS_BACKEND") != "jax":
    pytest.skip("arrays that JAX divides over devices", allow_module_level=True)

import jax
import jax.numpy as jnp

from stayfinite.frameworks.jax.plain.found_steps import JitStep

SCRIPT = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import json
import jax
import jax.numpy as jnp
import numpy as np
import stayfinite
from jax.sharding import Mesh, NamedSharding, PartitionSpec

mesh = Mesh(np.array(jax.devices()), ("data",))
rows, everywhere = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("data",), ()))
scale = jax.device_put(jnp.ones((8, 1)), rows)

def loss_fn(params, x):
    hidden = jax.lax.with_sharding_constraint(x @ params["w"], rows)
    return jnp.mean(jnp.sqrt(jnp.sum((hidden * scale) ** 2, axis=-1)))

@stayfinite.guarded
@jax.jit
def step(params, x):
    gradients = jax.grad(loss_fn)(params, x)
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients)

params = jax.device_put({"w": jnp.ones((3, 2))}, everywhere)
try:
    for number in range(3):
        x = np.random.default_rng(number).normal(size=(8, 3))
        x[6] *= number != 2
        params = step(params, jax.device_put(jnp.asarray(x, "float32"), rows))
    step.check()
except stayfinite.NonFiniteError as error:
    told = error.incident
    found = told.cause.name, told.where.step, told.origin.samples, told.fix.verified
    json.dump(found, open("found.json", "w"))
"""

EACH_ON_ITS_DEVICE = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import functools
import json
import jax
import jax.numpy as jnp
import numpy as np
import stayfinite

@functools.partial(jax.pmap, axis_name="devices")
def step(w, x):
    def loss_fn(w):
        p = jnp.exp(x @ w)
        return -jnp.mean(jnp.log(p / p.sum(-1, keepdims=True))[:, 0])

    return w - 0.1 * jax.lax.pmean(jax.grad(loss_fn)(w), "devices")

guarded = stayfinite.guarded(step)
bare = ours = jnp.ones((2, 3, 2))
try:
    for number in range(3):
        x = np.random.default_rng(number).normal(size=(2, 4, 3)).astype("float32")
        x[1, 3] *= 1e3 if number == 2 else 1
        bare, before = step(bare, x), bare
        ours = guarded(ours, x)
    guarded.check()
except stayfinite.NonFiniteError as error:
    told = error.incident
    same = np.asarray(before).tobytes() == np.asarray(ours).tobytes()
    found = same, told.cause.name, told.where.phase, told.where.step, told.source_line.strip()
    json.dump(found, open("found.json", "w"))
"""


@versions.NO_PMAP
def test_a_step_under_pmap_is_guarded_and_explained(tmp_path):
    done = warm.python(tmp_path, EACH_ON_ITS_DEVICE)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == [True, "overflow", "forward", 2, "p = jnp.exp(x @ w)"]


def test_a_step_on_several_devices_is_explained_on_one(tmp_path):
    done = warm.python(tmp_path, SCRIPT)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == ["singular-gradient", 2, [6], True]


def _step(w, x, power):
    def loss_fn(w):
        return jnp.mean(jnp.abs(x @ w) ** power)

    return w - 0.1 * jax.lax.pmean(jax.grad(loss_fn)(w), "devices")


def _mapped():
    return jax.pmap(_step, axis_name="devices", static_broadcasted_argnums=2)


@versions.NO_PMAP
def test_static_arguments_of_pmap_stay_static_and_its_axis_is_none_of_samples():
    guarded = stayfinite.guarded(_mapped())
    x = np.ones((1, 4, 3), "float32")
    w = guarded(jnp.ones((1, 3)), x, 2)
    x[0, 2, 1] = np.nan
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        guarded(w, x, 3)
        guarded.check()
    told = caught.value.incident
    assert (told.cause.name, told.origin.samples) == ("bad-input", None)
    assert (told.spread.loss, told.spread.first) == ("nan", ("w",))


@versions.NO_PMAP
def test_a_step_under_pmap_keeps_its_axis_where_every_function_is_watched():
    guarded = stayfinite.guarded(JitStep(_mapped(), None, None))
    x = np.ones((1, 4, 3), "float32")
    bare = _mapped()(jnp.ones((1, 3)), x, 2)
    assert np.array_equal(guarded(jnp.ones((1, 3)), x, 2), bare)
