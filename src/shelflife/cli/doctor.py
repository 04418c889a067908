"""``shelflife doctor``: what is stuck, and what to do about it."""

from __future__ import annotations

import typer

from shelflife.cli.frame import complaining
from shelflife.cli.workspace import Home, opened


@complaining
def doctor(home: Home = None) -> None:
    """Print what waits for whom, what was stopped by an error, and which tasks fail.

    Exit status: 0 nothing is stuck, 1 something is.
    """
    with opened(home) as workspace:
        stuck = workspace.renewing.stuck()
    for one in stuck:
        typer.echo(f"{one.what}: {one.says}\n  {one.do}")
    if not stuck:
        typer.echo("Nothing is stuck.")
    raise typer.Exit(1 if stuck else 0)
