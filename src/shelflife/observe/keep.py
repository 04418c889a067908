"""From rows to the Delta tables of their system, each id once, however often and from wherever it comes.

The steps of one batch can each be done again: ids are claimed for the batch in SQL, its rows are appended to the
table, the batch is marked as done. Whoever is killed in between leaves a batch that is not done; whoever comes next
with the same source does the steps again, and each finds what was done before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, bindparam, insert, select, update

from shelflife.observe.rows import digest
from shelflife.observe.shapes import MOMENT, RowKind
from shelflife.store.database import Database
from shelflife.store.schema import batches, observed
from shelflife.store.tables import Tables

_AT_ONCE = 500  # ids in one query: SQLite takes 32,766 parameters, PostgreSQL's planner likes fewer


@dataclass(frozen=True)
class Kept:
    """One batch that is done."""

    batch: int
    rows: int
    duplicate: int


def known(connection: Connection, system: str, kind: RowKind, ids: list[bytes]) -> set[bytes]:
    """Those of some ids (by digest) that were observed before."""
    found: set[bytes] = set()
    query = select(observed.c.id).where(
        observed.c.system == system, observed.c.kind == kind, observed.c.id.in_(bindparam("ids", expanding=True))
    )
    for start in range(0, len(ids), _AT_ONCE):
        found.update(connection.execute(query, {"ids": ids[start : start + _AT_ONCE]}).scalars())
    return found


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
    digests = [digest(one) for one in rows["id"].to_pylist()]
    times = rows["time"].cast(pa.int64()).to_numpy()
    batch, redo = _begun(database, source, system, kind, len(rows), now)
    if batch.done:
        return Kept(batch.number, batch.rows, len(rows) - batch.rows)
    mine = _claimed(database, system, kind, batch.number, digests, times)
    places = _firsts(digests, mine)
    fresh = rows if len(places) == len(rows) else rows.take(pa.array(places))
    if len(fresh) and not (redo and tables.has_batch(system, kind, batch.number)):
        tables.append(system, kind, _stamped(database, fresh, system, kind, batch.number, now))
    with database.writing() as connection:
        connection.execute(update(batches).where(batches.c.number == batch.number).values(done=now, rows=len(fresh)))
    return Kept(batch.number, len(fresh), len(rows) - len(fresh))


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


def _claimed(
    database: Database, system: str, kind: RowKind, batch: int, digests: list[bytes], times: Any
) -> set[bytes]:
    """Claim ids for a batch; those that are its own now."""
    # In one order for all, so that two writers of the same ids do not wait for each other; by the driver's own words,
    # since a million ids pass here.
    order = np.argsort(np.array(digests, dtype="S16")).tolist()
    moments = times.tolist()
    values = [(system, kind, digests[place], moments[place], batch) for place in order]
    mark = "?" if database.is_sqlite else "%s"
    claim = (
        f"INSERT INTO observed (system, kind, id, time, batch) VALUES ({', '.join([mark] * 5)})"  # noqa: S608 - marks
        " ON CONFLICT DO NOTHING"
    )
    mine: set[bytes] = set()
    with database.writing() as connection:
        if not values or connection.exec_driver_sql(claim, values).rowcount == len(values):
            return set(digests)  # all are new, as nearly always
        query = select(observed.c.id).where(
            observed.c.system == system, observed.c.kind == kind, observed.c.batch == batch,
            observed.c.id.in_(bindparam("ids", expanding=True)),
        )  # fmt: skip
        for start in range(0, len(digests), _AT_ONCE):
            mine.update(connection.execute(query, {"ids": digests[start : start + _AT_ONCE]}).scalars())
    return mine


def _firsts(digests: list[bytes], mine: set[bytes]) -> Any:
    """The places of the first row of each id that is ours."""
    if len(mine) == len(digests):
        return np.arange(len(digests))
    left = set(mine)
    places = []
    for place, one in enumerate(digests):
        if one in left:
            left.discard(one)
            places.append(place)
    return np.array(places, dtype=np.int64)


def _stamped(database: Database, rows: pa.Table, system: str, kind: RowKind, batch: int, now: datetime) -> pa.Table:
    """Rows with when they came, in which batch, and of outcomes when their prediction was made."""
    rows = rows.append_column(pa.field("received", MOMENT), pa.array([now] * len(rows), MOMENT))
    rows = rows.append_column(pa.field("batch", pa.int64()), pa.array(np.full(len(rows), batch)))
    if kind == "outcomes":
        made = _prediction_times(database, system, [digest(one) for one in rows["id"].to_pylist()])
        rows = rows.append_column(pa.field("prediction_time", MOMENT), pa.array(made, pa.int64()).cast(MOMENT))
    return rows


def _prediction_times(database: Database, system: str, digests: list[bytes]) -> list[int | None]:
    query = select(observed.c.id, observed.c.time).where(
        observed.c.system == system, observed.c.kind == "predictions",
        observed.c.id.in_(bindparam("ids", expanding=True)),
    )  # fmt: skip
    found: dict[bytes, int] = {}
    with database.reading() as connection:
        for start in range(0, len(digests), _AT_ONCE):
            chunk = {"ids": digests[start : start + _AT_ONCE]}
            found.update((row.id, row.time) for row in connection.execute(query, chunk))
    return [found.get(one) for one in digests]
