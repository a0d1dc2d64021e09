"""The pages of the causes, of the Markdown files beside the rules."""

from __future__ import annotations

import re

from docs.site import reports
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
    texts, printed = rules.pages(), reports.kept()
    rows = [f"| [`{name}`]({name}.md) | {rules.summary(text)} |" for name, text in texts.items()]
    index = _INDEX + "\n".join(rows) + "\n"
    return {"causes/index.md": index} | {
        f"causes/{name}.md": _with_report(_with_links(text, name, set(texts)), printed.get(name))
        for name, text in texts.items()
    }


def _with_report(text: str, report: str | None) -> str:
    """`text` with the report of its failing script below that script."""
    if report is None:
        return text
    fails, heading, passes = text.partition("\n## Passes")
    shown = f"\n`stayfinite run` prints, with PyTorch:\n\n```text\n{report.rstrip()}\n```\n"
    return fails + shown + heading + passes


def _with_links(text: str, page: str, causes: set[str]) -> str:
    """`text` with a link for each other cause that it names, outside of code."""
    prose, fence, code = text.partition("## Fails")

    def link(name: re.Match[str]) -> str:
        known = name[1] in causes and name[1] != page
        return f"[`{name[1]}`]({name[1]}.md)" if known else name[0]

    return _NAME.sub(link, prose) + fence + code
