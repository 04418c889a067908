"""Rows from files: read in batches, kept by the same steps as any others, each chunk of a run as one source."""

from __future__ import annotations

import tempfile
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa

from shelflife import tables as doors
from shelflife.clock import Clock
from shelflife.events import RowsObserved
from shelflife.ledger import append
from shelflife.observe import left
from shelflife.observe.keep import Kept, keep
from shelflife.observe.rows import Read, check_columns, from_arrow
from shelflife.observe.shapes import Shape
from shelflife.store.database import Database
from shelflife.store.tables import Tables

# In one commit: the more, the fewer times a page of the index of ids is written; a wide table reaches the bytes first.
_ROWS = 500_000
_BYTES = 250_000_000
_AT_ONCE = 2  # chunks under way
_TOLD = 20  # reasons that are told


@dataclass(frozen=True)
class Observed:
    """What became of rows that were read; some of the reasons for those rejected, by their row from 1."""

    accepted: int
    duplicate: int
    rejected: int
    reasons: tuple[tuple[int, str], ...]
    ignored: tuple[str, ...]


class Tally:
    """What becomes of rows, counted while they pass."""

    def __init__(self) -> None:
        self._seen = self._accepted = self._duplicate = self._rejected = 0
        self._reasons: list[tuple[int, str]] = []
        self._ignored: set[str] = set()

    def read(self, read: Read, rows: int) -> None:
        """So many rows were read, these of them can be used."""
        told = islice(read.rejected.items(), _TOLD - len(self._reasons))
        self._reasons += [(self._seen + place + 1, why) for place, why in told]
        self._rejected += len(read.rejected)
        self._ignored.update(read.ignored)
        self._seen += rows

    def kept(self, kept: Kept) -> None:
        """A batch is done."""
        self._accepted += kept.rows
        self._duplicate += kept.duplicate

    def done(self) -> Observed:
        """All of it."""
        return Observed(
            self._accepted, self._duplicate, self._rejected, tuple(self._reasons), tuple(sorted(self._ignored))
        )


def observe(
    database: Database, tables: Tables, shape: Shape, system: str, path: str | Path, *,
    columns: Mapping[str, str] | None, clock: Clock, by: str,
) -> Observed:  # fmt: skip
    """Keep the rows of a file, folder, pattern or Delta table; a row whose id is known is not kept again.

    Raises
    ------
    BadInput
        Where the file cannot be read or lacks a column that was named.
    """
    tally = Tally()
    # A run of its own: ids, not the file's name, are what keeps a row from being kept twice.
    run = f"file:{uuid.uuid4().hex}"
    left.finish(database, tables, system, now=clock.now())
    with (
        tempfile.TemporaryDirectory(prefix="shelflife-") as folder,
        doors.open_rows(path, time=None, folder=Path(folder)) as rows,
        left.running(database, run, clock),
    ):
        check_columns(rows.schema.names, shape, columns)
        whole = False
        try:
            _keep_all(database, tables, shape, system, rows, tally, columns=columns, clock=clock, run=run)
            whole = True
        finally:
            done = tally.done()
            if whole or done.accepted:  # what was kept is told also where the run ends early
                event = RowsObserved(system, shape.kind, str(path), done.accepted, done.duplicate, done.rejected)
                with database.writing() as connection:
                    append(connection, event, at=clock.now(), by=by)
    return done


def _keep_all(
    database: Database, tables: Tables, shape: Shape, system: str, rows: doors.Rows, tally: Tally, *,
    columns: Mapping[str, str] | None, clock: Clock, run: str,
) -> None:  # fmt: skip
    under_way: deque[Future[Kept]] = deque()
    # While one chunk is written the next is read and its ids are claimed.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for number, table in enumerate(_chunks(rows)):
                now = clock.now()
                read = from_arrow(table, shape, now=now, columns=columns)
                tally.read(read, len(table))
                under_way.append(
                    pool.submit(
                        keep, database, tables, source=f"{run}:{number}", system=system, kind=shape.kind,
                        rows=read.table, now=now,
                    )
                )  # fmt: skip
                if len(under_way) >= _AT_ONCE:
                    tally.kept(under_way.popleft().result())
        finally:
            for one in under_way:
                if one.exception() is None:
                    tally.kept(one.result())
        for one in under_way:
            one.result()


def _chunks(rows: doors.Rows) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    count = size = 0
    for batch in rows.batches(rows.schema.names):
        waiting.append(batch)
        count, size = count + batch.num_rows, size + batch.nbytes
        if count >= _ROWS or size >= _BYTES:
            yield pa.Table.from_batches(_alike(waiting))
            waiting, count, size = [], 0, 0
    if count:
        yield pa.Table.from_batches(_alike(waiting))


def _alike(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Batches whose texts are no dictionaries, which differ from batch to batch."""
    return [
        pa.RecordBatch.from_arrays(
            [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in batch.columns],
            names=batch.schema.names,
        )
        for batch in batches
    ]
