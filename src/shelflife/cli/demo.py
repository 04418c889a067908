"""``shelflife demo``: a history with a known regime change and slow ageing, measured before your eyes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Option(help="Where the history and the results go.")] = Path("shelflife-demo"),
    days: Annotated[int, typer.Option(help="Length of the history.", min=60, max=3650)] = 730,
) -> None:
    """Make a two-year history whose models age, and measure their lifespan.

    The history is generated: a shop's parcels, late or not. Carriers change slowly, and on day 440 a new depot opens.
    """
    import pyarrow.parquet as pq

    from shelflife.cli.lifespan import run
    from shelflife.testing import histories

    folder.mkdir(parents=True, exist_ok=True)
    history = folder / "deliveries.parquet"
    table = histories.deliveries(days=days)
    pq.write_table(table, history)
    report = folder / "lifespan.html"
    typer.echo(f"Wrote {history}: {table.num_rows:,} parcels over {days} days, late or not.")
    typer.echo(f"Now: shelflife lifespan {history} --time shipped --target late --report {report}")
    options = {"time": "shipped", "target": "late"}
    raise typer.Exit(
        run(str(history), options, report=report, badge=folder / "badge.svg", json=str(folder / "lifespan.json"))
    )
