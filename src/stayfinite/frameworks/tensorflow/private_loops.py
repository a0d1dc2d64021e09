"""The loop in which Keras makes several steps of a call; the forms of its results are private."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def once_in_loop(function: Callable[[Any], dict[str, Any]]) -> Callable[[Any], Any]:
    """`function`, called in a loop of one turn; it returns a `tf.experimental.Optional`.

    Keras makes several steps of a call in such a loop, which the optimizer of TensorFlow treats
    otherwise than a graph: on some processors with other last digits.
    """

    def in_loop(data: Any) -> Any:
        given = tf.experimental.Optional.from_value(data)
        # Its form is known when the loop is traced.
        empty = tf.experimental.Optional.empty(None)

        def is_due(number: Any) -> Any:
            return tf.logical_and(tf.less(number, 1), given.has_value())

        def called() -> Any:
            result = tf.experimental.Optional.from_value(function(given.get_value()))
            empty._element_spec = result.element_spec
            return result

        def turn(number: Any, before: Any) -> Any:
            def unchanged() -> Any:
                before._element_spec = empty._element_spec
                return before

            return number + 1, tf.cond(is_due(number), called, unchanged)

        start = (tf.constant(0), empty)
        _, result = tf.while_loop(lambda number, _: is_due(number), turn, start)
        result._element_spec = empty.element_spec
        return result

    return in_loop
