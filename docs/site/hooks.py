"""What mkdocs calls: pages that are made of the package or lie outside `docs/`, and their links.

A page of a cause is the Markdown file beside its rule, and the pages of the commands are made of
the parsers, so that the site says what the program says.
"""

from __future__ import annotations

from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.site import causes, commands, schemas
from docs.site.links import OUTSIDE, ROOT, for_site


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the causes into the navigation."""
    assert config.nav is not None
    for entry in config.nav:
        if isinstance(entry, dict) and entry.get("Causes") == "causes/":
            entry["Causes"] = list(causes.pages())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in `docs/`."""
    made: dict[str, Any] = {
        **causes.pages(),
        **schemas.files(),
        **{to: (ROOT / path).read_text(encoding="utf-8") for path, to in OUTSIDE.items()},
    }
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links between files of the repository to pages of the site; fill in the commands."""
    return commands.with_commands(for_site(markdown, page.file.src_uri))
