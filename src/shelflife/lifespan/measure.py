"""`lifespan`: train models at many past moments, let them age beside fresh ones, and say how long they last."""

from __future__ import annotations

import tempfile
import time as clock
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelflife import engines
from shelflife.errors import BadInput, TrainerFailed
from shelflife.lifespan import asked as asking
from shelflife.lifespan import assemble, expiry, grid
from shelflife.lifespan import history as reading
from shelflife.lifespan.ageing import Aged, FileRows, Job, Recipe, ShippedRows, age, release
from shelflife.lifespan.asked import Asked
from shelflife.lifespan.assemble import Measured
from shelflife.lifespan.history import History
from shelflife.lifespan.pairs import Pairing, Pairs, Stream, scale_of
from shelflife.lifespan.result import Lifespan, Task
from shelflife.trainers import quiet

Progress = Callable[[int, int], None]

_ROUNDING = 1e-12
_DIED = (
    "A worker process died while it trained: it was killed for want of memory, or the trainer ended it."
    " Try --jobs 1, a shorter --window, or fewer columns."
)


def lifespan(
    data: Any,
    *,
    time: str,
    target: str,
    task: Task | None = None,
    features: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    model: Any = None,
    every: str | timedelta | None = None,
    window: str | timedelta | None = None,
    origins: int = 24,
    max_age: str | timedelta | None = None,
    tolerance: float | str | None = None,
    confidence: float = 0.9,
    label_delay: str | timedelta = "0d",
    metric: str | None = None,
    seed: int = 0,
    engine: str = "processes",
    jobs: int | None = None,
    cost_per_error: float | None = None,
    cost_per_renewal: float | None = None,
    rows_per_day: float | None = None,
    control: bool = False,
    progress: Progress | None = None,
) -> Lifespan:
    """Measure how long models last, from any labelled table with a time column.

    A fresh model is trained at the start of every slice of time; `origins` of them are kept and age: each is scored
    on all that came later, beside the model that was fresh then, on the same rows. Excess loss is therefore ageing,
    not a harder season. Each model's end is told by a test by betting that may be looked at at any time, and dated
    where the excess over the tolerance began; survival is Kaplan-Meier over the models.

    Parameters
    ----------
    data
        A path (CSV, Parquet, Arrow IPC, a Delta folder, a folder or glob of Parquet) or a frame that speaks Arrow.
    time, target
        Columns: when each row happened, and what was to be predicted.
    task
        ``classification`` or ``regression``; inferred from the target.
    features, drop
        Columns to learn from (default: all others), and to leave out.
    model
        ``module:name``, an estimator, an estimator class or factory, or ``train(X, y, *, seed)`` returning an object
        with ``predict``. Default: skrub's tabular pipeline, or TF-IDF and a linear model where all features are free
        text.
    every
        Length of a slice, as ``7d``; chosen by the length of the history.
    window
        How much of the past a model learns from, as ``26w``, or ``all``; default about a quarter of the history.
    origins
        How many models to watch, spread evenly.
    max_age
        Longest age to watch.
    tolerance
        How much worse than fresh is acceptable: ``0.02`` in units of the metric, or ``"10%"`` of the fresh loss.
        Default 0.02 for classification, 10 % for regression.
    confidence
        Of intervals; each model's expiry is told at level ``1 - confidence``.
    label_delay
        How long an outcome takes to be known; younger rows are not learnt from.
    metric
        ``error`` or ``brier`` for classification, ``absolute_error`` or ``squared_error`` for regression; the first
        is the default.
    seed
        Given to every model and to the resampling; the same seed gives the same answer on every engine.
    engine, jobs
        ``processes``, ``threads``, ``dask``, ``dask=ADDRESS``, ``ray`` or ``spark``; how many models train at once.
    cost_per_error, cost_per_renewal, rows_per_day
        What one unit of loss and one renewal cost, for the cadence table; rows a day default to the history's.
    control
        Measure again with the rows in random order of time, where nothing can age.
    progress
        Called with the number of models trained and their total.

    Returns
    -------
    Lifespan
        Frozen values; ``.says`` is the answer in words, ``.report()`` a page, ``.to_json()`` the contract.

    Raises
    ------
    BadInput
        Where something given cannot be used.
    NotEnoughHistory
        Where the history is too short to answer.

    Examples
    --------
    >>> from shelflife.testing import histories
    >>> steady = histories.drifting(days=120, rows_per_day=20, seed=1)
    >>> result = lifespan(steady, time="ts", target="y", every="1w", window="4w", model=histories.fast_model, jobs=1)
    >>> result.lifespan.verdict
    'no expiry seen'
    """
    began = clock.perf_counter()
    asked = asking.read(
        time, target, task, features, drop, model, every, window, origins, max_age, tolerance, confidence, label_delay,
        metric, seed, cost_per_error, cost_per_renewal, rows_per_day,
    )  # fmt: skip
    runner = engines.parse(engine, jobs)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="shelflife-", ignore_cleanup_errors=True))
        stack.callback(release)
        history = reading.read(data, asked, Path(folder))
        measured = _measure(history, asked, runner, _counting(progress, 2 if control else 1, 0), shuffle=None)
        shuffled = None
        if control:
            shuffled = _measure(history, asked, runner, _counting(progress, 2, 1), shuffle=asked.seed)
    result = assemble.result(history, asked, measured, shuffled)
    seconds = measured.seconds + (shuffled.seconds if shuffled else 0.0)
    return replace(
        result,
        engine=engine,
        jobs=runner.jobs,
        seconds=round(clock.perf_counter() - began, 3),
        seconds_training=round(seconds / runner.jobs, 3),
    )


