"""``shelflife status``: every system at a glance."""

from __future__ import annotations

from typing import Annotated

import typer

from shelflife.cli.frame import as_json, complaining, panel
from shelflife.cli.workspace import Home, opened

_results = panel("Results")
_SIGNS = {"fresh": "●", "ageing": "◐", "stale": "○", "unknown": "?"}


@complaining
def status(
    system: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
    json: Annotated[bool, _results("Print JSON instead of words.", "--json")] = False,
    home: Home = None,
) -> None:
    """Print how fresh every system is, the worst first, and what departs from its plan.

    Exit status: 0 no finding pages, 1 some do.
    """
    from shelflife.views.status import statuses

    with opened(home) as workspace:
        found = statuses(workspace, system)
    if json:
        typer.echo(as_json(found))
    for one in [] if json else found:
        counted = f"{one.pages} to act on, {one.notes} to note"
        typer.echo(f"{one.title} ({one.system}): {counted}")
        typer.echo(f"  {one.says}")
        for name, fresh in (("feeds", one.feeds), ("knowledge", one.knowledge), ("model", one.model)):
            typer.echo(f"  {_SIGNS[fresh.state]} {name} {fresh.state}: {fresh.reason}")
        if one.reference is None:
            typer.echo(f"  `shelflife reference {one.system}` learns one from rows that were observed.")
    if not found and not json:
        typer.echo("There is no system yet. `shelflife plan apply FILE` makes the first.")
    raise typer.Exit(1 if any(one.pages for one in found) else 0)
