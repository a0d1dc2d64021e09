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
