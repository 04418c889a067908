"""``shelflife lifespan``: how long do my models last?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelflife.cli.frame import answer, names, panel

if TYPE_CHECKING:
    from rich.console import Console

    from shelflife.lifespan import Lifespan


_data, _models, _promise = panel("Data"), panel("Models"), panel("Promise")
_costs, _running, _results = panel("Costs"), panel("Running"), panel("Results")

History = Annotated[
    str, typer.Argument(help="CSV (also .gz), Parquet (file, folder, glob), Arrow IPC, or a Delta table's folder.")
]
Time = Annotated[str, _data("Column of times.")]
Target = Annotated[str, _data("Column of outcomes: what was to be predicted.")]
Task = Annotated[str | None, _data("classification or regression; inferred and said.")]
Features = Annotated[str | None, _data("Columns to learn from, with commas; all others by default.")]
Drop = Annotated[str | None, _data("Columns to leave out, with commas.")]
LabelDelay = Annotated[str, _data("How long an outcome takes to be known, as 7d.")]
Model = Annotated[str | None, _models("module:name of an estimator, a class or factory, or train(X, y, *, seed).")]
Every = Annotated[str | None, _models("A fresh model every so often, as 7d; by default to suit the history.")]
Window = Annotated[str | None, _models("How much past a model learns from, as 26w, or all; a quarter by default.")]
Origins = Annotated[int, _models("Models to watch as they age.")]
MaxAge = Annotated[str | None, _models("Longest age to watch, as 1y.")]
Tolerance = Annotated[
    str | None,
    _promise(
        "How much worse than fresh is acceptable: 0.02 (default for classes), or 10% of the fresh loss (numbers)."
    ),
]
Confidence = Annotated[float, _promise("Of intervals and verdicts.")]
Metric = Annotated[str | None, _promise("error or brier; absolute_error or squared_error.")]
Shuffled = Annotated[bool, _promise("Measure again in random order of time: nothing may age.", "--control")]
CostPerError = Annotated[float | None, _costs("What one error (unit of loss) costs.")]
CostPerRenewal = Annotated[float | None, _costs("What one renewal costs.")]
RowsPerDay = Annotated[float | None, _costs("Predictions a day; the history's by default.")]
Engine = Annotated[str, _running("processes, threads, dask[=ADDRESS], ray or spark.")]
Jobs = Annotated[int | None, _running("Models trained at once; as many as there are cores.")]
Seed = Annotated[int, _running("Same input, options and seed: same answer.")]
Report = Annotated[Path | None, _results("Write the HTML report here.")]
Badge = Annotated[Path | None, _results("Write the SVG badge here.")]
Json = Annotated[str | None, _results("Write the JSON here; - for standard output.")]


def lifespan(
    history: History,
    time: Time,
    target: Target,
    task: Task = None,
    features: Features = None,
    drop: Drop = None,
    label_delay: LabelDelay = "0d",
    model: Model = None,
    every: Every = None,
    window: Window = None,
    origins: Origins = 24,
    max_age: MaxAge = None,
    tolerance: Tolerance = None,
    confidence: Confidence = 0.9,
    metric: Metric = None,
    control: Shuffled = False,
    cost_per_error: CostPerError = None,
    cost_per_renewal: CostPerRenewal = None,
    rows_per_day: RowsPerDay = None,
    engine: Engine = "processes",
    jobs: Jobs = None,
    seed: Seed = 0,
    report: Report = None,
    badge: Badge = None,
    json: Json = None,
) -> None:
    """How long do my models last? Answered from a labelled table with a time column.

    Models are trained at many past moments and age beside a model that is always fresh, on the same rows.

    Exit status: 0 answered, 2 bad input, 3 not enough history to answer.
    """
    options = {
        "time": time, "target": target, "task": task, "features": names(features), "drop": names(drop) or (),
        "label_delay": label_delay, "model": model, "every": every, "window": window, "origins": origins,
        "max_age": max_age, "tolerance": tolerance, "confidence": confidence, "metric": metric, "control": control,
        "cost_per_error": cost_per_error, "cost_per_renewal": cost_per_renewal, "rows_per_day": rows_per_day,
        "engine": engine, "jobs": jobs, "seed": seed,
    }  # fmt: skip
    raise typer.Exit(run(history, options, report=report, badge=badge, json=json))


def run(history: str, options: dict[str, Any], *, report: Path | None, badge: Path | None, json: str | None) -> int:
    """Measure, write what was asked for and print the answer; the exit status."""
    files = {"Report": (report, _report), "Badge": (badge, _badge)}
    return answer(lambda: _measure(history, options), _print, files=files, json=json, status=_status, inputs=(history,))


def _report(result: Lifespan) -> str:
    return result.report()


def _badge(result: Lifespan) -> str:
    return result.badge()


def _status(result: Lifespan) -> int:
    return 3 if result.lifespan.verdict == "unknown" else 0


def _measure(history: str, options: dict[str, Any]) -> Lifespan:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Models trained"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=None)

        def show(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        from shelflife.lifespan.measure import lifespan as measure

        return measure(history, progress=show, **options)


def _print(console: Console, result: Lifespan, written: list[tuple[str, Path]]) -> None:
    from shelflife.lifespan import says
    from shelflife.look import words

    console.print()
    console.print(result.says, style="bold", markup=False)
    if result.lifespan.verdict != "unknown":
        console.print(says.best_before(result.data.end, result.best_before, result.data.every_days), markup=False)
    console.print()
    console.print(_table(result))
    if result.data.task == "classification":
        console.print("Excess: points of error above a fresh model, on the same rows.", style="dim")
    cheapest = [c for c in result.cadence if c.every_days == result.recommended_cadence_days]
    for cadence in cheapest:
        console.print(
            f"The cheapest cadence is a renewal {words.every(cadence.every_days)}:"
            f" {words.number(cadence.cost_per_year)} a year.",
            markup=False,
        )
    windows = "all known rows" if result.window_days is None else f"the {words.days(result.window_days)} before"
    console.print(says.made_of(windows, result.data.every_days, len(result.origins)), style="dim", markup=False)
    console.print(
        f"{result.ingredients.code}; {words.seconds(result.seconds)} on {words.plural(result.jobs, 'job')}.",
        style="dim", markup=False,
    )  # fmt: skip
    for note in result.notes:
        console.print(f"• {note}", style="dim", markup=False)
    for kind, path in written:
        console.print(f"{kind}: {path.resolve()}", markup=False, soft_wrap=True)


def _table(result: Lifespan) -> Any:
    from rich import box
    from rich.table import Table

    from shelflife.look import words

    task = result.data.task
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Age", no_wrap=True)
    interval = f"{words.share(result.lifespan.confidence)} interval"
    for heading in ("Models", "Loss", "Fresh", "Excess", interval, "Still good"):
        table.add_column(heading, justify="right", no_wrap=True)

    def excess(value: float) -> str:
        return words.excess(value, task, sign=True).removesuffix(" points").removesuffix(" point")

    for point in _some(result.curve):
        good = [s for s in result.survival if s.age_days <= point.age_days]
        seen = result.survival and point.age_days <= result.survival[-1].age_days
        table.add_row(
            words.age(point.age_days, result.data.every_days),
            str(point.origins),
            words.loss(point.loss, task),
            words.loss(point.fresh_loss, task),
            excess(point.excess),
            f"{excess(point.excess_low)} to {excess(point.excess_high)}",
            words.share(good[-1].survival) if seen else "–",
        )
    return table


def _some(curve: Any, most: int = 10) -> list[Any]:
    """Ages for a small table: closer together where models are young."""
    points = [p for p in curve if p.age_days > 0]
    if len(points) <= most:
        return points
    last = len(points) - 1
    chosen = sorted({round(last ** (i / (most - 1))) - (1 if i == 0 else 0) for i in range(most)} | {last})
    return [points[i] for i in chosen]
