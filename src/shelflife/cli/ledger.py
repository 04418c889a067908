"""``shelflife ledger``: what was done, by whom, why; and whether the record is whole."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from shelflife.cli.frame import complaining, panel
from shelflife.cli.workspace import Home, opened
from shelflife.errors import BadInput

app = typer.Typer(no_args_is_help=True, help="What was done: shown, verified, exported.")

_which = panel("Which events")

System = Annotated[str | None, _which("Only those of this system.")]
Since = Annotated[str | None, _which("Only those since then: 2026-05-01, or how long ago, as 7d.")]
Kind = Annotated[str | None, _which("Only those of this kind, as plan.applied.")]


@app.command()
@complaining
def show(system: System = None, since: Since = None, kind: Kind = None, home: Home = None) -> None:
    """Print events, in order."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, emoji=False, soft_wrap=True)
    for entry in _entries(system, since, kind, home):
        line = Text(f"{entry.number:>6}  {entry.at:%Y-%m-%d %H:%M:%S}Z  ")
        line.append(entry.kind, style="bold")
        line.append(f"  by {entry.by}  ")
        line.append(json.dumps(entry.body, ensure_ascii=False), style="dim")
        console.print(line)


@app.command()
@complaining
def export(system: System = None, since: Since = None, kind: Kind = None, home: Home = None) -> None:
    """Print events as CloudEvents, one JSON a line."""
    for entry in _entries(system, since, kind, home):
        typer.echo(json.dumps(entry.to_cloudevent(), ensure_ascii=False))


@app.command()
@complaining
def verify(
    head: Annotated[str | None, _which("A hash that was noted before: is it still in the ledger?")] = None,
    home: Home = None,
) -> None:
    """Find any event that was changed, taken out, added by another hand or put elsewhere, and say where.

    Exit status: 0 whole, 1 broken, 2 no workspace.
    """
    if head is not None and re.fullmatch(r"[0-9a-f]{64}", head) is None:
        raise BadInput(f"--head asks for a hash as `ledger verify` prints it, 64 digits from 0 to f; found {head!r}.")
    with opened(home) as workspace:
        found = workspace.ledger.verify(head=head)
    if not found.whole:
        broken = f"The ledger is broken at event {found.broken}"
        typer.echo(f"✗ {broken if found.met else 'This is not the ledger that was noted'}: {found.says}.")
        raise typer.Exit(1)
    typer.echo(f"✓ The ledger is whole: {found.events:,} events. Head: {found.head}")
    typer.echo("  Note the head elsewhere: with it, --head proves later that nothing before was rewritten.")


def _entries(system: str | None, since: str | None, kind: str | None, home: Home) -> list[Any]:
    from shelflife.events import kinds

    if kind is not None and kind not in kinds():
        from shelflife.errors import nearest

        raise BadInput(f"There is no event {kind!r}. {nearest(kind, kinds())}")
    with opened(home) as workspace:
        if system is not None and system not in workspace.names():
            workspace.plan(system)  # says what is wrong
        return workspace.ledger.entries(system=system, since=_moment(since, workspace.clock.now()), kind=kind)


def _moment(written: str | None, now: datetime) -> datetime | None:
    if written is None:
        return None
    from shelflife import durations

    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        try:
            return now - timedelta(microseconds=durations.parse(written, option="--since"))
        except (BadInput, OverflowError) as error:
            raise BadInput(
                f"--since asks for a date or a moment, as 2026-05-01, or how long ago, as 7d; found {written!r}."
            ) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
