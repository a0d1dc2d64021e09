"""A model made again of its config. The config may be untrusted, so it must not hold code.

`keras.saving.deserialize_keras_object` imports modules and calls functions that a config names. So
a config is used only if every object in it is a class of Keras that a list allows, by the name
under which Keras exports it.
"""

from __future__ import annotations

import contextlib
import math
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from stayfinite.errors import UsageError
from stayfinite.files import limits
from stayfinite.frameworks.keras import private as keras_private

_HOMES = (
    "keras.constraints",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.layers",
    "keras.losses",
    "keras.metrics",
    "keras.optimizers",
    "keras.optimizers.schedules",
    "keras.regularizers",
)
# Classes that are exported elsewhere, and those of operations in a functional model, which are not
# exported. Those of `keras.src.ops.core` take functions, but for `Cast`, which Keras 3.8 puts where
# an operation of a model in half precision gets its inputs.
_SINGLE = frozenset(
    {
        ("keras", "DTypePolicy"),
        ("keras", "Sequential"),
        ("keras.random", "SeedGenerator"),
        ("keras.src.models.functional", "Functional"),
        ("keras.src.ops.core", "Cast"),
    }
)
_OPERATIONS = ("image", "linalg", "math", "nn", "numpy")
_POLICIES = (
    "bfloat16",
    "float16",
    "float32",
    "float64",
    "mixed_bfloat16",
    "mixed_float16",
)
_OPTIMIZERS_OF_TORCH = "keras.src.backend.torch.optimizers."
# They hold code, or read a file that their config names.
_REFUSED = frozenset(
    {
        "FlaxLayer",
        "IntegerLookup",
        "JaxLayer",
        "Lambda",
        "StringLookup",
        "TFSMLayer",
        "TextVectorization",
        "TorchModuleWrapper",
    }
)
# A `KerasTensor` in the graph of a functional model, and values.
_VALUES = frozenset({"__keras_tensor__", "__numpy__", "__tensor__"})


class NotRebuildableError(ValueError):
    """The config names something that is not an allowed class of Keras; the message is its name."""


def config_of(model: Any) -> dict[str, object] | None:
    """The config of a model, with that of its `compile`; None if it needs code of the user.

    `model` is what Keras serializes; `dtype_policy`, the name of the policy of the model, which
    decides whether `compile` scales the loss, is not in it for each kind of model.

    Raises:
        Exception: what `get_config` of the classes of the user raises.
    """
    if type(model) is not keras.Sequential and not type(model).__module__.startswith("keras."):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a lambda, which the user has not asked to save
        config: dict[str, object] = keras.saving.serialize_keras_object(model)
    for part in _objects(config):
        # On PyTorch, Keras exports subclasses under the names of its optimizers.
        if str(part.get("module")).startswith(_OPTIMIZERS_OF_TORCH):
            part.update(module="keras.optimizers", registered_name=None)
        if part is not config:
            # A layer that is built by itself has variables of other paths than inside its model.
            part.pop("build_config", None)
    try:
        check(config)
    except NotRebuildableError:
        return None
    return {"model": config, "dtype_policy": model.dtype_policy.name}


def check(config: object) -> None:
    """Check that a config names allowed classes of Keras only.

    Raises:
        NotRebuildableError: it names something else.
    """
    for part in _objects(config):
        _check_object(part)


def _objects(config: object) -> Iterator[dict[str, Any]]:
    """Every object that a config describes, the outermost first."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value


def _check_object(value: dict[Any, Any]) -> None:
    name, module = value["class_name"], value.get("module")
    if name in _VALUES and module is None:
        return
    registered = value.get("registered_name")
    if not isinstance(name, str) or registered not in (None, name) or not _is_allowed(module, name):
        raise NotRebuildableError(f"{module}.{registered or name}")


def _is_allowed(module: object, name: str) -> bool:
    if not isinstance(module, str) or name in _REFUSED:
        return False
    if (module, name) in _SINGLE:
        return True
    if module in _HOMES:
        owner: Any = keras
        for part in module.split(".")[1:]:
            owner = getattr(owner, part)
        # `vars`, because a module could find other names on demand.
        return isinstance(vars(owner).get(name), type)
    kind = vars(sys.modules[module]).get(name) if module in _modules_of_operations() else None
    return isinstance(kind, type) and issubclass(kind, keras.Operation)


def _modules_of_operations() -> set[str]:
    return {f"keras.src.ops.{name}" for name in _OPERATIONS} & sys.modules.keys()


def model_of(config: dict[str, object], num_values: int, data: object, num_samples: int) -> Any:
    """The compiled model of a config, built for a batch.

    Args:
        config: As `config_of` made it, or anything that a stranger wrote.
        num_values: How many values its weights have at most; a layer that wants more is refused
            before it allocates them.
        data: The batch as the train step takes it.
        num_samples: Samples of the batch.

    Raises:
        NotRebuildableError: it names something that is not an allowed class of Keras.
        UsageError: it wants more memory than the batch and the state of the incident have use for.
        Exception: what Keras raises for a config with wrong values.
    """
    described = config.get("model")
    check(described)
    with _at_most(num_values), _policy(config.get("dtype_policy")):
        model = keras.saving.deserialize_keras_object(described, safe_mode=True)
        if not isinstance(model, keras.Model) or model.optimizer is None:
            raise UsageError("the config in the incident is not that of a compiled model")
        keras_private.symbolic_build(model, data)
    for operation in getattr(model, "operations", model.layers):
        for tensor in keras.tree.flatten(operation.output):
            if math.prod(size or num_samples for size in tensor.shape) > limits.LAYER_OUTPUT:
                raise UsageError(
                    f"the output of {operation.name!r} in the config of the incident has the shape "
                    f"{tensor.shape}, more than {limits.LAYER_OUTPUT:,} values"
                )
    return model


@contextlib.contextmanager
def _policy(name: object) -> Iterator[None]:
    """Models that are made in the block have the dtype policy `name`."""
    before = keras.config.dtype_policy()
    if name in _POLICIES:
        keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def _at_most(num_values: int) -> Iterator[None]:
    """Inside the block, layers may make weights of so many values in all."""
    plain = keras.layers.Layer.add_weight
    left = num_values

    def add_weight(layer: Any, shape: Any = None, *args: Any, **options: Any) -> Any:
        nonlocal left
        sizes = (shape,) if isinstance(shape, int) else tuple(shape or ())
        left -= math.prod(size or 1 for size in sizes)
        if left < 0:
            raise UsageError(
                f"the model of the config has more weights than the {num_values:,} values of the "
                "saved state"
            )
        return plain(layer, shape, *args, **options)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = plain
