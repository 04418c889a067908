"""The way in: rows are on the disk before they are acknowledged, and in their tables soon after.

One thread commits: it takes whatever waits, sees which ids are new, writes them to the log with one fsync and answers
all of them. Another drains: it seals the log's segment every few seconds and keeps its rows in the Delta tables. Both
can be killed at any moment; the next process adopts the segments that are left and keeps them once.
"""

from __future__ import annotations

import json
import logging
import struct
import threading
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shelflife.clock import Clock
from shelflife.observe import ids
from shelflife.observe.keep import keep
from shelflife.observe.rows import from_json
from shelflife.observe.shapes import RowKind, Shape
from shelflife.store.database import Database
from shelflife.store.log import Log, adopted, records
from shelflife.store.tables import Tables

_HEAD = struct.Struct("<I")
_log = logging.getLogger("shelflife.observe")


class Full(Exception):
    """More waits than is held; the sender is to come again."""


class Broken(Exception):
    """The log cannot be written; nothing was accepted."""


@dataclass(frozen=True)
class Receipt:
    """What became of the rows of one submission.

    Attributes
    ----------
    accepted
        How many are on the disk now.
    duplicates
        Places, among the rows that can be used, of those that were there before.
    rejected
        Why, by the place of each row that cannot be used; of rows that came as they were sent.
    ignored
        Names of what was given and is not known; likewise.
    """

    accepted: int
    duplicates: tuple[int, ...]
    rejected: Mapping[int, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


@dataclass
class _Waiting:
    """One submission: columns, or rows as they were sent, which become columns together with those of others."""

    system: str
    kind: RowKind
    rows: pa.Table | None
    sent: list[Any]
    shape: Shape | None
    size: int
    done: Future[Receipt] = field(default_factory=Future)
    rejected: Mapping[int, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    digests: list[bytes] = field(default_factory=list)


class Intake:
    """Takes rows in durably.

    Parameters
    ----------
    database, tables
        Where ids and rows are kept.
    folder
        The folder of all logs, on a disk of this machine.
    clock
        Tells when rows came.
    drain_every
        Seconds between moves from the log into the tables.
    most_bytes
        How much may wait, in memory and in the log, before senders are told to come again.
    """

    def __init__(
        self, database: Database, tables: Tables, folder: Path, clock: Clock, *, drain_every: float = 2.0,
        most_bytes: int = 256_000_000,
    ) -> None:  # fmt: skip
        self._database, self._tables, self._clock = database, tables, clock
        self._folder, self._drain_every, self._most_bytes = folder, drain_every, most_bytes
        self._log = Log(folder)
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        self._sealed = 0
        self._wake = threading.Condition()
        self._recent: dict[tuple[str, str], set[bytes]] = defaultdict(set)
        self._draining = threading.Lock()
        self._writing = threading.Lock()  # the log, between committing and sealing
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"shelflife-{name}", daemon=True)
            for name, target in (("commit", self._commit_forever), ("drain", self._drain_forever))
        ]

    def start(self) -> None:
        """Take in what a process that is gone has left, and begin."""
        self.adopt()
        for thread in self._threads:
            thread.start()

    def now(self) -> datetime:
        """The moment by which rows are judged."""
        return self._clock.now()

    def submit(
        self, system: str, kind: RowKind, rows: pa.Table, *, rejected: Mapping[int, str] | None = None,
        ignored: tuple[str, ...] = (),
    ) -> Future[Receipt]:  # fmt: skip
        """Hand in rows, in the columns of their shape; the future is done when they are on the disk.

        Whoever read them says what of them was rejected and ignored, for the receipt.

        Raises
        ------
        Full
            Where too much waits already.
        """
        waiting = _Waiting(system, kind, rows, [], None, rows.nbytes)
        waiting.rejected, waiting.ignored = rejected or {}, ignored
        return self._wait(waiting)

    def send(self, system: str, shape: Shape, rows: list[Any], size: int) -> Future[Receipt]:
        """Hand in rows as they were sent, of so many bytes; otherwise as `submit`.

        A single row becomes columns together with all that wait, which costs little more than for one alone.
        """
        return self._wait(_Waiting(system, shape.kind, None, rows, shape, size))

    def _wait(self, waiting: _Waiting) -> Future[Receipt]:
        with self._wake:
            if self._bytes + self._log.size + self._sealed > self._most_bytes:
                raise Full
            self._waiting.append(waiting)
            self._bytes += waiting.size
            self._wake.notify()
        return waiting.done

    def drain(self) -> int:
        """Move what the log holds into the tables; how many rows. Also called by itself."""
        with self._draining:
            with self._writing:
                segment = self._log.seal()
                # From here on new rows stand in the next segment; those of this one are known until it is kept.
                drained = {key: set(some) for key, some in self._recent.items()}
                self._sealed = sum(path.stat().st_size for path in self._log.folder.glob("*.log"))
            if segment is None:
                return 0
            moved = self._keep(segment)
            with self._writing:
                for key, some in drained.items():
                    self._recent[key] -= some
                self._sealed = 0
            return moved

    def adopt(self) -> int:
        """Keep what processes that are gone have left in their logs; how many rows."""
        with adopted(self._folder) as segments:
            return sum(self._keep(segment) for segment in segments)

    def close(self) -> None:
        """Answer all who wait, drain the log and stop."""
        self._stop.set()
        with self._wake:
            self._wake.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._commit()
        self.drain()
        self._log.close()

    # ------------------------------------------------------------------------------------------------------------------

    def _commit_forever(self) -> None:
        while not self._stop.is_set():
            with self._wake:
                while not self._waiting and not self._stop.is_set():
                    self._wake.wait()
            self._commit()

    def _commit(self) -> None:
        """Write all that waits as one group."""
        with self._wake:
            group, self._waiting, self._bytes = self._waiting, [], 0
        if not group:
            return
        try:
            receipts = self._written(group)
        except Exception as error:  # noqa: BLE001 - whatever it was, each of them has to be told
            _log.exception("the log cannot be written")
            for one in group:
                one.done.set_exception(Broken(str(error)))
            return
        for one, receipt in zip(group, receipts, strict=True):
            one.done.set_result(receipt)

    def _columns(self, group: list[_Waiting]) -> None:
        """Make columns of rows that came as they were sent, those of one shape together."""
        alike: dict[tuple[str, int], list[_Waiting]] = defaultdict(list)
        for one in group:
            if one.rows is None:
                alike[one.system, id(one.shape)].append(one)
        for some in alike.values():
            shape = some[0].shape
            assert shape is not None
            read = from_json([row for one in some for row in one.sent], shape, now=self._clock.now())
            start = 0
            for one in some:
                end = start + len(one.sent)
                first, last = np.searchsorted(read.places, [start, end])
                one.rows = read.table.slice(first, last - first)
                one.rejected = {place - start: why for place, why in read.rejected.items() if start <= place < end}
                if read.ignored:  # seldom, and then it has to be told whose it was
                    one.ignored = from_json(one.sent, shape, now=self._clock.now()).ignored
                start = end
        for one in group:
            assert one.rows is not None
            one.digests = ids.digests(one.rows["id"]).tolist()

    def _written(self, group: list[_Waiting]) -> list[Receipt]:
        self._columns(group)
        together: dict[tuple[str, RowKind], list[_Waiting]] = defaultdict(list)
        for one in group:
            together[one.system, one.kind].append(one)
        fresh: dict[tuple[str, RowKind], list[pa.Table]] = defaultdict(list)
        added: dict[tuple[str, RowKind], set[bytes]] = defaultdict(set)
        receipts: dict[int, Receipt] = {}
        with self._writing:
            # An id is known from the log until it is known from the database: both are asked under one lock.
            with self._database.reading() as connection:
                before = {
                    key: ids.known(
                        connection, *key, np.array([one for each in some for one in each.digests], ids.DIGEST)
                    )
                    for key, some in together.items()
                }
            for key, some in together.items():
                recent = self._recent[key]
                for waiting in some:
                    duplicates = []
                    for place, name in enumerate(waiting.digests):
                        if name in before[key] or name in recent or name in added[key]:
                            duplicates.append(place)
                        else:
                            added[key].add(name)
                    assert waiting.rows is not None
                    kept = len(waiting.rows) - len(duplicates)
                    receipts[id(waiting)] = Receipt(kept, tuple(duplicates), waiting.rejected, waiting.ignored)
                    if kept:
                        fresh[key].append(_without(waiting.rows, duplicates))
            made = [_packed(key, tables) for key, tables in fresh.items()]
            if made:
                self._log.append(made)
            for key, new in added.items():
                self._recent[key] |= new
        return [receipts[id(one)] for one in group]

    def _drain_forever(self) -> None:
        while not self._stop.wait(self._drain_every):
            try:
                self.drain()
            except Exception:  # noqa: BLE001 - whatever it is, the log keeps the rows
                # What is not kept stays in the log, and is adopted by whoever starts next.
                _log.exception("the log cannot be moved into the tables; it is tried again")
                self._retry()

    def _retry(self) -> None:
        with self._draining:
            for segment in sorted(self._log.folder.glob("*.log"))[:-1]:
                try:
                    self._keep(segment)
                except Exception:  # noqa: BLE001 - as above
                    _log.exception("still not")
                    return

    def _keep(self, segment: Path) -> int:
        """Keep the rows of a sealed segment, and remove it."""
        tables: dict[tuple[str, RowKind], list[pa.Table]] = defaultdict(list)
        for record in records(segment):
            key, table = _unpacked(record)
            tables[key].append(table)
        source = f"log:{segment.parent.name}/{segment.stem}"
        moved = 0
        failed: Exception | None = None
        for (system, kind), parts in sorted(tables.items(), key=lambda item: item[0]):
            try:
                rows = pa.concat_tables(parts, promote_options="permissive")
                moved += keep(
                    self._database, self._tables, source=source, system=system, kind=kind, rows=rows,
                    now=self._clock.now(),
                ).rows  # fmt: skip
            except Exception as error:  # noqa: BLE001 - what cannot be kept must not hold up what can
                _log.error("the %s of %s cannot be kept: %s", kind, system, error)
                failed = error
        if failed is not None:
            raise failed
        segment.unlink()
        return moved


def _without(rows: pa.Table, places: list[int]) -> pa.Table:
    if not places:
        return rows
    gone = set(places)
    return rows.take(pa.array([place for place in range(len(rows)) if place not in gone], pa.int64()))


def _packed(key: tuple[str, RowKind], tables: list[pa.Table]) -> bytes:
    head = json.dumps(key).encode()
    rows = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, rows.schema) as writer:
        writer.write_table(rows)
    return b"".join([_HEAD.pack(len(head)), head, out.getvalue()])


def _unpacked(record: bytes) -> tuple[tuple[str, RowKind], pa.Table]:
    (length,) = _HEAD.unpack_from(record)
    start = _HEAD.size
    system, kind = json.loads(record[start : start + length])
    return (system, kind), pa.ipc.open_stream(pa.py_buffer(record)[start + length :]).read_all()
