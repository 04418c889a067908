"""What live rows are compared with: rows of a time that was good, or of a table."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection

from shelflife import tables as doors
from shelflife.durations import micros
from shelflife.errors import BadInput
from shelflife.events import ReferenceTaken
from shelflife.ledger import append
from shelflife.plan import Plan
from shelflife.plan.words import written
from shelflife.profile.reference import Reference
from shelflife.store.database import Database
from shelflife.store.tables import Tables
from shelflife.tables.doors import quoted
from shelflife.watch import state
from shelflife.watch.columns import Columns
from shelflife.watch.rows import due_before, waiting

_MICROSECOND = timedelta(microseconds=1)


def take(
    database: Database, tables: Tables, plan: Plan, *, start: datetime | None, end: datetime | None, now: datetime,
    by: str,
) -> tuple[int, Reference]:  # fmt: skip
    """Learn a reference from the rows that were observed from `start` to before `end`, with the outcomes due by now.

    Raises
    ------
    BadInput
        Where there are no such rows, or none whose outcome is due.
    """
    system = plan.system
    end = end or now
    predictions, outcomes = tables.dataset(system, "predictions"), tables.dataset(system, "outcomes")
    if predictions is None:
        raise BadInput(f"No predictions of {system} were observed yet: a reference needs rows to be learnt from.")
    columns = Columns.of(plan)
    with tempfile.TemporaryDirectory(prefix="shelflife-") as folder:
        path = Path(folder) / "rows.parquet"
        with doors.doors.connection(Path(folder)) as connection:
            length = round(plan.watch.bucket / _MICROSECOND)
            due = due_before(micros(now), length, waiting(plan, length))
            chosen = _selected(connection, predictions, outcomes, columns, due)
            within = "made.time < $end" + ("" if start is None else " AND made.time >= $start")
            given: dict[str, Any] = {"end": end} if start is None else {"end": end, "start": start}
            connection.execute(f"COPY ({chosen} WHERE {within}) TO '{path}' (FORMAT parquet)", given)
            counted = f"SELECT count({quoted(columns.outcome or columns.time)}) FROM '{path}'"  # noqa: S608 - quoted
            (told,) = connection.execute(counted).fetchone() or (0,)
        with doors.open_rows(path, time=columns.time, folder=Path(folder)) as rows:
            if rows.rows == 0:
                between = f" from {start:%Y-%m-%d}" if start is not None else ""
                raise BadInput(f"There are no predictions of {system}{between} before {end:%Y-%m-%d %H:%M}.")
            if told == 0:
                assert plan.model.outcome is not None
                raise BadInput(
                    f"Of none of these {rows.rows:,} predictions of {system} is an outcome known that is due: the plan"
                    f" says that it comes within {written(plan.model.outcome.within)}. Take older predictions, or wait."
                )
            learnt = _learnt(rows, plan, columns)
    source = f"observed {'' if start is None else f'from {start:%Y-%m-%d} '}before {end:%Y-%m-%d %H:%M}"
    with database.writing() as connection:
        number = keep(connection, system, learnt, source=source, start=start, end=end, now=now, by=by)
    return number, learnt


def _selected(connection: Any, predictions: Any, outcomes: Any, columns: Columns, due: int) -> str:
    """The query of predictions with what turned out true."""
    connection.register("made", predictions)
    inputs = predictions.schema.field("inputs").type
    have = {inputs.field(i).name for i in range(inputs.num_fields)}
    parts = [f"made.time AS {quoted(columns.time)}", f"made.prediction AS {quoted(columns.prediction)}"]
    parts += [f"made.inputs.{quoted(name)} AS {quoted(name)}" for name in columns.inputs if name in have]
    if len(columns.scores) == 1:
        parts.append(f"made.score AS {quoted(columns.scores[0])}")
    else:
        score = predictions.schema.field("score").type if columns.scores else None
        parts += [
            f"made.score.{quoted(score.field(place).name)} AS {quoted(name)}"
            for place, name in enumerate(columns.scores)
            if score is not None
        ]
    if columns.outcome is None:
        return f"SELECT {', '.join(parts)} FROM made"  # noqa: S608 - quoted
    if outcomes is None:
        raise BadInput("The plan names an outcome, and none was observed yet: a reference needs to know what was true.")
    connection.register("truth", outcomes.to_table(columns=["id", "outcome"]))
    # Of those that are not due yet only some are known, and they are seldom typical.
    there = f"made.time < make_timestamptz({due})"
    parts.append(f"CASE WHEN {there} THEN truth.outcome END AS {quoted(columns.outcome)}")
    return f"SELECT {', '.join(parts)} FROM made LEFT JOIN truth ON truth.id = made.id"  # noqa: S608 - quoted


def learn(plan: Plan, rows: pa.Table) -> Reference:
    """Learn a reference from rows that are at hand.

    Parameters
    ----------
    rows
        ``time``, the plan's inputs, ``prediction``, ``outcome``, and the scores by the plan's names.
    """
    columns = Columns.of(plan)
    parts = {columns.time: rows["time"], columns.prediction: rows["prediction"]}
    parts |= {name: rows[name] for name in columns.inputs if name in rows.column_names}
    called = zip(plan.model.score, columns.scores, strict=True)
    parts |= {ours: rows[theirs] for theirs, ours in called if theirs in rows.column_names}
    if columns.outcome is not None:
        parts[columns.outcome] = rows["outcome"]
    with (
        tempfile.TemporaryDirectory(prefix="shelflife-") as folder,
        doors.open_rows(pa.table(parts), time=columns.time, folder=Path(folder)) as opened,
    ):
        return _learnt(opened, plan, columns)


def _learnt(rows: Any, plan: Plan, columns: Columns) -> Reference:
    return Reference.learn(
        rows, time=columns.time, bucket=written(plan.watch.bucket), prediction=columns.prediction,
        score=columns.scores, outcome=columns.outcome, segments=plan.model.segments, kinds=columns.inputs,
        task=plan.model.task,
    )  # fmt: skip


def keep(
    connection: Connection, system: str, learnt: Reference, *, source: str, start: datetime | None, end: datetime,
    now: datetime, by: str,
) -> int:  # fmt: skip
    """Compare live rows with a reference from now on; its number."""
    number, sha256 = state.add_reference(
        connection, system, learnt, source=source, start=start, end=end.astimezone(UTC), at=now, by=by
    )
    count = int(learnt.profile.whole().rows.sum())
    append(connection, ReferenceTaken(system, number, count, source, sha256), at=now, by=by)
    return number
