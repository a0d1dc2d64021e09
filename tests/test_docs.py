"""The paths in the documents for developers exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "stayfinite"
DOCUMENTS = [
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(SRC.rglob("README.md")),
]
# `graph/walk.py`, `report/`, `causes/NAME.py`: a file with an ending, or a folder with a slash.
PATH = re.compile(r"`((?:[\w<>*.-]+/)*(?:[\w<>*.-]+\.(?:py|md|toml|txt)|[\w<>*-]+/))`")
# What a reader puts a name in for.
PLACEHOLDER = re.compile(r"<\w+>|\bNAME\b")


def paths_in(document: Path) -> set[str]:
    """The paths that `document` names, with `*` for each placeholder."""
    return {
        PLACEHOLDER.sub("*", path) for path in PATH.findall(document.read_text(encoding="utf-8"))
    }


def exists(path: str, document: Path) -> bool:
    """Whether a file has this path from the root, from the package or from the document.

    A name without a folder may be in any folder below the document, as `private.py` is.
    """
    for base in {ROOT, SRC, document.parent}:
        if any(base.glob(path)):
            return True
    below = SRC if document.parent == ROOT else document.parent
    return "/" not in path.rstrip("/") and any(below.rglob(path))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_in_a_document_exist(document):
    named = paths_in(document)
    assert named
    assert [path for path in sorted(named) if not exists(path, document)] == []


def test_path_of_no_file_is_found(tmp_path):
    document = tmp_path / "README.md"
    document.write_text("`graph/walk.py`, `graph/nowhere.py`, `here.py`, `causes/NAME.md`, `a.b`\n")
    assert paths_in(document) == {"graph/walk.py", "graph/nowhere.py", "here.py", "causes/*.md"}
    assert exists("graph/walk.py", document)
    assert not exists("graph/nowhere.py", document)
    assert not exists("here.py", document)
