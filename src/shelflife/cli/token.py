"""``shelflife token``: by which programs come in."""

from __future__ import annotations

from typing import Annotated

import typer

from shelflife.cli.frame import complaining, names, panel
from shelflife.cli.workspace import By, Home, opened, somebody

app = typer.Typer(no_args_is_help=True, help="Tokens by which programs come in.")

_what = panel("What it may")


@app.command()
@complaining
def create(
    name: Annotated[str, typer.Argument(help="What it is for, as people will find it again.")],
    may: Annotated[
        list[str] | None,
        _what("observe (send rows; by default), read, act (acknowledge), decide (mute, resolve); with commas."),
    ] = None,
    system: Annotated[list[str] | None, _what("Only for these systems, with commas; for all by default.")] = None,
    lasts: Annotated[str | None, _what("How long, as 90d; until it is revoked by default.")] = None,
    home: Home = None,
    by: By = None,
) -> None:
    """Make a token and show it, once."""
    from datetime import timedelta

    from shelflife import durations

    span = None if lasts is None else timedelta(microseconds=durations.parse(lasts, option="--lasts"))
    with opened(home) as workspace:
        secret, made = workspace.tokens.make(
            name, _all(may) if may else ["observe"], only=_all(system) if system else None, lasts=span, by=somebody(by)
        )
    typer.echo(secret)
    until = f"until {made.expires:%Y-%m-%d %H:%M}Z" if made.expires is not None else "until it is revoked"
    typer.echo(f"Shown once; keep it. Token {made.id} may {', '.join(made.may)}, {until}.", err=True)


def _all(given: list[str]) -> list[str]:
    """What an option names that may be given several times, each time with commas."""
    return [name for written in given for name in names(written) or []]


@app.command("list")
@complaining
def list_(home: Home = None) -> None:
    """List tokens, without their secrets."""
    with opened(home) as workspace:
        for token in workspace.tokens.every():
            state = "revoked" if token.revoked else f"until {token.expires:%Y-%m-%d}" if token.expires else "no end"
            only = ", ".join(token.systems) if token.systems is not None else "all systems"
            typer.echo(f"{token.id}  {token.name}  may {', '.join(token.may)}  {only}  {state}")


@app.command()
@complaining
def revoke(token: Annotated[str, typer.Argument(help="Its id.")], home: Home = None, by: By = None) -> None:
    """Take a token back."""
    with opened(home) as workspace:
        workspace.tokens.revoke(token, by=somebody(by))
    typer.echo(f"Token {token} counts no longer.")
