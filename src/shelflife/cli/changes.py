"""``shelflife changes``: what changes in the business, and from when on."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from shelflife.cli.frame import as_json, check_after, complaining, panel
from shelflife.cli.workspace import By, Home, moment, opened, somebody

app = typer.Typer(help="What changes in the business: recorded, listed, withdrawn.")
_what, _which, _results = panel("What"), panel("Which"), panel("Results")


@app.callback(invoke_without_command=True)
@complaining
def every(
    context: typer.Context,
    system: Annotated[str | None, _which("Only those of this system.", "--system")] = None,
    json: Annotated[bool, _results("Print JSON instead of words.", "--json")] = False,
    home: Home = None,
) -> None:
    """All changes, the one that takes effect last first."""
    if context.invoked_subcommand is not None:
        check_after(context, system, json, home)
        return
    with opened(home) as workspace:
        found = workspace.changes.every(system)
    if json:
        typer.echo(as_json([dataclasses.asdict(one) for one in found]))
        return
    for one in found:
        gone = "" if one.withdrawn is None else f" (withdrawn {one.withdrawn:%Y-%m-%d})"
        typer.echo(f"{one.number:>4}  {one.system}  {one.effective:%Y-%m-%d %H:%M}  {one.what}{gone}")
    if not found:
        typer.echo("No change was recorded yet.")


@app.command()
@complaining
def record(
    system: Annotated[str, typer.Argument(help="The system.")],
    what: Annotated[str, typer.Argument(help="What changes, as those concerned would say it.")],
    effective: Annotated[str, _what("From when on: a date or a moment, in UTC where no zone is said.")],
    because: Annotated[str, _what("Why; may be left out.")] = "",
    home: Home = None,
    by: By = None,
) -> None:
    """Record a change. A plan that is renewed on `change` is renewed when it takes effect."""
    at = moment(effective, "--effective")
    assert at is not None
    with opened(home) as workspace:
        made = workspace.changes.record(system, what, at, because=because, by=somebody(by))
        renews = workspace.changes.renews(system, at)
    then = "a renewal is due then" if renews else "no renewal begins by itself"
    typer.echo(f"✓ Change {made.number} of {system}, from {made.effective:%Y-%m-%d %H:%M} on; {then}.")


@app.command()
@complaining
def withdraw(
    number: Annotated[int, typer.Argument(help="The change's number.", min=1, max=2**53)],
    reason: Annotated[str, _what("Why.")],
    home: Home = None,
    by: By = None,
) -> None:
    """Take a change back that does not come, or comes otherwise."""
    with opened(home) as workspace:
        workspace.changes.withdraw(number, reason=reason, by=somebody(by))
    typer.echo(f"✓ Change {number} is withdrawn.")
