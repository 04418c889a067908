"""``shelflife tables``: what is kept of observations, and for how long."""

from __future__ import annotations

from typing import Annotated

import typer

from shelflife.cli.frame import complaining
from shelflife.cli.workspace import By, Home, opened, somebody
from shelflife.look.words import plural

app = typer.Typer(no_args_is_help=True, help="Tables of observations: compacted, thinned out, one id erased.")

System = Annotated[str, typer.Argument(help="The system.")]


@app.command()
@complaining
def compact(system: System, home: Home = None, by: By = None) -> None:
    """Make few large files of many small ones; no row changes."""
    with opened(home) as workspace:
        workspace.plan(system)
        before, after = workspace.compact(system, by=somebody(by))
    typer.echo(f"{plural(before, 'file')} became {after:,}.")


@app.command()
@complaining
def expire(system: System, home: Home = None, by: By = None) -> None:
    """Remove the rows that are older than the plan keeps them (`keep: 400d`)."""
    with opened(home) as workspace:
        keep = workspace.plan(system).plan.keep
        gone = workspace.expire(system, by=somebody(by))
    if keep is None:
        typer.echo("Nothing was removed: the plan keeps rows for good. `keep: 400d` in it says otherwise.")
    else:
        typer.echo(f"{plural(gone, 'row')} removed.")


@app.command()
@complaining
def erase(
    system: System,
    id: Annotated[str, typer.Argument(help="The id of the prediction.")],  # noqa: A002 - what it is called
    home: Home = None,
    by: By = None,
) -> None:
    """Remove all that is kept of one id, from every version of every table, for good."""
    with opened(home) as workspace:
        workspace.plan(system)
        gone = workspace.erase(system, id, by=somebody(by))
    typer.echo(f"{plural(gone, 'row')} removed; the ledger tells that, and not which id it was.")
