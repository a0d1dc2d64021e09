"""`stayfinite.explain`: a saved incident again, as its report."""

from __future__ import annotations

from pathlib import Path

from stayfinite.incident import Incident
from stayfinite.report import folder, text


def explain(incident: Incident | str | Path, *, width: int = 100) -> str:
    """The report of an incident, as text.

    Args:
        incident: The incident of a `NonFiniteError`, or the folder that it was kept in.
        width: Columns; every line is at most so many cells wide.

    Returns:
        At most 24 lines.

    Raises:
        UsageError: there is no incident at the path, or it is damaged.

    Example:

    ```python
    print(stayfinite.explain("stayfinite-out/incident-000812"))
    ```
    """
    found = incident if isinstance(incident, Incident) else folder.read(Path(incident))
    return text.render(found, width=width)
