"""Steps of JAX whose arrays are divided over several devices."""

from __future__ import annotations

import json
import os

import pytest

from tests import warm

if os.environ.get("KERAS_BACKEND") != "jax":
    pytest.skip("arrays that JAX divides over devices", allow_module_level=True)

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


def test_a_step_on_several_devices_is_explained_on_one(tmp_path):
    done = warm.python(tmp_path, SCRIPT)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == ["singular-gradient", 2, [6], True]
