"""``shelflife observe`` and ``shelflife pull``: keep the rows of a file, or of what the plan fetches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shelflife.cli.frame import complaining, panel
from shelflife.cli.workspace import By, Home, opened, somebody
from shelflife.errors import BadInput, nearest

if TYPE_CHECKING:
    from shelflife.observe.files import Observed

_data = panel("Data")


@complaining
def observe(
    kind: Annotated[str, typer.Argument(help="predictions, outcomes, feedback or kpis.")],
    file: Annotated[str, typer.Argument(help="CSV, Parquet, Arrow, a folder or pattern of Parquet, or a Delta table.")],
    system: Annotated[str, _data("The system that they are of.")],
    columns: Annotated[str | None, _data("Our names for its columns: id=ticket,time=created_at.")] = None,
    home: Home = None,
    by: By = None,
) -> None:
    """Keep the rows of a file; a row whose id is known is not kept again, so running it twice is safe.

    Exit status: 0 all rows were kept or known, 1 some were rejected, 2 bad input.
    """
    from shelflife.observe.shapes import SENT

    if kind not in SENT:
        raise BadInput(f"Rows are {', '.join(SENT)}; found {kind!r}. {nearest(kind, SENT)}")
    with opened(home) as workspace:
        found = workspace.observe(system, kind, file, columns=_columns(columns), by=somebody(by))
    tell(found)
    raise typer.Exit(1 if found.rejected else 0)


@complaining
def pull(
    system: Annotated[str, typer.Argument(help="The system.")],
    feed: Annotated[str | None, typer.Argument(help="One of its feeds; all that are fetched by default.")] = None,
    home: Home = None,
    by: By = None,
) -> None:
    """Fetch the rows of feeds that are new, as the plan's `pull` says; `shelflife up` does it on schedule.

    Exit status: 0 all rows were kept or known, 1 some were rejected, 2 bad input.
    """
    rejected = 0
    with opened(home) as workspace:
        feeds = workspace.plan(system).plan.feeds
        names = [feed] if feed else [name for name, one in feeds.items() if one.pull is not None]
        if not names:
            raise BadInput(f"The plan of {system} fetches no feed: none of its `feeds` has a `pull`.")
        for name in names:
            typer.echo(f"{name}: ", nl=False)
            found = workspace.pull(system, name, by=somebody(by))
            tell(found)
            rejected += found.rejected
    raise typer.Exit(1 if rejected else 0)


def tell(found: Observed) -> None:
    """Print what became of rows."""
    typer.echo(f"{found.accepted:,} accepted, {found.duplicate:,} known already, {found.rejected:,} rejected.")
    for row, why in found.reasons:
        typer.echo(f"  row {row:,}: {why}", err=True)
    if found.rejected > len(found.reasons):
        typer.echo(f"  and {found.rejected - len(found.reasons):,} more", err=True)
    if found.ignored:
        typer.echo(f"Columns of other things, not kept: {', '.join(found.ignored)}.", err=True)


def _columns(written: str | None) -> dict[str, str]:
    found = {}
    for pair in filter(None, (written or "").split(",")):
        ours, sign, theirs = pair.partition("=")
        if not sign:
            raise BadInput(f"--columns asks for ours=theirs with commas, as id=ticket; found {pair.strip()!r}.")
        found[ours.strip()] = theirs.strip()
    return found
