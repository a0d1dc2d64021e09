"""Spans as the interpreter reports them, so taken from code objects, not written by hand."""

import dis

import pytest

from stayfinite.repair import ExpressionNotFoundError, SourceFile, TextSpan, find_expression

OPERATIONS = ("CALL", "CALL_KW", "BINARY_OP", "UNARY_NEGATIVE", "COMPARE_OP", "BINARY_SUBSCR")


def spans(text, operations=OPERATIONS):
    """The span of each instruction of the named kinds in the code of the first function."""
    namespace = {}
    exec(compile(text, "t.py", "exec"), namespace)
    code = namespace["f"].__code__
    found = []
    for instruction in dis.get_instructions(code):
        if instruction.opname in operations:
            position = instruction.positions
            found.append(
                TextSpan(
                    position.lineno,
                    position.col_offset,
                    position.end_lineno,
                    position.end_col_offset,
                )
            )
    return found


@pytest.mark.parametrize(
    "expression",
    [
        "K.sqrt(x)",
        "x / y",
        "-x",
        "x < y",
        "x[0]",
        "sqrt(x)",
        "x ** 0.5",
        "x.norm()",
        "(x - y).norm(2, dim=-1)",
    ],
)
def test_the_expression_of_an_instruction(expression):
    text = f"def f(x, y, K, sqrt):\n    größe, s = 1, '文'; return 1, {expression}\n"
    span = spans(text)[-1]
    found = find_expression(SourceFile("t.py", text), span)
    assert found.text == expression
    assert found.function == "f"
    assert found.source.span(*found.source.range_of(found.node)) == span


def test_a_call_over_several_lines():
    text = (
        "def f(x, K):\n    return K.sqrt(\n        K.sum(x,\n              axis=-1)  # why\n    )\n"
    )
    outer, inner = sorted(spans(text), key=lambda s: s.line)
    assert find_expression(SourceFile("t.py", text), inner).text.startswith("K.sum(x,\n")
    assert find_expression(SourceFile("t.py", text), outer).text.startswith("K.sqrt(\n")


def test_a_method_at_the_end_of_a_chain_of_lines():
    """The interpreter's span begins at the name of the method there."""
    text = "def f(x):\n    return (x\n            .square()\n            .norm(dim=1))\n"
    found = find_expression(SourceFile("t.py", text), spans(text)[-1])
    assert found.text.endswith(".norm(dim=1)")
    assert found.text.startswith("x\n")


def test_an_augmented_assignment():
    text = "def f(x, y):\n    x /= y + 1\n    return x\n"
    inner, outer = spans(text)
    assert find_expression(SourceFile("t.py", text), inner).text == "y + 1"
    assert find_expression(SourceFile("t.py", text), outer).text == "x /= y + 1"


def test_the_smallest_expression_around_an_odd_span():
    source = SourceFile("t.py", "y = K.mean(K.sqrt(x + 1))\n")
    assert find_expression(source, TextSpan(1, 13, 1, 20)).text == "K.sqrt(x + 1)"


@pytest.mark.parametrize(
    "span", [TextSpan(1, 0, 1, 5), TextSpan(7, 0, 7, 1), TextSpan(2, 0, 2, 99)]
)
def test_no_expression_there(span):
    with pytest.raises(ExpressionNotFoundError):
        find_expression(SourceFile("t.py", "import os\nx = 1\n"), span)


def test_a_file_that_is_no_python():
    with pytest.raises(ExpressionNotFoundError, match=r"t\.py"):
        find_expression(SourceFile("t.py", "def f(:\n"), TextSpan(1, 0, 1, 3))


@pytest.mark.parametrize(
    ("text", "qualname"),
    [
        ("def f():\n    return g(1)\n", "f"),
        ("class A:\n    def f(self):\n        return g(1)\n", "A.f"),
        ("def f():\n    def h():\n        return g(1)\n    return h\n", "f.<locals>.h"),
        ("def f():\n    return lambda: g(1)\n", "f.<locals>.<lambda>"),
        ("h = lambda: g(1)\n", "<lambda>"),
        ("h = g(1)\n", None),
        ("class A:\n    h = g(1)\n", None),
        ("def f(a=g(1)):\n    pass\n", None),
        ("@g(1)\ndef f():\n    pass\n", None),
    ],
)
def test_the_enclosing_function(text, qualname):
    source = SourceFile("t.py", text)
    start = text.index("g(1)")
    assert find_expression(source, source.span(start, start + 4)).function == qualname