def _counting(progress: Progress | None, rounds: int, done_rounds: int) -> Progress:
    if progress is None:
        return lambda done, total: None
    return lambda done, total: progress(done + done_rounds * total, total * rounds)


def _measure(
    history: History, asked: Asked, runner: engines.Engine, progress: Progress, *, shuffle: int | None
) -> Measured:
    """Train every fresh model, score those that are watched as they age, and test them."""
    cuts = grid.cut(
        history.times,
        every=asked.every,
        window=asked.window,
        everything=asked.everything,
        delay=asked.delay,
        origins=asked.origins,
        max_age=asked.max_age,
    )
    rows = FileRows(history.table.path, history.table.untimed + history.table.unlabelled, shuffle)
    total = int(cuts.usable.sum())
    progress(0, total)
    aged: dict[int, Aged] = {}
    fresh = np.full(len(history.times), np.nan)
    # What a perfect model is off by is the rounding of floating numbers, of which 10 % more is no ageing.
    nothing = 0.0 if history.task == "classification" else _ROUNDING * float(np.abs(history.outcomes).max())
    if history.metric == "squared_error":
        nothing **= 2
    warned: set[str] = set()
    with ExitStack() as stack:
        said = _share(stack) if runner.name == "threads" else []
        for done, result in enumerate(
            runner.run(age, _jobs(history, asked, cuts, rows, runner), died=TrainerFailed(_DIED)), start=1
        ):
            first, last = cuts.scoring[result.slice]
            losses = np.where(result.losses > nothing, result.losses, 0)
            fresh[first:last] = losses[: last - first]
            aged[result.slice] = replace(result, losses=losses if result.slice in cuts.origins else np.empty(0))
            warned.update(result.warnings)
            progress(done, total)
    warned.update(said)
    scored = fresh[~np.isnan(fresh)]
    pairs = _pair(history, asked, cuts, aged, fresh, scored)
    ended = expiry.expire(pairs, cuts.origins, cuts.ages, 1 - asked.confidence)
    # In a fixed order, so that sums do not depend on which model was done first.
    seconds = float(sum(aged[s].seconds for s in sorted(aged)))
    return Measured(cuts, pairs, ended, float(scored.mean()), seconds, tuple(sorted(warned)))


def _share(stack: ExitStack) -> list[str]:
    """Set once what is global to a process whose threads all train: one numerical thread each, and no warnings."""
    from threadpoolctl import threadpool_limits

    stack.enter_context(threadpool_limits(limits=1))
    return stack.enter_context(quiet())


def _jobs(history: History, asked: Asked, cuts: grid.Grid, rows: FileRows, runner: engines.Engine) -> Iterator[Job]:
    """One job a usable slice; the models that are watched first, since they take longest."""
    trainer = history.trainer.pickled(by_value=not runner.shares_files)
    recipe = Recipe(
        trainer, history.features, history.infinite, asked.target, history.metric, asked.seed, runner.name == "threads"
    )
    watched = {int(s): cuts.last_row(place) for place, s in enumerate(cuts.origins)}
    usable = [int(s) for s in np.flatnonzero(cuts.usable)]
    for s in sorted(usable, key=lambda s: (s not in watched, s)):
        first, stop = int(cuts.scoring[s, 0]), watched.get(s, int(cuts.scoring[s, 1]))
        trained = (int(cuts.training[s, 0]), int(cuts.training[s, 1]))
        given: Any = rows
        if not runner.shares_files:
            given = ShippedRows.of(rows, trained[0], stop, [*history.features, asked.target])
        born = history.table.moment(cuts.births[s]).isoformat(sep=" ", timespec="minutes")
        yield Job(s, given, trained, (first, stop), born, recipe)


def _pair(
    history: History,
    asked: Asked,
    cuts: grid.Grid,
    aged: dict[int, Aged],
    fresh: NDArray[np.float64],
    scored: NDArray[np.float64],
) -> Pairs:
    bounded = history.task == "classification"
    promise = asked.promise(history.task)
    stream = Stream(promise, scale_of(scored, promise, bounded=bounded), binary=history.metric == "error")
    if stream.limit >= 1:
        raise BadInput(f"--tolerance {asked.tolerance} allows any loss that there is; choose a smaller one.")
    gathered = Pairing(len(cuts.origins), int(cuts.ages.max()) + 1, stream)
    for place, (s, oldest) in enumerate(zip(cuts.origins, cuts.ages, strict=True)):
        first = cuts.scoring[s, 0]
        edges = np.concatenate([cuts.scoring[s : s + oldest + 1, 0], [cuts.last_row(place)]]) - first
        gathered.add(place, edges, aged[int(s)].losses, fresh[first : cuts.last_row(place)])
    return gathered.done()
