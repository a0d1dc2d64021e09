"""Sources with the failing expression between « and », and what becomes of them."""

import sys
import types

from stayfinite.repair import Facts, Patch, SourceFile, candidates, find_expression

ARGUMENTS = "a, b, c, x, y, z, mask"


def marked(text, path="/nowhere/train.py"):
    """The expression between the marks, in the text without them."""
    before, rest = text.split("«")
    inside, after = rest.split("»")
    source = SourceFile(str(path), before + inside + after)
    return find_expression(source, source.span(len(before), len(before + inside)))


def edits(text, mechanism, facts=None):
    return candidates(marked(text), mechanism, facts)


def texts(text, mechanism, facts=None):
    """The whole file after each edit."""
    return [edit.apply() for edit in edits(text, mechanism, facts)]


def expressions(expression, mechanism, facts=None, header="from keras import ops as K"):
    """What `return expression` becomes with each edit."""
    if "«" not in expression:
        expression = f"«{expression}»"
    head = f"{header}\ndef f({ARGUMENTS}):\n    return "
    found = texts(f"{head}{expression}\n", mechanism, facts)
    assert all(text.startswith(head) for text in found)
    return [text.removeprefix(head).removesuffix("\n") for text in found]


def first_patch(path, mechanism, span_text, facts=None):
    """The patch of the first candidate for the expression `span_text` in the file `path`."""
    source = SourceFile.read(path)
    start = source.text.index(span_text)
    expression = find_expression(source, source.span(start, start + len(span_text)))
    edit = candidates(expression, mechanism, facts or Facts())[0]
    return Patch.start(source).then(edit)


def fake_module(monkeypatch, name, names):
    """A library that is not installed, as far as its names go."""
    module = types.ModuleType(name)
    for attribute in names.split():
        setattr(module, attribute, lambda *args: None)
    monkeypatch.setitem(sys.modules, name, module)
    parent, _, last = name.rpartition(".")
    if parent:
        monkeypatch.setattr(sys.modules[parent], last, module, raising=False)
