"""Batches whose writer was killed, and comes no more: what reached its table is kept, the rest may come again.

What comes through the log is gone on with by whoever adopts the log. A run over a file or a feed is one of its own, and
nobody goes on with it: the next run brings the same rows under another name, and is not to take them for known.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, update

from shelflife.clock import Clock
from shelflife.observe import ids
from shelflife.observe.shapes import RowKind
from shelflife.store.database import Database
from shelflife.store.schema import batches
from shelflife.store.tables import Tables

_RUNS = ("file:", "pull:")
# Whoever did not tell for so long that it is at work is gone.
GONE = timedelta(minutes=10)
_PATIENCE = 30.0  # seconds in which whoever is at work finishes a batch
_POLL = 0.05
_TELLS = 60.0  # seconds between telling that one is at work
_log = logging.getLogger("shelflife.observe")


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


@contextmanager
def running(database: Database, run: str, clock: Clock) -> Iterator[None]:
    """While this lasts the batches of a run are not taken for those of one that is gone, however long they take."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(_TELLS):
            try:
                renew(database, run, now=clock.now())
            except Exception:  # noqa: BLE001 - a database that is away comes back
                _log.exception("it cannot be told that %s is at work; it is tried again", run)

    thread = threading.Thread(target=tell, name="shelflife-running", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def renew(database: Database, run: str, *, now: datetime) -> None:
    """Tell that a run is at work."""
    own = batches.c.source.startswith(f"{run}:", autoescape=True), batches.c.done.is_(None)
    with database.writing() as connection:
        connection.execute(update(batches).where(*own).values(started=now))


def finish(database: Database, tables: Tables, system: str, *, now: datetime) -> int:
    """Finish the batches of runs that are gone; how many."""
    query = select(batches).where(*_open(system), batches.c.started < now - GONE)
    return _finish(database, tables, query, now)


def give_up(database: Database, tables: Tables, source: str, *, now: datetime) -> None:
    """Finish the batches of a source that nobody goes on with."""
    _finish(database, tables, select(batches).where(batches.c.source == source, batches.c.done.is_(None)), now)


def _finish(database: Database, tables: Tables, query: Any, now: datetime) -> int:
    from shelflife.observe.keep import settle

    with database.reading() as connection:
        left = connection.execute(query).all()
    for batch in left:
        more = {"feedback": ["prediction_id"], "shadows": ["version"]}.get(batch.kind, [])
        rows = tables.batch(batch.system, batch.kind, batch.number, ["id", "time", *more])
        with database.writing() as connection:
            if not len(rows):
                closed = update(batches).where(batches.c.number == batch.number, batches.c.done.is_(None))
                if connection.execute(closed.values(done=now, rows=0)).rowcount:
                    ids.release(connection, batch.system, batch.kind, batch.number)
            else:
                # Since when it ran is not known any more: its beginning was renewed.
                settle(connection, tables, batch, rows, ids.of_rows(batch.kind, rows), since=None, now=now)
    return len(left)


def _open(system: str) -> tuple[Any, ...]:
    run = func.substr(batches.c.source, 1, len(_RUNS[0])).in_(_RUNS)
    return batches.c.system == system, batches.c.done.is_(None), run
