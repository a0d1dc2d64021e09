"""What random operations gave to an eager step, to give it once more when the step is made again.

Without a seed TensorFlow draws from a state that cannot be read, so results are noted, not states.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.tensorflow import private_random

Method = Callable[..., Any]

# Bytes of results that are kept for one step; a step that draws more is not made again with them.
MAX_BYTES = 64 * 2**20


class EagerDraw(NamedTuple):
    """The result of one random operation.

    Attributes:
        kind: The name of the operation.
        value: What it gave.
        lines: The line of each frame of the user's, by its identity.
    """

    kind: str
    value: Any
    lines: dict[int, int]


@contextlib.contextmanager
def given(draws: Sequence[EagerDraw]) -> Iterator[None]:
    """Inside the block, random operations of the same kinds and shapes give `draws` in turn."""
    left = list(draws)

    def giving(kind: str, takes_shape: bool) -> Callable[[Method], Method]:
        def make(plain: Method) -> Method:
            def call(*args: Any, **keywords: Any) -> Any:
                found = next((n for n, draw in enumerate(left) if draw.kind == kind), None)
                if found is None or not _fits(left[found].value, takes_shape, args, keywords):
                    return plain(*args, **keywords)
                return left.pop(found).value

            return call

        return make

    operations = private_random.random_operations()
    with replaced([(o.owner, o.name, giving(o.name, o.takes_shape)) for o in operations]):
        yield


def _fits(value: Any, takes_shape: bool, args: Sequence[Any], keywords: dict[str, Any]) -> bool:
    """Whether a result has the shape that a call asks for, as far as its arguments tell."""
    first = keywords.get("shape") if "shape" in keywords or not args else args[0]
    if isinstance(first, tf.random.Generator):
        first = keywords["shape"] if "shape" in keywords else args[1]
    if first is None:
        return True
    wanted = list(tf.convert_to_tensor(first, tf.int32).numpy()) if takes_shape else first.shape
    return list(value.shape) == list(wanted)
