"""``shelflife account``: people who may sign in."""

from __future__ import annotations

from typing import Annotated

import typer

from shelflife.cli.frame import complaining, panel
from shelflife.cli.workspace import By, Home, opened, somebody

app = typer.Typer(no_args_is_help=True, help="People who may sign in to the pages.")

_what = panel("What they may")
_where = panel("Where")

Name = Annotated[str, typer.Argument(help="By which they sign in.")]
Role = Annotated[str, _what("viewer (reads), contributor, owner (decides) or admin, for every system.")]
Email = Annotated[str | None, _what("By which a plan's people are known to be them.")]
Url = Annotated[
    str | None,
    _where("Where people reach the service, as http://127.0.0.1:8700: the link begins so.", "--url"),
]


@app.command()
@complaining
def create(
    name: Name, role: Role = "viewer", email: Email = None, url: Url = None, home: Home = None, by: By = None
) -> None:
    """Make an account, and show the link by which they choose their password."""
    with opened(home) as workspace:
        _, secret = workspace.accounts.make(name, role=role, email=email, by=somebody(by))
    _show(name, url, secret)


@app.command()
@complaining
def link(name: Name, url: Url = None, home: Home = None, by: By = None) -> None:
    """Make a new link by which they choose a password; earlier ones count no longer."""
    with opened(home) as workspace:
        secret = workspace.accounts.invite(name, by=somebody(by))
    _show(name, url, secret)


@app.command("list")
@complaining
def list_(home: Home = None) -> None:
    """List accounts."""
    with opened(home) as workspace:
        for one in workspace.accounts.every():
            state = f"closed since {one.closed:%Y-%m-%d}" if one.closed else "" if one.chosen else "no password yet"
            typer.echo("  ".join(word for word in (one.name, one.role, one.email or "no e-mail", state) if word))


@app.command()
@complaining
def change(
    name: Name, role: Annotated[str | None, _what("Their new role.")] = None, email: Email = None, home: Home = None,
    by: By = None,
) -> None:  # fmt: skip
    """Give an account another role or e-mail address."""
    with opened(home) as workspace:
        made = workspace.accounts.change(name, role=role, email=email, by=somebody(by))
    typer.echo(f"{made.name} is {made.role}, {made.email or 'without e-mail'}.")


@app.command()
@complaining
def close(name: Name, home: Home = None, by: By = None) -> None:
    """Let an account in no more, from this moment."""
    with opened(home) as workspace:
        workspace.accounts.shut(name, by=somebody(by))
    typer.echo(f"{name} may come in no more.")


def _show(name: str, url: str | None, secret: str) -> None:
    typer.echo(f"{(url or '').rstrip('/')}/link/{secret}")
    if url is None:
        typer.echo("Put the service's address before it, as people reach it; --url does so.", err=True)
    typer.echo(f"Counts once, for three days; {name} chooses a password there.", err=True)
