"""From rows to the Delta tables of their system, each id once, however often and from wherever it comes.

The steps of one batch can each be done again: ids are claimed for the batch in SQL, its rows are appended to the
table, the batch is marked as done. Whoever is killed in between leaves a batch that is not done; whoever comes next
with the same source does the steps again, and each finds what was done before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, delete, insert, select, text, update

from shelflife.errors import BadInput
from shelflife.events import IdErased
from shelflife.observe import ids, left
from shelflife.observe.shapes import KINDS, MOMENT, RowKind, Shape, shape
from shelflife.plan import Plan
from shelflife.store.database import Database
from shelflife.store.schema import batches, delta_tables, ledger
from shelflife.store.tables import Tables

_SKEW = timedelta(minutes=10)
_ABOUT: Mapping[str, str] = {"feedback": "prediction_id", "shadows": "id"}  # whose predictions rows are about


@dataclass(frozen=True)
class Kept:
    """One batch that is done."""

    batch: int
    rows: int
    duplicate: int


def check_fits(tables: Tables, plan: Plan) -> None:
    """Raise `BadInput` where a plan makes another type of a column of which rows are kept already."""
    for kind in KINDS:
        found = tables.open(plan.system, kind)
        if found is None:
            continue
        there = _leaves(pa.schema(found.schema().to_arrow()))
        for name, wanted in _leaves(shape(plan, kind).kept).items():
            if name in there and there[name] != wanted:
                raise BadInput(
                    f"The {kind} of {plan.system} have {name!r} as {_words(there[name])}, and this plan makes it"
                    f" {_words(wanted)}. Rows that are kept do not change: give the column another name."
                )


def _leaves(schema: pa.Schema) -> dict[str, pa.DataType]:
    found = {}
    for field in schema:
        inner = list(field.type) if pa.types.is_struct(field.type) else None
        found.update(
            {f"{field.name}.{one.name}": one.type for one in inner} if inner is not None else {field.name: field.type}
        )
    return found


def fitted(tables: Tables, system: str, shape: Shape, rows: pa.Table) -> pa.Table:
    """Rows in the types of their table, or else of today's plan: it may have changed since they were acknowledged.

    Raises
    ------
    pa.ArrowException
        Where a value is of another type.
    """
    there = tables.open(system, shape.kind)
    wanted = _leaves(shape.kept) | ({} if there is None else _leaves(pa.schema(there.schema().to_arrow())))
    fields = [
        field.with_type(
            pa.struct([one.with_type(wanted.get(f"{field.name}.{one.name}", one.type)) for one in field.type])
            if pa.types.is_struct(field.type) else wanted.get(field.name, field.type)
        )
        for field in rows.schema
    ]  # fmt: skip
    return rows.cast(pa.schema(fields))


def _words(kind: pa.DataType) -> str:
    if pa.types.is_floating(kind):
        return "numbers"
    return {"string": "text", "bool": "true or false"}.get(
        str(kind), "times" if pa.types.is_timestamp(kind) else "vectors"
    )


def keep(
    database: Database, tables: Tables, *, source: str, system: str, kind: RowKind, rows: pa.Table, now: datetime
) -> Kept:
    """Append rows to the table of their kind, those whose id is new.

    Parameters
    ----------
    source
        Where they come from; the same source is kept once, and what was begun is gone on with.
    rows
        In the columns of their shape.
    """
    digests = ids.of_rows(kind, rows)
    batch, redo = _begun(database, source, system, kind, len(rows), now)
    if batch.done:
        return Kept(batch.number, batch.rows, len(rows) - batch.rows)
    mine = _claimed(database, batch, rows, digests)
    if kind in _ABOUT:  # what is said of an erased prediction is not kept either
        with database.reading() as connection:
            mine = np.setdiff1d(mine, _of_erased(connection, system, kind, rows))
    fresh = rows if len(mine) == len(rows) else rows.take(pa.array(mine))
    if len(fresh) and not (redo and tables.has_batch(system, kind, batch.number)):
        tables.append(system, kind, _stamped(database, fresh, digests[mine], system, kind, batch.number, now))
    with database.writing() as connection:
        settled = settle(connection, tables, batch, fresh, digests[mine], since=batch.started, now=now)
        # Whoever took it for gone has finished it where its rows were in their table, and else let go of its ids.
        given_up = not settled and not ids.any_of(connection, system, kind, digests[mine], [batch.number])
    if given_up and len(fresh):
        tables.delete(system, kind, f"batch = {batch.number}")
        raise BadInput(f"Writing {kind} of {system} took so long that it was given up. Try again.")
    return Kept(batch.number, len(fresh), len(rows) - len(fresh))


def _claimed(database: Database, batch: Any, rows: pa.Table, digests: Any) -> Any:
    """The places of the rows that are this batch's own; what others are at work on is waited for."""
    times = rows["time"].cast(pa.int64()).to_numpy()
    until = None
    while True:
        try:
            with database.writing() as connection:
                mine = ids.claim(connection, batch.system, batch.kind, batch.number, digests, times)
                if len(mine) < len(rows):
                    left.check_settled(
                        connection, batch.system, batch.kind, batch.source, batch.number, digests
                    )  # fmt: skip
                return mine
        except left.UnderWay:  # and nothing is claimed
            until = left.waits(until)
            if until is None:
                raise BadInput(
                    f"Some of these {batch.kind} of {batch.system} are being written by another run, or were by one"
                    f" that was killed. Try again in {left.GONE // timedelta(minutes=1)} minutes."
                ) from None


