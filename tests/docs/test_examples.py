"""A reader who does what the pages of the site and the README say sees what they say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.examples import Reader, examples_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BACKEND = os.environ.get("KERAS_BACKEND", "torch")
EXAMPLES = {
    str(page.relative_to(ROOT)): [
        example
        for example in examples_of(page.read_text(encoding="utf-8"))
        if example.is_run and example.backend == BACKEND
    ]
    for page in PAGES
}
CASES = [
    pytest.param(
        page, id=page, marks=[pytest.mark.slow] if any(each.is_slow for each in examples) else []
    )
    for page, examples in EXAMPLES.items()
    if examples
]


@pytest.mark.parametrize("page", CASES)
def test_examples_of(page, tmp_path):
    reader = Reader(tmp_path, page)
    for example in EXAMPLES[page]:
        reader.follow(example)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\nraise SystemExit(3)\n```\n", "page.md:2"),
        ("```console\n$ stayfinite rule overflow\nno such page\n```\n", "the page has"),
        ("```console\n$ stayfinite rule no-such\n...\n$ echo $?\n0\n```\n", "page.md:2"),
        ('```python title="a.py"\nx = 1\n```\n```diff title="a.py"\n-x = 2\n+x = 3\n```\n', "once"),
    ],
)
def test_page_that_says_something_else_is_found(text, message, tmp_path):
    reader = Reader(tmp_path, "page.md")
    with pytest.raises(AssertionError, match=message):
        for example in examples_of(text):
            reader.follow(example)
