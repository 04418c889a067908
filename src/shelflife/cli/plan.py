"""``shelflife plan``: write, check, compare and apply the maintenance plan of a system."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelflife.cli.frame import check_writable, complaining, names, panel
from shelflife.cli.workspace import By, Home, is_there, opened

if TYPE_CHECKING:
    from shelflife.plan import Remark

app = typer.Typer(no_args_is_help=True, help="The maintenance plan of a system: written, checked, compared, applied.")

_data, _results = panel("Data"), panel("Results")

File = Annotated[str, typer.Argument(help="The plan: a YAML file.")]
Json = Annotated[bool, _results("Print JSON instead of words.", "--json")]


@app.command()
@complaining
def schema() -> None:
    """Print the JSON Schema of a plan, by which editors complete and check it."""
    import json

    from shelflife import plan

    typer.echo(json.dumps(plan.schema(), indent=2, ensure_ascii=False))


@app.command()
@complaining
def check(file: File, home: Home = None, json: Json = False) -> None:
    """Is the plan valid, and what does it leave open?

    Exit status: 0 nothing open, 1 valid but something is open, 2 not valid.
    """
    from shelflife import plan
    from shelflife.clock import SystemClock

    written = plan.read(file)
    reviewed = None
    if is_there(home):
        with opened(home) as system:
            name = written.plan.system
            reviewed = system.newest(name)[1] if name in system.names() else None
    found = plan.remarks(written, SystemClock().now().date(), reviewed=reviewed)
    if json:
        import dataclasses
        import json as writing

        typer.echo(writing.dumps([dataclasses.asdict(remark) for remark in found], indent=2, ensure_ascii=False))
    else:
        _print_remarks(file, found)
    raise typer.Exit(1 if found else 0)


def _print_remarks(file: str, found: list[Remark]) -> None:
    from shelflife.look import words

    for remark in found:
        typer.echo(f"{file}:{remark.line}: {remark.code} {remark.says}")
    open_ = f"it leaves {words.plural(len(found), 'thing')} open" if found else "nothing is left open"
    typer.echo(f"✓ {file} is valid; {open_}.")


@app.command()
@complaining
def draft(
    history: Annotated[str, typer.Argument(help="A table of the past: CSV, Parquet, Arrow or Delta.")],
    time: Annotated[str, _data("Column of times.")],
    target: Annotated[str | None, _data("Column of what turned out true; without it nothing is measured.")] = None,
    system: Annotated[str | None, _data("The system's name; by default made from that of the file.")] = None,
    prediction: Annotated[str | None, _data("Column of what a model predicted.")] = None,
    score: Annotated[str | None, _data("Column of its score.")] = None,
    drop: Annotated[str | None, _data("Columns that are no inputs, with commas.")] = None,
    label_delay: Annotated[str, _data("How long after a row its outcome is known.")] = "1d",
    engine: Annotated[str, _data("processes, threads, dask[=ADDRESS], ray or spark.")] = "processes",
    jobs: Annotated[int | None, _data("Workers at once; as many as there are cores.")] = None,
    out: Annotated[Path | None, _results("Write the plan here; standard output by default.")] = None,
) -> None:
    """Write a first plan from a table that you already have, with comments that teach.

    Where outcomes are named it measures how long models last on that table, and takes from it what can be promised.
    """
    check_writable(out, (history,))
    if out is not None and out.exists():
        from shelflife.errors import BadInput

        raise BadInput(f"There is a file {str(out)!r} already; a draft never writes over a plan. Name another one.")
    from shelflife import drafting

    made = drafting.draft(
        history, time=time, target=target, system=system, prediction=prediction, score=score,
        drop=tuple(names(drop) or ()), label_delay=label_delay, engine=engine, jobs=jobs,
    )  # fmt: skip
    if out is None:
        sys.stdout.write(made.text)
    else:
        out.write_text(made.text, encoding="utf-8")
        typer.echo(f"Plan: {out.resolve()}")
    if made.lifespan is not None:
        typer.echo(made.lifespan.says, err=True)
    elif made.missing is not None:
        typer.echo(f"What the model can promise was not measured: {made.missing}.", err=True)


@app.command()
@complaining
def diff(
    old: Annotated[str, typer.Argument(help="A plan.")], new: Annotated[str, typer.Argument(help="Another one.")]
) -> None:
    """Say what a new plan changes: stricter, looser, newly watched, no longer watched.

    Exit status: 0 nothing, 1 something, 2 a plan is not valid.
    """
    from shelflife import plan

    found = plan.differences(plan.read(old).plan, plan.read(new).plan)
    for change in found:
        typer.echo(change.says)
    if not found:
        typer.echo("Both say the same.")
    raise typer.Exit(1 if found else 0)


@app.command()
@complaining
def apply(
    file: File,
    because: Annotated[str, _data("Why: a sentence for the ledger.")] = "",
    home: Home = None,
    by: By = None,
) -> None:
    """Make a plan count: numbered, immutable, in the ledger with who and why; the same again changes nothing."""
    from shelflife import plan
    from shelflife.cli.workspace import somebody

    written = plan.read(file)
    with opened(home, make=True) as system:
        before = _before(system, written.plan.system)
        number, fresh = system.apply(written, by=somebody(by), because=because)
    if not fresh:
        typer.echo(f"Plan {number} of {written.plan.system} says the same already; nothing was changed.")
        return
    typer.echo(f"✓ Plan {number} of {written.plan.system} counts from now on.")
    for change in plan.differences(before, written.plan) if before is not None else []:
        typer.echo(f"  {change.says}")


def _before(system: Any, name: str) -> Any:
    return system.plan(name).plan if name in system.names() else None


@app.command()
@complaining
def show(
    system: Annotated[str, typer.Argument(help="The system.")],
    number: Annotated[int | None, typer.Option(help="The plan's number; the newest by default.")] = None,
    home: Home = None,
) -> None:
    """Print an applied plan as it was written."""
    with opened(home) as workspace:
        sys.stdout.write(workspace.plan(system, number).text)
