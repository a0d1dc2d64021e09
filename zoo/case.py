"""One script of the zoo and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.header import BadHeader, marked_line, read_header

# Of Keras, and what a script that holds its own loop is written in.
BACKENDS = ("jax", "tensorflow", "torch")
PLAIN = ("plain-jax", "plain-torch")
ALL_BACKENDS = BACKENDS + PLAIN
FIXES = ("source", "setting", "data", "none")
# What the twin computes at the failing step: the value of exact arithmetic; a bound, as that value
# is infinite or beyond the dtype; something else, as the formula has no value there.
VALUES = ("exact", "bounded", "undefined")
# The causes that a training can have by itself; `unknown` and `not-reproduced` are no answers of
# an expert.
CAUSES = (
    "singular-gradient",
    "masked-branch",
    "log-of-zero",
    "out-of-domain",
    "division-by-zero",
    "empty-reduction",
    "fully-masked-row",
    "overflow",
    "half-overflow",
    "epsilon-underflow",
    "divergence",
    "bad-input",
    "bad-target",
    "bad-weights",
    "bad-statistics",
    "bad-update",
)
_OF_A_CONTROL = {
    "backends",
    "stands_for",
}
_OF_A_CASE = _OF_A_CONTROL | {"cause", "step", "rows", "fix", "value"}


@dataclass(frozen=True)
class Control:
    """A script that trains to its end, and that nobody may stop."""

    id: str
    path: Path
    backends: tuple[str, ...] = BACKENDS
    stands_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case(Control):
    """A script that goes non-finite.

    `steps` is the bad step of each backend, counted from 0 over all fits. `rows` and `line` are
    None where there is nothing to name. `value` says what the twin computes at the bad step; it is
    None where the fix is not in the source.
    """

    cause: str = ""
    steps: tuple[tuple[str, int], ...] = ()
    rows: tuple[int, ...] | None = None
    fix: str = "none"
    value: str | None = None
    line: int | None = None

    @property
    def twin(self) -> Path:
        """The same training, written right."""
        return self.path.with_name(f"{self.path.stem}_fixed.py")

    def step_on(self, backend: str) -> int:
        """The bad step on a backend of this case."""
        return dict(self.steps)[backend]


def script_id(path: Path) -> str:
    """How a script is called: its folder and its name, `overflow/ppo_ratio`."""
    return f"{path.parent.name}/{path.stem}"


def read_case(path: Path) -> Case:
    """A case from its file.

    Raises:
        BadHeader: one line that says what is wrong with the header, and what it should be.
    """
    name = script_id(path)
    text = path.read_text(encoding="utf-8")
    header = read_header(text, name)
    if header is None:
        raise BadHeader(f"{name}: expected a header that begins with '# /// zoo', received none")
    _no_other_keys(header, _OF_A_CASE, name)
    cause = _one_of(header, "cause", CAUSES, name)
    if path.parent.name != cause.replace("-", "_"):
        raise BadHeader(f"{name}: `cause` is {cause!r}: move it to {cause.replace('-', '_')}/")
    backends = _backends(header, name)
    return Case(
        id=name,
        path=path,
        backends=backends,
        stands_for=_texts(header, "stands_for", name),
        cause=cause,
        steps=_steps(header, backends, name),
        rows=_rows(header, name),
        fix=_one_of(header, "fix", FIXES, name),
        value=_value(header, name),
        line=marked_line(text, name),
    )


def read_control(path: Path) -> Control:
    """A control from its file; its header may say on which backends it runs, and may be missing.

    Raises:
        BadHeader: as for a case.
    """
    name = script_id(path)
    header = read_header(path.read_text(encoding="utf-8"), name) or {}
    _no_other_keys(header, _OF_A_CONTROL, name)
    return Control(name, path, _backends(header, name), _texts(header, "stands_for", name))


def _no_other_keys(header: dict[str, Any], known: set[str], name: str) -> None:
    for key in header:
        if key not in known:
            raise BadHeader(f"{name}: unknown key {key!r}: expected {', '.join(sorted(known))}")


def _one_of(header: dict[str, Any], key: str, known: tuple[str, ...], name: str) -> str:
    value = header.get(key)
    if value not in known:
        raise BadHeader(f"{name}: `{key}` is {value!r}: expected one of {', '.join(known)}")
    return str(value)


def _value(header: dict[str, Any], name: str) -> str | None:
    if header.get("fix") == "source":
        return _one_of(header, "value", VALUES, name)
    if "value" in header:
        raise BadHeader(f'{name}: `value` is for `fix = "source"` only: leave it out')
    return None


def _texts(header: dict[str, Any], key: str, name: str) -> tuple[str, ...]:
    values = header.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadHeader(f"{name}: `{key}` is {values!r}: expected a list of strings")
    return tuple(values)


def _backends(header: dict[str, Any], name: str) -> tuple[str, ...]:
    found = _texts(header, "backends", name) or BACKENDS
    # A loop of its own is written in one framework.
    if not set(found) <= set(BACKENDS) and (len(found) > 1 or found[0] not in PLAIN):
        raise BadHeader(
            f"{name}: `backends` is {list(found)}: expected some of {list(BACKENDS)}, or one of "
            f"{list(PLAIN)}"
        )
    return found


def _steps(
    header: dict[str, Any], backends: tuple[str, ...], name: str
) -> tuple[tuple[str, int], ...]:
    given = header.get("step")
    steps: dict[str, Any] = given if isinstance(given, dict) else dict.fromkeys(backends, given)
    if set(steps) != set(backends) or not all(_is_count(step) for step in steps.values()):
        raise BadHeader(
            f"{name}: `step` is {given!r}: expected a number from 0, or one for each of "
            f"{', '.join(backends)}"
        )
    return tuple((backend, int(step)) for backend, step in steps.items())


def _rows(header: dict[str, Any], name: str) -> tuple[int, ...] | None:
    rows = header.get("rows")
    if rows is None:
        return None
    if not isinstance(rows, list) or not rows or not all(_is_count(row) for row in rows):
        raise BadHeader(f"{name}: `rows` is {rows!r}: expected a list of numbers from 0")
    return tuple(sorted(rows))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
