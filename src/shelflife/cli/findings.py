"""``shelflife reference`` and ``shelflife findings``: what live rows are compared with, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelflife.cli.frame import as_json, check_after, complaining, panel
from shelflife.cli.workspace import By, Home, moment, opened, somebody

if TYPE_CHECKING:
    from shelflife.watch.findings import Finding

app = typer.Typer()

_which, _of, _results = panel("Which rows"), panel("Which findings"), panel("Results")

Number = Annotated[int, typer.Argument(help="The finding's number.")]


@complaining
def reference(
    system: Annotated[str, typer.Argument(help="The system.")],
    start: Annotated[str | None, _which("From then on, as 2026-01-01; all by default.")] = None,
    end: Annotated[str | None, _which("Before then; now by default.")] = None,
    home: Home = None,
    by: By = None,
) -> None:
    """Learn what live rows are compared with, from predictions that were observed and were good.

    From then on `shelflife up` watches what comes after them. Streams start afresh.
    """
    with opened(home) as workspace:
        number, made = workspace.watching.take_reference(
            system, start=moment(start, "--start"), end=moment(end, "--end"), by=somebody(by)
        )
    whole = made.profile.whole()
    typer.echo(f"✓ Reference {number} of {system}: {int(whole.rows.sum()):,} rows in {len(whole.rows):,} buckets.")
    for note in made.notes:
        typer.echo(f"  {note}", err=True)


@app.callback(invoke_without_command=True)
@complaining
def living(
    context: typer.Context,
    system: Annotated[str | None, _of("Only those of this system.")] = None,
    ended: Annotated[bool, _of("Also those that are resolved.", "--ended")] = False,
    json: Annotated[bool, _results("Print JSON instead of words.", "--json")] = False,
    home: Home = None,
) -> None:
    """What departs from the plans now; shown, acknowledged, muted, resolved by its number.

    Exit status: 0 nothing, 1 something.
    """
    if context.invoked_subcommand is not None:
        check_after(context, system, ended, json, home)
        return
    from shelflife.views.status import statuses

    with opened(home) as workspace:
        if system is not None:
            workspace.check_known(system)
        found = workspace.watching.findings(system, ended=ended)
        unknown = [] if found or ended else [one.system for one in statuses(workspace, system) if not one.known]
    if json:
        typer.echo(as_json([_plain(one) for one in found]))
    else:
        for one in found:
            typer.echo(f"{one.number:>5}  {one.severity}  {one.state:<12} {one.system}  {one.code}  {one.says}")
        if not found:
            typer.echo(_nothing(unknown) if not ended else "Nothing was ever found.")
    raise typer.Exit(1 if any(one.state != "resolved" for one in found) else 0)


def _nothing(unknown: list[str]) -> str:
    if not unknown:
        return "Nothing departs from the plans."
    return f"Nothing is found, but not all is known: `shelflife status` says why of {', '.join(unknown)}."


@app.command()
@complaining
def show(number: Number, home: Home = None) -> None:
    """Print a finding: what was promised, where, and what is seen."""
    with opened(home) as workspace:
        one = workspace.watching.finding(number)
    where = f", line {one.line} of plan {one.plan}" if one.line is not None else ""
    typer.echo(f"{one.code} {one.severity}, {one.state}{', estimated' if one.estimated else ''}: {one.system}")
    typer.echo(f"  {one.says}")
    if one.promised:
        typer.echo(f"  Promised: {one.promised}{where}.")
    until = one.until if one.state == "muted" else None  # what is resolved has an end, and nothing to wait for
    for word, when in (("Since", one.since), ("Opened", one.opened), ("Ended", one.ended), ("Until", until)):
        if when is not None:
            typer.echo(f"  {word}: {when:%Y-%m-%d %H:%M}Z")
    if one.reason:
        typer.echo(f"  {one.reason} ({one.by})")
    also = one.recent.get("also", [])
    if also:
        typer.echo(f"  With it: {', '.join(also)}")


@app.command()
@complaining
def acknowledge(number: Number, home: Home = None, by: By = None) -> None:
    """Say that somebody knows."""
    with opened(home) as workspace:
        workspace.watching.acknowledge(number, by=somebody(by))
    typer.echo(f"✓ Finding {number} is acknowledged.")


@app.command()
@complaining
def mute(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why.")],
    until: Annotated[str, typer.Option(help="Until when, as 2026-06-01.")],
    home: Home = None,
    by: By = None,
) -> None:
    """Say nothing of it for a time, for a reason."""
    then = moment(until, "--until")
    assert then is not None
    with opened(home) as workspace:
        workspace.watching.mute(number, reason=reason, until=then, by=somebody(by))
    typer.echo(f"✓ Finding {number} is muted until {then:%Y-%m-%d %H:%M}Z.")


@app.command()
@complaining
def resolve(
    number: Number, reason: Annotated[str, typer.Option(help="Why.")], home: Home = None, by: By = None
) -> None:
    """Say that it is over; what goes on is found again."""
    with opened(home) as workspace:
        workspace.watching.resolve(number, reason=reason, by=somebody(by))
    typer.echo(f"✓ Finding {number} is resolved.")


def _plain(one: Finding) -> dict[str, Any]:
    import dataclasses

    said = {name: value for name, value in dataclasses.asdict(one).items() if name != "recent"}
    said["also"] = one.recent.get("also", [])
    return said
