"""The way in: rows are on the disk before they are acknowledged, and in their tables soon after.

One thread commits: it takes whatever waits, sees which ids are new, writes them to the log with one fsync and answers
all of them. Another drains: every few seconds it seals the log's segment and keeps the rows of all that are sealed in
the Delta tables, also of processes that are gone. Both can be killed at any moment, and whatever fails is tried again.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shelflife.clock import Clock
from shelflife.observe import ids
from shelflife.observe.rows import from_json
from shelflife.observe.segments import Key, move, packed
from shelflife.observe.shapes import RowKind, Shape
from shelflife.store.database import Database
from shelflife.store.log import Log, adopted
from shelflife.store.tables import Tables

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
    shape
        The columns of a kind of row of a system by its newest plan.
    drain_every
        Seconds between moves from the log into the tables.
    most_bytes
        How much may wait, in memory and in the log, before senders are told to come again.
    """

    def __init__(
        self, database: Database, tables: Tables, folder: Path, clock: Clock, *,
        shape: Callable[[str, RowKind], Shape], drain_every: float = 2.0, most_bytes: int = 256_000_000,
    ) -> None:  # fmt: skip
        self._database, self._tables, self._clock = database, tables, clock
        self._shape = shape
        self._folder, self._drain_every, self._most_bytes = folder, drain_every, most_bytes
        self._log = Log(folder)
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        self._sealed = 0
        self._wake = threading.Condition()
        # The ids in each segment, the oldest first, until its rows are kept.
        self._recent: dict[Path, dict[Key, set[bytes]]] = {}
        self._draining = threading.Lock()
        self._writing = threading.Lock()  # the log, between committing and sealing
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"shelflife-{name}", daemon=True)
            for name, target in (("commit", self._commit_forever), ("drain", self._drain_forever))
        ]

    def start(self) -> None:
        """Begin; what a process that is gone has left is taken in meanwhile."""
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
        """Move what the log holds into the tables, oldest first; how many rows. Also called by itself."""
        with self._draining:
            with self._writing:
                self._sealed += self._log.size
                self._log.seal()
                sealed = [segment for segment in self._recent if segment != self._log.open]
            try:
                return self._move_all((segment, True) for segment in sealed)
            finally:
                self._sealed = sum(segment.stat().st_size for segment in sealed if segment.exists())

    def adopt(self) -> int:
        """Keep what processes that are gone have left in their logs; how many rows. Also called by itself."""
        with self._draining, adopted(self._folder) as segments:
            # A folder's last one was open, and may end in what was never acknowledged.
            last = {segment.parent: segment for segment in sorted(segments)}
            return self._move_all((segment, segment != last[segment.parent]) for segment in segments)

    def close(self) -> None:
        """Answer all who wait, drain the log and stop."""
        self._stop.set()
        with self._wake:
            self._wake.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._commit()
        self._tried(self.drain)
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
            waiting, self._waiting, self._bytes = self._waiting, [], 0
        # From here on nobody takes theirs back; whoever did before gets no answer.
        group = [one for one in waiting if one.done.set_running_or_notify_cancel()]
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
        together: dict[Key, list[_Waiting]] = defaultdict(list)
        for one in group:
            together[one.system, one.kind].append(one)
        fresh: dict[tuple[Key, pa.Schema], list[pa.Table]] = defaultdict(list)  # a plan may change a type
        added: dict[Key, set[bytes]] = defaultdict(set)
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
                held = [recent[key] for recent in self._recent.values() if key in recent]
                for waiting in some:
                    duplicates = []
                    for place, name in enumerate(waiting.digests):
                        if name in before[key] or name in added[key] or any(name in some for some in held):
                            duplicates.append(place)
                        else:
                            added[key].add(name)
                    assert waiting.rows is not None
                    kept = len(waiting.rows) - len(duplicates)
                    receipts[id(waiting)] = Receipt(kept, tuple(duplicates), waiting.rejected, waiting.ignored)
                    if kept:
                        fresh[key, waiting.rows.schema].append(_without(waiting.rows, duplicates))
            made = [packed(key, tables) for (key, _), tables in fresh.items()]
            if made:
                self._log.append(made)
            for key, new in added.items():
                self._recent.setdefault(self._log.open, defaultdict(set))[key] |= new
        return [receipts[id(one)] for one in group]

    def _drain_forever(self) -> None:
        self._tried(self.adopt)
        while not self._stop.wait(self._drain_every):
            self._tried(self.drain)
            self._tried(self.adopt)

    @staticmethod
    def _tried(step: Callable[[], int]) -> None:
        try:
            step()
        except Exception:  # noqa: BLE001 - whatever it is, the log keeps the rows
            _log.exception("the log cannot be moved into the tables; it is tried again")

    def _move(self, segment: Path, *, sealed: bool) -> int:
        return move(
            self._database, self._tables, segment, sealed=sealed, shape=self._shape, now=self._clock.now()
        )  # fmt: skip

    def _move_all(self, segments: Iterable[tuple[Path, bool]]) -> int:
        """Move segments, and whether each was sealed; one that cannot be moved yet holds up no other."""
        moved = 0
        failed: Exception | None = None
        for segment, sealed in segments:
            try:
                moved += self._move(segment, sealed=sealed)
            except Exception as error:  # noqa: BLE001 - it is raised in the end
                failed = error
                if self._stop.is_set():
                    break
            else:
                with self._writing:
                    self._recent.pop(segment, None)
        if failed is not None:
            raise failed
        return moved


def _without(rows: pa.Table, places: list[int]) -> pa.Table:
    if not places:
        return rows
    gone = set(places)
    return rows.take(pa.array([place for place in range(len(rows)) if place not in gone], pa.int64()))
