"""Everything around the change stays as the user wrote it."""

import ast
import subprocess
import sys
import textwrap

import pytest

from stayfinite.repair import Facts
from tests.repair.helpers import texts

CASES = {
    "several lines with comments": (
        "singular-gradient",
        """
        from keras import ops as K
        def loss(a, b):
            return K.mean(
                «K.sqrt(
                    K.sum(K.square(a - b),  # distance
                          axis=-1)  # features
                )»
            )
        """,
        """
        from keras import ops as K
        def loss(a, b):
            return K.mean(
                K.sqrt(
                    K.maximum(K.sum(K.square(a - b),  # distance
                          axis=-1), 1e-12)  # features
                )
            )
        """,
    ),
    "parentheses over several lines": (
        "division-by-zero",
        """
        from keras import ops
        y = lambda a, b: «a / (
            a
            + b  # both
        )»
        """,
        """
        from keras import ops
        y = lambda a, b: a / (
            ops.maximum(a
            + b, 1e-7)  # both
        )
        """,
    ),
    "unicode before it on the line": (
        "log-of-zero",
        """
        from keras import ops
        def f(größe, 文): s = '👩‍👧'; return «ops.log(größe)» + 文  # ü
        """,
        """
        from keras import ops
        def f(größe, 文): s = '👩‍👧'; return ops.log(ops.maximum(größe, 1e-7)) + 文  # ü
        """,
    ),
    "tabs and odd spaces": (
        "log-of-zero",
        """
        from keras import ops
        class A:
        \tdef f(self, x):
        \t\treturn\t«ops.log( x )»
        """,
        """
        from keras import ops
        class A:
        \tdef f(self, x):
        \t\treturn\tops.log( ops.maximum(x, 1e-7) )
        """,
    ),
    "a lambda inside a layer": (
        "singular-gradient",
        """
        import keras.ops as K
        d = keras.layers.Lambda(lambda t: «K.norm(t[0]-t[1])»)
        """,
        """
        import keras.ops as K
        d = keras.layers.Lambda(lambda t: K.sqrt(K.maximum(K.sum(K.square(t[0]-t[1])), 1e-12)))
        """,
    ),
    "a nested, decorated function": (
        "overflow",
        """
        import keras.ops as K
        def outer(t):
          @print
          def f(x): return «K.exp(x/t)» ; g = 1
        """,
        """
        import keras.ops as K
        def outer(t):
          @print
          def f(x): return K.exp(K.minimum(x/t, 80.0)) ; g = 1
        """,
    ),
    "a static method and a backslash": (
        "division-by-zero",
        """
        import keras
        class A:
         @staticmethod
         def f(x, y):
          return «x / \\
           y»
        """,
        """
        import keras
        class A:
         @staticmethod
         def f(x, y):
          return x / \\
           keras.ops.maximum(y, 1e-7)
        """,
    ),
    "a chain of methods": (
        "singular-gradient",
        """
        import keras
        def f(x):
            return («x
                    .square()
                    .sqrt()»)
        """,
        """
        import keras
        def f(x):
            return (x
                    .square().clamp(min=1e-12)
                    .sqrt())
        """,
    ),
}


@pytest.mark.parametrize(("mechanism", "before", "after"), CASES.values(), ids=CASES.keys())
def test_only_the_change_is_changed(mechanism, before, after):
    found = texts(textwrap.dedent(before), mechanism, Facts("float32", 0.0, 1.0))[0]
    assert found == textwrap.dedent(after)
    ast.parse(found)


def test_no_framework_is_imported():
    code = (
        "import sys, stayfinite.repair;"
        "print({'keras', 'jax', 'tensorflow', 'torch'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"set()\n"
