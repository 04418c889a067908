"""``shelflife check``: is the current data still what the reference promises?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelflife.cli.frame import answer, names, panel
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
    data,
    roles,
    running,
)  # fmt: skip

if TYPE_CHECKING:
    from rich.console import Console

    from shelflife.check.result import Check, Finding

_promise, _results = panel("Promise"), panel("Results")

Reference = Annotated[str, data("What was good: a table, or a profile made by `shelflife profile`.")]
Current = Annotated[str, data("What is now: a table, or a profile counted with that reference.")]
Bucket = Annotated[str | None, data("Slice of time that is watched: 1h, 1d (default), 1w.")]
Id = Annotated[str | None, data("Column that names rows; it is not compared.")]
Config = Annotated[Path | None, data("YAML file with any of these options; those given here win.")]
Segments = Annotated[str | None, roles("Columns by whose values performance is also watched apart, with commas.")]
Season = Annotated[str | None, _promise("day, week, year or none (default): what a bucket is compared with.")]
Tolerance = Annotated[str | None, _promise("How far a share may move before it matters; 0.05 by default.")]
FalseAlarms = Annotated[
    str | None, _promise("The budget: 1/180d by default; without a time column a level, 0.01 by default.")
]
Shuffled = Annotated[
    bool | None, _promise("Also measure false alarms on your own buckets, shuffled within seasons.", "--audit")
]
Engine = Annotated[str | None, running("threads (default), processes, dask[=ADDRESS], ray or spark.")]
Report = Annotated[Path | None, _results("Write the HTML report here.")]
Json = Annotated[str | None, _results("Write the JSON here; - for standard output.")]


def check(
    reference: Reference,
    current: Current,
    time: Time = None,
    bucket: Bucket = None,
    exclude: Exclude = None,
    id: Id = None,  # noqa: A002 - the word that people use
    config: Config = None,
    prediction: Prediction = None,
    score: Score = None,
    outcome: Outcome = None,
    text: Text = None,
    segments: Segments = None,
    kinds: Kinds = None,
    task: Task = None,
    season: Season = None,
    tolerance: Tolerance = None,
    false_alarms: FalseAlarms = None,
    audit: Shuffled = None,
    engine: Engine = None,
    jobs: Jobs = None,
    report: Report = None,
    json: Json = None,
) -> None:
    """Is the current data still what the reference promises?

    Every column, and performance where outcomes or scores are given, is watched with a stated budget of false alarms.

    Exit status: 0 pass, 1 findings, 2 bad input, 3 unknown (too little data to tell).
    """
    given = {
        "time": time, "bucket": bucket, "exclude": names(exclude), "id": id, "prediction": prediction,
        "score": names(score), "outcome": outcome, "text": names(text), "segments": names(segments),
        "kinds": kinds, "task": task, "season": season, "tolerance": tolerance, "false_alarms": false_alarms,
        "audit": audit, "engine": engine, "jobs": jobs,
    }  # fmt: skip

    def work() -> Check:
        from shelflife.check import config as configuring
        from shelflife.check.run import check as checked

        options = configuring.read(config) if config is not None else {}
        options |= {name: value for name, value in given.items() if value is not None}
        if isinstance(options.get("kinds"), str):
            options["kinds"] = configuring.kinds(options["kinds"])
        return checked(reference, current, **options)

    files = {"Report": (report, _report)}
    raise typer.Exit(
        answer(
            work, _print, files=files, json=json, status=lambda result: result.exit_code, inputs=(reference, current)
        )
    )


def _report(result: Check) -> str:
    return result.report()


def _print(console: Console, result: Check, written: list[tuple[str, Path]]) -> None:
    from shelflife.check import says
    from shelflife.look import words

    sign = {"pass": "✓ pass", "fail": "✗ fail", "unknown": "? unknown"}[result.verdict]
    console.print()
    console.print(f"{sign}: {result.says}", style="bold", markup=False)
    if result.findings:
        console.print()
        for finding in result.findings[:_MOST]:
            _print_finding(console, finding)
        if len(result.findings) > _MOST:
            console.print(f"and {len(result.findings) - _MOST} more, in the report (--report) and the JSON (--json).")
    shown = [row for row in result.performance if row.segment is None and not row.of_class]
    if shown:
        console.print(_performance(shown))
    moved = sorted((c for c in result.columns if c.js is not None), key=lambda c: -(c.js or 0.0))[:_MOST]
    if moved:
        console.print(_columns(moved, len(result.columns)))
    console.print(
        f"Budget: {says.budget(result.false_alarms)}; {words.plural(result.streams, 'stream')} over"
        f" {words.plural(result.buckets, 'bucket')}; {words.seconds(result.seconds)}.",
        style="dim", markup=False,
    )  # fmt: skip
    if result.audit is not None:
        console.print(says.audit(result.audit), style="dim", markup=False)
    for note in result.notes:
        console.print(f"• {note}", style="dim", markup=False)
    for kind, path in written:
        console.print(f"{kind}: {path.resolve()}", markup=False, soft_wrap=True)


_MOST = 10


def _print_finding(console: Console, finding: Finding) -> None:
    from rich.text import Text as Line

    from shelflife.look import words

    harm = finding.severity == "page"
    line = Line()
    line.append(f"{'■ harm ' if harm else '□ drift'} {finding.code}  ", style="bold red" if harm else "bold yellow")
    line.append(finding.says)
    told = []
    if finding.at is not None:
        told.append(f"noticed {words.date(finding.at)}")
    if finding.log10_evidence is not None:
        told.append(f"evidence {words.evidence(finding.log10_evidence)}")
    if told:
        line.append(f" ({', '.join(told)})", style="dim")
    console.print(line)


def _number(value: float | None) -> str:
    from shelflife.look import words

    return "" if value is None else words.number(value)


def _performance(rows: list[Any]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Performance", no_wrap=True)
    for heading in ("Reference", "Observed", "Estimated", "90 % interval", "Promised"):
        table.add_column(heading, justify="right")
    for row in rows:
        ends = "" if row.low is None else f"{_number(row.low)}–{_number(row.high)}"
        values = [_number(value) for value in (row.reference, row.observed, row.estimated)]
        table.add_row(row.metric.replace("_", " "), *values, ends, _number(row.limit))
    return table


def _columns(columns: list[Any], total: int) -> Any:
    from rich import box
    from rich.table import Table

    from shelflife.look import words

    most = (
        f"Columns, most moved first ({len(columns)} of {total})"
        if total > len(columns)
        else "Columns, most moved first"
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(most, overflow="fold")
    table.add_column("Kind", no_wrap=True)
    for heading in ("Missing", "Never seen", "PSI", "JS", "KS"):
        table.add_column(heading, justify="right", no_wrap=True)
    for column in columns:
        shares = ["" if value is None else words.share(value) for value in (column.null_share, column.unseen_share)]
        values = ["" if value is None else f"{value:.3f}" for value in (column.psi, column.js, column.ks)]
        table.add_row(_plain(column.name), column.kind, *shares, *values)
    return table


def _plain(name: str) -> Any:
    from rich.text import Text as Line

    return Line("".join(letter if letter.isprintable() else "\ufffd" for letter in name))
