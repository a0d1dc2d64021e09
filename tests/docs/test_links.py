"""Each link between files of the repository leads to a file and, with `#`, to a heading in it.

`make docs` checks those of the site; a reader of the repository follows the others.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(
        page
        for folder in ("benchmarks", "changes.d", "docs", "src", "zoo")
        for page in sorted((ROOT / folder).rglob("*.md"))
    ),
]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]*)(?:#([^)\s]+))?\)(?:\{[^}]*\})?")
CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
# The site makes anchors of the Python names and of the commands.
MADE = re.compile(r"stayfinite[.-]")


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def broken(page: Path) -> list[str]:
    """The links of `page` that lead nowhere."""
    found = []
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    for path, anchor in LINK.findall(text):
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        is_heading = not anchor or MADE.match(anchor) or anchor in anchors(target)
        if not target.exists() or not is_heading:
            found.append(f"{path}#{anchor}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert broken(page) == []


def test_broken_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](none.md) [b](page.md#two) [c](#one) `[d](code.md)`\n", "utf-8")
    assert broken(page) == ["none.md#", "page.md#two"]


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
