"""`stayfinite lab`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Train and compare named configurations.")
@click.argument("spec", type=click.Path(path_type=Path))
def lab(spec: Path) -> None:
    """Train the configurations of SPEC, a TOML or YAML file, and draw their curves in one figure.

    Each configuration is trained in its own process, by default with the same data in the same
    order. After an interruption, the command continues with the configurations that have not ended.
    It writes index.html, curves.png, curves.svg, table.md and table.csv, and one folder for each
    configuration, to the folder `out` of SPEC.
    """
    from stayfinite.networks.lab.output import draw_curves, write_tables
    from stayfinite.networks.lab.page import write_page
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
    write_page(read, results)
    click.echo(f"curves and table are in {read.out}; open {folder.page}")
