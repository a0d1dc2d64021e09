"""Which scripts the zoo has."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path

from zoo.case import Case, Control, read_case, read_control, script_id

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Zoo:
    """Cases and controls in the order of their names."""

    cases: tuple[Case, ...]
    controls: tuple[Control, ...]


def collect(only: str = "*", folder: Path = HERE) -> Zoo:
    """The zoo, or what of it has an id like the pattern `only`, in which `*` is any text.

    Raises:
        BadHeader: a file has no valid header.
    """
    controls = sorted((folder / "controls").glob("*.py"))
    return Zoo(
        tuple(read_case(path) for path in case_files(folder) if _is_like(path, only)),
        tuple(read_control(path) for path in controls if _is_like(path, only)),
    )


def _is_like(path: Path, only: str) -> bool:
    """Asked before the file is read, so that one bad header does not stop the others."""
    return fnmatch.fnmatch(script_id(path), only)


def case_files(folder: Path = HERE) -> list[Path]:
    """The scripts with a fault; their fixed twins lie beside them."""
    paths = sorted((folder / "cases").glob("*/*.py"))
    return [path for path in paths if not path.stem.endswith("_fixed")]
