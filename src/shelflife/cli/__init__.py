"""The command line: one file a command, each a thin rendering of what the package answers."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from shelflife import __version__
from shelflife.cli import account, changes, findings, ledger, plan, renew, tables, token, versions
from shelflife.cli.check import check
from shelflife.cli.demo import demo
from shelflife.cli.doctor import doctor
from shelflife.cli.lifespan import lifespan
from shelflife.cli.observe import observe, pull
from shelflife.cli.profile import profile
from shelflife.cli.status import status
from shelflife.cli.up import up
from shelflife.errors import ShelflifeError

app = typer.Typer(
    name="shelflife",
    help="Every model has a shelf life. Shelflife measures it, and makes it last.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"shelflife {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    pass


app.command()(lifespan)
app.command()(check)
app.command()(profile)
app.command()(demo)
app.add_typer(plan.app, name="plan")
app.command()(up)
app.command()(observe)
app.command()(pull)
app.command()(findings.reference)
app.add_typer(findings.app, name="findings")
app.command()(status)
app.add_typer(changes.app, name="changes")
app.add_typer(versions.app, name="versions")
app.command()(versions.adopt)
app.command()(versions.reproduce)
app.command()(renew.renew)
app.add_typer(renew.app, name="renewals")
app.command()(renew.rollback)
app.command()(doctor)
app.add_typer(account.app, name="account")
app.add_typer(token.app, name="token")
app.add_typer(tables.app, name="tables")
app.add_typer(ledger.app, name="ledger")


def main() -> None:
    """Run the command line: exit 0 answered, 1 findings, 2 bad input, 3 not enough to answer, 130 stopped."""
    try:
        app(prog_name="shelflife", standalone_mode=True)  # however it was started
    except ShelflifeError as error:
        typer.echo(f"shelflife: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a closed pipe
        typer.echo(f"shelflife: Cannot write the answer: {error.strerror}.", err=True)
        sys.exit(2)
