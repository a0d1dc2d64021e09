"""One class, one name: a class name stands for one idea in the whole package."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"


def test_class_names_are_unique():
    places = defaultdict(list)
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(SRC)}:{node.lineno}")
    assert "Guard" in places
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert twice == {}
