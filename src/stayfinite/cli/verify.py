"""`stayfinite verify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stayfinite.cli.refusal import refuse
from stayfinite.cli.separate import counts_of
from stayfinite.errors import UsageError
from stayfinite.files import limits
from stayfinite.runner.console import encodable

if TYPE_CHECKING:
    from stayfinite.checkpoints.counting import TensorCount

FINITE, NON_FINITE = range(2)


@click.command(short_help="Check that checkpoint files have no NaN or infinity.")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
def verify(files: tuple[Path, ...]) -> int:
    """Check that the checkpoint in each FILE has no NaN or infinity; name every tensor that has.

    Reads .keras, .h5, .weights.h5, .npz and .safetensors. The exit code is 0 if all files are
    finite, 1 if one is not, and 2 if one cannot be read.
    """
    return max(_verify(path) for path in files)


def _verify(path: Path) -> int:
    # Imported here, because it needs rich, and `stayfinite run` does not.
    from stayfinite.report.lines import clean_name

    file = clean_name(str(path))
    try:
        counts = counts_of(path)
    except UsageError as error:
        return refuse(str(error))
    bad = [count for count in counts if not count.is_finite]
    if bad:
        lines = [f"{file}: {_name(clean_name(count.name))}: {_describe(count)}" for count in bad]
        lines.append(f"{file}: {len(bad)} of {len(counts)} tensors are not finite")
        _show("\n".join(lines))
        return NON_FINITE
    _show(f"{file}: all {len(counts)} tensors are finite")
    return FINITE


def _show(text: str) -> None:
    click.echo(encodable(text, sys.stdout))


def _name(name: str) -> str:
    return name if len(name) <= limits.NAME else f"{name[: limits.NAME]}..."


def _describe(count: TensorCount) -> str:
    numbers = {"nan": count.num_nan, "inf": count.num_inf, "-inf": count.num_negative_inf}
    found = ", ".join(f"{number} {kind}" for kind, number in numbers.items() if number)
    return f"{found} of {count.num_values} values"