def settle(
    connection: Connection, tables: Tables, batch: Any, rows: pa.Table, digests: Any, *, since: datetime | None,
    now: datetime,
) -> bool:  # fmt: skip
    """Mark a batch as done whose rows are in their table; False where somebody has given it up meanwhile.

    Ids that were erased `since` then (None: ever) are taken out again.
    """
    which = (batches.c.number == batch.number, batches.c.done.is_(None))
    if not connection.execute(update(batches).where(*which).values(done=now, rows=len(rows))).rowcount:
        return False
    if since is None or _erased_since(connection, batch.system, since):
        # It was claimed before somebody erased it, and written after: what was found then was not yet there.
        places = set(ids.taken_back(connection, batch.system, batch.kind, batch.number, digests).tolist())
        places |= set(_of_erased(connection, batch.system, batch.kind, rows))
        tables.erase(batch.system, batch.kind, rows["id"].take(pa.array(sorted(places), pa.int64())).to_pylist())
    _tally(connection, batch.system, batch.kind, rows["time"])
    # Of those that are done the last tells how far one has come; what was kept the ids tell.
    earlier = (batches.c.system == batch.system, batches.c.kind == batch.kind, batches.c.number < batch.number)
    connection.execute(delete(batches).where(*earlier, batches.c.done.is_not(None)))
    return True


def _of_erased(connection: Connection, system: str, kind: RowKind, rows: pa.Table) -> list[int]:
    """The places of what is about predictions that were erased."""
    if kind not in _ABOUT:
        return []
    about = rows[_ABOUT[kind]].to_pylist()
    given = [place for place, one in enumerate(about) if one is not None]
    if not given:
        return []
    found = ids.erased(connection, system, "predictions", ids.digests([about[place] for place in given]))
    return [given[place] for place in found]


def _begun(database: Database, source: str, system: str, kind: RowKind, rows: int, now: datetime) -> tuple[Any, bool]:
    """The batch of a source, and whether somebody began it before."""
    which = (batches.c.source == source, batches.c.system == system, batches.c.kind == kind)
    with database.writing() as connection:
        found = connection.execute(select(batches).where(*which)).one_or_none()
        if found is not None:
            return found, True
        connection.execute(
            insert(batches).values(source=source, system=system, kind=kind, rows=rows, started=now, done=None)
        )
        return connection.execute(select(batches).where(*which)).one(), False


def _erased_since(connection: Connection, system: str, moment: datetime) -> bool:
    """Whether an id of a system was erased since a moment; clocks of machines may differ by some minutes."""
    query = select(ledger.c.number).where(
        ledger.c.system == system, ledger.c.kind == IdErased.kind, ledger.c.at >= moment - _SKEW
    )
    return connection.execute(query.limit(1)).first() is not None


def _tally(connection: Connection, system: str, kind: RowKind, times: pa.ChunkedArray) -> None:
    """Add rows to the volume of their hours, and note the newest."""
    if not len(times):
        return
    hours = pc.value_counts(pc.floor_temporal(times, unit="hour").cast(pa.int64()).combine_chunks())
    this = (delta_tables.c.system == system, delta_tables.c.kind == kind)
    number, newest = connection.execute(select(delta_tables.c.number, delta_tables.c.newest).where(*this)).one()
    latest = pc.max(times).cast(pa.int64()).as_py()
    if newest is None or latest > newest:
        connection.execute(update(delta_tables).where(*this).values(newest=latest))
    counted = [{"delta_table": number, "hour": one["values"], "rows": one["counts"]} for one in hours.to_pylist()]
    connection.execute(
        text("INSERT INTO volumes (delta_table, hour, rows) VALUES (:delta_table, :hour, :rows)"
             " ON CONFLICT (delta_table, hour) DO UPDATE SET rows = volumes.rows + excluded.rows"),
        sorted(counted, key=lambda one: one["hour"]),
    )  # fmt: skip


def _stamped(
    database: Database, rows: pa.Table, digests: Any, system: str, kind: RowKind, batch: int, now: datetime
) -> pa.Table:
    """Rows with when they came, in which batch, and of outcomes when their prediction was made."""
    rows = rows.append_column(pa.field("received", MOMENT), pa.repeat(pa.scalar(now, MOMENT), len(rows)))
    rows = rows.append_column(pa.field("batch", pa.int64()), pa.repeat(pa.scalar(batch, pa.int64()), len(rows)))
    if kind == "outcomes":
        with database.reading() as connection:
            made = ids.times(connection, system, "predictions", digests)
        rows = rows.append_column(pa.field("prediction_time", MOMENT), pa.array(made, pa.int64()).cast(MOMENT))
    return rows
