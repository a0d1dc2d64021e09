"""The pages of the causes, of the Markdown files beside the rules."""

from __future__ import annotations

import re

from stayfinite.diagnose import pages as rules

_NAME = re.compile(r"`([a-z]+(?:-[a-z0-9]+)+|divergence|overflow|unknown)`")
_INDEX = """# Causes

A report begins with the name of a cause, as in `error[singular-gradient]`. The names do not change
between releases. `stayfinite rule NAME` prints the same pages in a terminal.

| cause | what happens |
| --- | --- |
"""


def pages() -> dict[str, str]:
    """Name on the site to Markdown: the list, then a page for each cause."""
    texts = rules.pages()
    rows = [f"| [`{name}`]({name}.md) | {rules.summary(text)} |" for name, text in texts.items()]
    index = _INDEX + "\n".join(rows) + "\n"
    return {"causes/index.md": index} | {
        f"causes/{name}.md": _with_links(text, name, set(texts)) for name, text in texts.items()
    }


def _with_links(text: str, page: str, causes: set[str]) -> str:
    """`text` with a link for each other cause that it names, outside of code."""
    prose, fence, code = text.partition("## Fails")

    def link(name: re.Match[str]) -> str:
        known = name[1] in causes and name[1] != page
        return f"[`{name[1]}`]({name[1]}.md)" if known else name[0]

    return _NAME.sub(link, prose) + fence + code
