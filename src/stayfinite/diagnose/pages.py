"""The pages of the causes: Markdown files beside the code of each cause."""

from __future__ import annotations

from importlib import resources


def pages() -> dict[str, str]:
    """Cause name to its page, in alphabetical order."""
    folder = resources.files("stayfinite.diagnose") / "causes"
    found = {
        file.name.removesuffix(".md").replace("_", "-"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".md")
    }
    return dict(sorted(found.items()))


def summary(page: str) -> str:
    """The first sentence below the heading of a page."""
    paragraph = page.split("\n\n")[1] if "\n\n" in page else page
    sentence, dot, _ = " ".join(paragraph.split()).partition(". ")
    return sentence + dot.rstrip()
