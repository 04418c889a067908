"""Batches whose writer was killed, and comes no more: what reached its table is kept, the rest may come again.

What comes through the log is gone on with by whoever adopts the log. A run over a file or a feed is one of its own, and
nobody goes on with it: the next run brings the same rows under another name, and is not to take them for known.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, update

from shelflife.observe import ids
from shelflife.observe.shapes import RowKind
from shelflife.store.database import Database
from shelflife.store.schema import batches
from shelflife.store.tables import Tables

_RUNS = ("file:", "pull:")
# No batch takes as long as this; whoever began it longer ago is gone.
GONE = timedelta(minutes=10)
_PATIENCE = 30.0  # seconds in which whoever is at work finishes a batch
_POLL = 0.05


class UnderWay(Exception):
    """Some ids belong to a batch of a run that is not done: neither known nor new yet."""


def check_settled(
    connection: Connection, system: str, kind: RowKind, source: str, batch: int, digests: Any
) -> None:  # fmt: skip
    """Raise `UnderWay` where some ids are claimed by another batch that may never be done."""
    if not source.startswith(_RUNS):  # the log keeps its rows until they are in a table
        return
    query = select(batches.c.number).where(*_open(system), batches.c.number != batch)
    others = connection.execute(query).scalars().all()
    if others and ids.any_of(connection, system, kind, digests, others):
        raise UnderWay


def waits(until: float | None) -> float | None:
    """Wait a moment for others; until when to wait at most, None where that is over."""
    now = time.monotonic()
    last = now + _PATIENCE if until is None else until
    if now >= last:
        return None
    time.sleep(_POLL)
    return last


def finish(database: Database, tables: Tables, system: str, *, now: datetime) -> int:
    """Finish the batches of runs that are gone; how many."""
    from shelflife.observe.keep import settle

    query = select(batches).where(*_open(system), batches.c.started < now - GONE)
    with database.reading() as connection:
        left = connection.execute(query).all()
    for batch in left:
        rows = tables.batch(system, batch.kind, batch.number, ["id", "time"])
        with database.writing() as connection:
            if not len(rows):
                closed = update(batches).where(batches.c.number == batch.number, batches.c.done.is_(None))
                if connection.execute(closed.values(done=now, rows=0)).rowcount:
                    ids.release(connection, system, batch.kind, batch.number)
            else:
                settle(connection, tables, batch, rows, ids.digests(rows["id"]), now=now)
    return len(left)


def _open(system: str) -> tuple[Any, ...]:
    run = func.substr(batches.c.source, 1, len(_RUNS[0])).in_(_RUNS)
    return batches.c.system == system, batches.c.done.is_(None), run
