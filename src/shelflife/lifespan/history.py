"""The user's table made ready: sorted by time, its task known, its columns judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shelflife import tables, trainers
from shelflife.errors import BadInput
from shelflife.lifespan import grid
from shelflife.lifespan.ageing import METRICS, Metric
from shelflife.lifespan.asked import Asked
from shelflife.lifespan.result import Task

_MOST_CLASSES = 1_000
_FEW_VALUES = 10
_MOST_DEFAULT_FEATURES = 1_000


@dataclass(frozen=True)
class History:
    """The sorted table with what the parent process needs of it at hand: times and outcomes."""

    table: tables.SortedTable
    times: NDArray[np.int64]
    outcomes: NDArray[np.float64]
    task: Task
    metric: Metric
    features: tuple[str, ...]
    infinite: tuple[str, ...]
    trainer: trainers.Trainer
    notes: tuple[str, ...]


def read(data: Any, asked: Asked, folder: Path) -> History:
    """Read and sort the table, infer what was not said, and find what cannot be used before any model is trained."""
    table = tables.sort_by_time(
        data, time=asked.time, target=asked.target, features=asked.features, drop=asked.drop, folder=folder
    )
    rows = table.open()
    notes = list(table.notes)
    for count, lack in ((table.untimed, "time"), (table.unlabelled, "outcome")):
        if count:
            notes.append(f"{count:,} rows without {'a' if lack == 'time' else 'an'} {lack} were left out.")
    if table.left_out:
        shown = ", ".join(f"{name} ({kind})" for name, kind in list(table.left_out.items())[:5])
        notes.append(f"Columns of kinds that cannot be learnt from were left out: {shown}.")
    if rows.num_rows < grid.LEAST_TRAINING_ROWS:
        raise grid.too_few_rows(rows.num_rows, table.source, asked.target)
    task, said = _task(rows, asked, table.source)
    notes.append(said)
    outcomes = _outcomes(rows, asked.target, task)
    features = tuple(
        name for name in rows.schema.names if name not in {tables.TIME, tables.ROW, asked.target, tables.WRITTEN}
    )
    if not features:
        raise BadInput(f"{table.source} has no column to learn from beside {asked.time!r} and {asked.target!r}.")
    texts = [name for name in features if _is_free_text(rows, name)]
    trainer = trainers.resolve(asked.model, task, texts_only=len(texts) == len(features))
    if trainer.form == "default" and len(features) > _MOST_DEFAULT_FEATURES:
        raise BadInput(
            f"{table.source} has {len(features):,} columns to learn from; the default learner takes at most"
            f" {_MOST_DEFAULT_FEATURES:,}. Choose with --features, leave out with --drop, or give your own --model."
        )
    infinite = tuple(name for name in features if _has_infinite(rows[name]))
    if infinite:
        notes.append(f"Infinite values in {', '.join(infinite[:5])} count as missing.")
    metric = _metric(asked.metric, task)
    times = rows[tables.TIME].to_numpy()
    return History(table, times, outcomes, task, metric, features, infinite, trainer, tuple(notes))


def _task(rows: pa.Table, asked: Asked, source: str) -> tuple[Task, str]:
    """The task that the target's values speak of, and why."""
    column = rows[asked.target]
    distinct = pc.count_distinct(column).as_py()
    if distinct < 2:
        raise BadInput(
            f"The target {asked.target!r} of {source} is always {column[0].as_py()!r} where it is known; there is"
            " nothing to learn."
        )
    numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if not (numeric or pa.types.is_boolean(column.type) or _is_text(column.type)):
        raise BadInput(f"The target {asked.target!r} holds {column.type}; asked for are classes or numbers.")
    whole = numeric and (pa.types.is_integer(column.type) or pc.all(pc.equal(column, pc.round(column))).as_py())
    task: Task = "classification" if not numeric or (whole and distinct <= _FEW_VALUES) else "regression"
    said = f"Task {task}: the target {asked.target!r} has {distinct:,} distinct values."
    if asked.task is not None:
        if asked.task == "regression" and not numeric:
            raise BadInput(f"--task regression asks for a numeric target; {asked.target!r} holds {column.type}.")
        task, said = asked.task, f"Task {asked.task}, as asked."
    if task == "classification" and distinct > _MOST_CLASSES:
        raise BadInput(
            f"The target {asked.target!r} has {distinct:,} distinct values; at most {_MOST_CLASSES:,} classes are"
            " taken. Is it an identifier, or a number for --task regression?"
        )
    return task, said


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _outcomes(rows: pa.Table, target: str, task: Task) -> NDArray[np.float64]:
    """Outcomes as numbers: their values, or codes of classes in order of first appearance."""
    column = rows[target]
    if task == "classification":
        codes = column.combine_chunks().dictionary_encode()
        codes = codes.combine_chunks() if isinstance(codes, pa.ChunkedArray) else codes
        return np.asarray(codes.indices.to_numpy(zero_copy_only=False), dtype=np.float64)
    values = column.to_numpy().astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        row = rows[tables.ROW][int(wrong[0])].as_py()
        raise BadInput(
            f"The target {target!r} is infinite in {len(wrong):,} rows, first in row {row}. Correct or drop them."
        )
    return cast("NDArray[np.float64]", values)


def _is_free_text(rows: pa.Table, name: str) -> bool:
    """Several words a value and hardly ever the same twice: text, not a category."""
    if not _is_text(rows[name].type):
        return False
    some = rows[name].slice(0, 5_000).drop_null()
    if len(some) == 0:
        return False
    spaces = pc.mean(pc.count_substring(some, " ")).as_py()
    return bool(spaces >= 2 and pc.count_distinct(some).as_py() > len(some) / 2)


def _has_infinite(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_floating(column.type) and pc.any(pc.is_inf(column)).as_py())


def _metric(asked: str | None, task: Task) -> Metric:
    if asked is None:
        return METRICS[task][0]
    if asked not in METRICS[task]:
        raise BadInput(f"--metric for {task} asks for {' or '.join(METRICS[task])}; found {asked!r}.")
    return next(metric for metric in METRICS[task] if metric == asked)
