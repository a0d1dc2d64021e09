"""Links that are right in the repository, made right on the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Pages of the repository that the site shows, and their names there.
OUTSIDE = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "zoo/README.md": "project/zoo.md",
    "benchmarks/README.md": "project/benchmarks.md",
}
_CAUSES = "src/stayfinite/diagnose/causes"
_SCHEMAS = "src/stayfinite/report/schemas"
_ON_SITE = {**OUTSIDE, "README.md": "index.md", _CAUSES: "causes/index.md"}
_IN_REPOSITORY = {to: path for path, to in OUTSIDE.items()}
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def for_site(markdown: str, page: str) -> str:
    """`markdown` of the page `page` (a name on the site) with the links of the site.

    A link to a file that the repository has and the site has not becomes its text. A link to no
    file stays as it is, for mkdocs to refuse.
    """
    origin = _IN_REPOSITORY.get(page, f"docs/{page}")

    def replaced(link: re.Match[str]) -> str:
        path = link["path"]
        if "://" in path or path.startswith("mailto:"):
            return link[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        folder, name = posixpath.split(target)
        if target in _ON_SITE:
            to = _ON_SITE[target]
        elif folder == _CAUSES and name.endswith(".md"):
            to = f"causes/{name.replace('_', '-')}"
        elif folder == _SCHEMAS:
            to = f"schemas/{name}"
        elif target.startswith("docs/"):
            to = target.removeprefix("docs/")
        elif (ROOT / target).exists():
            return link["text"]
        else:
            return link[0]
        relative = posixpath.relpath(to, posixpath.dirname(page) or ".")
        return f"[{link['text']}]({relative}{link['anchor'] or ''})"

    return _LINK.sub(replaced, markdown)
