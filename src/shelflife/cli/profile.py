"""``shelflife profile``: count a table once, so that it need not be read again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelflife.cli.frame import check_writable, complain, names, panel
from shelflife.cli.options import (
    Exclude,
    Jobs,
    Kinds,
    Outcome,
    Prediction,
    Score,
    Task,
    Text,
    Time,
    roles,
    running,
)  # fmt: skip
from shelflife.cli.options import data as data_option
from shelflife.errors import BadInput, ShelflifeError

if TYPE_CHECKING:
    from shelflife.profile import Profile

_results = panel("Results")

Data = Annotated[list[str], typer.Argument(help="A table; with --merge two or more profiles.")]
Out = Annotated[Path, _results("Write the profile here.")]
Merge = Annotated[bool, data_option("Add profiles of one reference instead of counting a table.", "--merge")]
Reference = Annotated[str | None, data_option("Count in the cells of this reference; by default the table is its own.")]
Bucket = Annotated[str | None, data_option("Slice of time: 1h, 1d (default), 1w.")]
Segments = Annotated[str | None, roles("Columns by whose commonest values rows are also counted apart, with commas.")]
Engine = Annotated[str, running("threads, processes, dask[=ADDRESS], ray or spark.")]


def profile(
    data: Data,
    out: Out,
    merge: Merge = False,
    reference: Reference = None,
    time: Time = None,
    bucket: Bucket = None,
    exclude: Exclude = None,
    prediction: Prediction = None,
    score: Score = None,
    outcome: Outcome = None,
    text: Text = None,
    segments: Segments = None,
    kinds: Kinds = None,
    task: Task = None,
    engine: Engine = "threads",
    jobs: Jobs = None,
) -> None:
    """Count a table by bucket into a profile: small, additive, and all that `shelflife check` needs of it.

    Profiles of one reference can be added (--merge): that of a week is the sum of its days.

    Exit status: 0 done, 2 bad input.
    """
    learnt: dict[str, Any] = {
        "time": time, "bucket": bucket or "1d", "exclude": names(exclude) or (), "prediction": prediction,
        "score": names(score) or (), "outcome": outcome, "segments": names(segments) or (), "task": task,
    }  # fmt: skip
    try:
        from shelflife.check import config

        learnt["kinds"] = {**dict.fromkeys(names(text) or (), "text"), **config.kinds(kinds or "")}
        check_writable(out, () if merge else [*data, *([reference] if reference else [])])
        if merge:
            made = _merged(data)
        else:
            if len(data) != 1:
                raise BadInput(f"One table is asked for; found {len(data)}. To add profiles, say --merge.")
            made = _counted(data[0], reference, learnt, bucket, engine, jobs, out)
    except ShelflifeError as error:
        complain(error)
        raise typer.Exit(error.exit_code) from error
    except OSError as error:
        complain(BadInput(f"Cannot write {str(out)!r}: {error.strerror}."))
        raise typer.Exit(2) from error
    if merge:
        made.save(out)
    _print(made, out)


def _merged(paths: list[str]) -> Profile:
    from shelflife.profile import Profile
    from shelflife.profile.counts import merged

    profiles: list[Profile] = []
    for path in paths:
        found = Profile.open(path)
        twin = next((other for other, known in zip(paths, profiles, strict=False) if known == found), None)
        if twin is not None and found.rows.sum():
            raise BadInput(
                f"{path} counts exactly what {twin} does: its rows would count twice. Give each profile once."
            )
        profiles.append(found)
    return merged(profiles)


def _counted(
    data: str, reference: str | None, learnt: dict[str, Any], bucket: str | None, engine: str, jobs: int | None,
    out: Path,
) -> Profile:  # fmt: skip
    import tempfile

    from shelflife import engines, tables
    from shelflife.check import asked, spread
    from shelflife.profile import Reference as Learnt

    runs_on = engines.parse(engine, jobs)
    with tempfile.TemporaryDirectory(prefix="shelflife-") as folder:
        if reference is not None:
            before = spread.saved(reference)
            if before is not None:
                asked.agree(before.layout, asked.of_reference({**learnt, "bucket": bucket}))
            known = before or spread.opened(reference, learnt, runs_on, Path(folder) / "reference")
            with tables.open_rows(data, time=known.layout.time, folder=Path(folder)) as rows:
                made, untimed = spread.count(known.layout, rows, set(), runs_on)
            made.save(out)
            if untimed:
                typer.echo(f"• {untimed:,} rows without a time were left out.", err=True)
            return made
        with tables.open_rows(data, time=learnt["time"], folder=Path(folder)) as rows:
            found: Learnt = spread.learn(rows, learnt, runs_on)
    found.save(out)
    for note in found.notes:
        typer.echo(f"• {note}", err=True)
    return found.profile


def _print(made: Profile, out: Path) -> None:
    from shelflife.look import words

    whole = made.whole()
    columns = sum(part.kind != "outcome" for part in made.layout.parts)
    typer.echo(
        f"{words.plural(int(whole.rows.sum()), 'row')} in {words.plural(len(whole.rows), 'bucket')},"
        f" {words.plural(columns, 'column')}; reference {made.layout.id[:12]}."
    )
    typer.echo(f"Profile: {out.resolve()} ({out.stat().st_size / 1e6:.1f} MB)")
