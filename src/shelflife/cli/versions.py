"""``shelflife versions``, ``adopt`` and ``reproduce``: which model counted when, and of what it was made."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from shelflife.cli.frame import complaining, panel
from shelflife.cli.workspace import By, Home, moment, opened, somebody
from shelflife.look.words import plural

if TYPE_CHECKING:
    from shelflife.renew.registry import Pointer, Version
    from shelflife.renew.reproduce import Reproduced

_LISTED = "list"


class _Listing(TyperGroup):
    """A group whose first word may be a system: then it is listed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [_LISTED, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Listing, no_args_is_help=True, help="Versions of a system's model: who made them, and which one counted when."
)
_which, _results, _running = panel("Which versions"), panel("Results"), panel("Running")
Json = Annotated[bool, _results("Print JSON instead of words.", "--json")]
System = Annotated[str, typer.Argument(help="The system.")]
Number = Annotated[int, typer.Argument(help="The version's number.")]


@app.command(_LISTED)
@complaining
def versions(
    system: System,
    at: Annotated[str | None, _which("Only what was champion and challenger then, as 2026-05-01.", "--at")] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Print all versions and what was champion or challenger when; `shelflife versions SYSTEM` is the same."""
    then = moment(at, "--at")
    with opened(home) as workspace:
        made = workspace.versions.every(system)
        pointers = workspace.versions.pointers(system, then)
    if then is not None:
        made = [one for one in made if one.number in {pointer.version for pointer in pointers}]
    if json:
        _print_json({"versions": [_plain(one) for one in made], "pointers": [_plain(one) for one in pointers]})
        return
    if then is not None:
        _show_then(system, then, pointers)
        return
    for one in made:
        _show(one, [pointer.alias for pointer in pointers if pointer.version == one.number and pointer.until is None])
    if not made:
        typer.echo(f"{system} has no version yet: `shelflife renew` makes one by its plan, `shelflife adopt` brings"
                   " a model that is there already.")  # fmt: skip
    for pointer in pointers:
        typer.echo(f"{pointer.alias:<10} version {pointer.version}  {_span(pointer)}  {pointer.by}: {pointer.because}")


@app.command()
@complaining
def compare(
    system: System,
    first: Annotated[int, typer.Argument(help="A version's number.")],
    second: Annotated[int, typer.Argument(help="Another one's.")],
    json: Json = False,
    home: Home = None,
) -> None:
    """Print in what two versions differ: data, code, parameters, environment, metrics."""
    from shelflife.renew.compare import compare as put

    with opened(home) as workspace:
        found = put(workspace.versions.one(system, first), workspace.versions.one(system, second))
    if json:
        _print_json(dataclasses.asdict(found))
        return
    for one in (*found.made, *found.metrics):
        typer.echo(f"  {one.what}: {_said(one.first)} → {_said(one.second)}")
    for says in found.environment:
        typer.echo(f"  {says}")
    if not (found.made or found.metrics or found.environment):
        typer.echo(f"Versions {first} and {second} of {system} differ in nothing that was recorded.")


@complaining
def adopt(
    system: System,
    source: Annotated[str, typer.Argument(help="models:/NAME/3, runs:/ID/model, an address or a folder.")],
    because: Annotated[str, typer.Option(help="Why, for the ledger.")],
    champion: Annotated[
        bool, typer.Option("--champion", help="It is the champion from now on, where none answers yet.")
    ] = False,
    home: Home = None,
    by: By = None,
) -> None:
    """Bring an MLflow model that is there already under a plan: scikit-learn's or a pyfunc.

    It has to fit the plan's inputs, load, and answer some rows where such were observed.
    """
    with opened(home) as workspace:
        made = workspace.versions.adopt(system, source, champion=champion, by=somebody(by), because=because)
    asked = f"; it answered {plural(made.answered, 'row')}" if made.answered else ""  # a note tells the rest
    typer.echo(f"✓ Version {made.version.number} of {system} is {source}{asked}.")
    if made.champion:
        typer.echo(f"✓ It is the champion{', and answers everybody' if made.first else ''}.")
    for note in made.notes:
        typer.echo(f"  {note}", err=True)


@complaining
def reproduce(
    system: System,
    number: Number,
    here: Annotated[bool, _running("With the packages that are installed, not those of then.", "--here")] = False,
    code: Annotated[Path, _running("The folder where the trainer lives, for its repository.", "--code")] = Path(),
    tolerance: Annotated[float, _running("How far numbers may lie apart for rounding's sake.")] = 1e-6,
    json: Json = False,
    home: Home = None,
) -> None:
    """Train a version again from its snapshot, its commit, its packages and its seed, and compare what it says.

    Exit status: 0 bit-equal or within tolerance, 1 different.
    """
    with opened(home) as workspace:
        found = workspace.versions.reproduce(system, number, at=code.absolute(), here=here, tolerance=tolerance)
    if json:
        _print_json(dataclasses.asdict(found) | {"says": found.says})
    else:
        _show_reproduced(found)
    raise typer.Exit(1 if found.verdict == "different" else 0)


def _show(one: Version, aliases: list[str]) -> None:
    now = f", {' and '.join(aliases)} now" if aliases else ""
    typer.echo(f"{one.number:>5}  made {one.at:%Y-%m-%d %H:%M}Z by {one.by}: {one.because}{now}")
    metrics = (one.record.get("metrics") or {}).get("overall") or {}
    figures = "".join(f", {name} {value:.4g}" for name, value in metrics.items())
    figures += f", best before {one.best_before:%Y-%m-%d}" if one.best_before is not None else ""
    rows = f", snapshot {one.snapshot}" if one.snapshot is not None else ""
    typer.echo(f"       {one.model}/{one.registered}, {one.digest[:12]}, plan {one.plan}{rows}{figures}")
    if one.lasts:
        typer.echo(f"       {one.lasts}")


def _show_then(system: str, then: datetime, pointers: list[Pointer]) -> None:
    typer.echo(f"{system} at {then:%Y-%m-%d %H:%M}Z:")
    for alias in ("champion", "challenger"):
        found = next((one for one in pointers if one.alias == alias), None)
        if found is None:
            typer.echo(f"  {alias}: none")
        else:
            typer.echo(f"  {alias}: version {found.version}, {_span(found)}, by {found.by}: {found.because}")


def _show_reproduced(found: Reproduced) -> None:
    typer.echo(found.says)
    for name in found.then:
        typer.echo(f"  {name}: {found.then[name]:.6g} then, {found.now.get(name, float('nan')):.6g} now")
    for row in found.where:
        typer.echo(f"  row {row['id']}: {row['then']} then, {row['now']} now, {row['apart']:.2g} apart")
    for says in found.differences:
        typer.echo(f"  {says}")


def _span(pointer: Pointer) -> str:
    until = "" if pointer.until is None else f" until {pointer.until:%Y-%m-%d %H:%M}Z"
    return f"since {pointer.since:%Y-%m-%d %H:%M}Z{until}"


def _said(value: Any) -> str:
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(one: Version | Pointer) -> dict[str, Any]:
    said = dataclasses.asdict(one)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in said.items()}


def _print_json(found: Any) -> None:
    import json

    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
