"""`stayfinite lab`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Train named configurations side by side.")
@click.argument("spec", type=click.Path(path_type=Path))
def lab(spec: Path) -> None:
    """Train the configurations named in SPEC, a TOML or YAML file, and draw their curves together.

    Each is trained in a process of its own, with the same data in the same order unless SPEC says
    otherwise. What has ended is not trained again, so the command goes on after an interruption.
    The folder `out` of SPEC gets curves.png, curves.svg, table.md and table.csv, and a folder for
    each configuration.
    """
    from stayfinite.networks.lab.output import draw_curves, write_tables
    from stayfinite.networks.lab.running import run_all
    from stayfinite.networks.lab.spec import read_spec
    from stayfinite.networks.training.figures import write_figure
    from stayfinite.networks.training.folder import OutputFolder

    read = read_spec(spec)
    folder = OutputFolder(read.out)
    folder.make()
    results = run_all(read, click.echo)
    write_figure(draw_curves(read, results), folder.figure("curves"))
    write_tables(read, results)
    click.echo(f"curves and table are in {read.out}")
