"""What was done: one event for every change of state, in the same transaction, chained by hashes.

An event's hash is of all that it says and of the hash before it, so that what was written once cannot be changed,
taken out or put elsewhere without every later hash being wrong; the head, kept apart, tells of events cut off the end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from shelflife.events import Event
from shelflife.store.schema import heads, ledger

_FIRST = "0" * 64
_LAZILY = {"yield_per": 1000}  # of one query: a connection that had it could write nothing more to PostgreSQL


@dataclass(frozen=True)
class Entry:
    """One event as the ledger keeps it."""

    number: int
    at: datetime
    kind: str
    system: str | None
    by: str
    body: dict[str, Any]
    previous: str
    hash: str

    def to_cloudevent(self) -> dict[str, Any]:
        """The event as CloudEvents 1.0 writes it in JSON."""
        event = {
            "specversion": "1.0", "id": str(self.number), "source": "shelflife", "type": f"shelflife.{self.kind}",
            "time": self.at.isoformat(), "datacontenttype": "application/json", "data": self.body,
            "shelflifeby": self.by, "shelflifeprevious": self.previous, "shelflifehash": self.hash,
        }  # fmt: skip
        return event if self.system is None else {**event, "subject": self.system}


@dataclass(frozen=True)
class Verified:
    """Whether the ledger is whole: how many events hold, its head, and else the first that does not and why.

    ``met`` is whether the hash that was asked for is one of its events'.
    """

    events: int
    head: str
    broken: int | None = None
    says: str = "every event holds"
    met: bool = True

    @property
    def whole(self) -> bool:
        """Whether every event holds, and the hash that was asked for is among theirs."""
        return self.broken is None and self.met


def append(connection: Connection, event: Event, *, at: datetime, by: str) -> Entry:
    """Write an event into the ledger, in the transaction of the change that it tells of.

    The head is locked until the transaction ends, so that the events of several writers stand in one row.
    """
    head = connection.execute(select(heads.c.number, heads.c.hash).with_for_update()).one_or_none()
    number, previous = (head.number + 1, head.hash) if head is not None else (1, _FIRST)
    at = at.astimezone(UTC)
    body = json.dumps(event.body(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    made = _hash(number, at, event.kind, event.subject, by, body, previous)
    connection.execute(
        insert(ledger).values(
            number=number, at=at, kind=event.kind, system=event.subject, by=by, body=body, previous=previous, hash=made
        )
    )
    if head is None:
        connection.execute(insert(heads).values(one=1, number=number, hash=made))
    else:
        connection.execute(update(heads).values(number=number, hash=made))
    return Entry(number, at, event.kind, event.subject, by, event.body(), previous, made)


def entries(
    connection: Connection, *, system: str | None = None, since: datetime | None = None, kind: str | None = None
) -> Iterator[Entry]:
    """Events in their order: all, or those of a system, since a moment, of a kind."""
    query = select(ledger).order_by(ledger.c.number)
    if system is not None:
        query = query.where(ledger.c.system == system)
    if since is not None:
        query = query.where(ledger.c.at >= since)
    if kind is not None:
        query = query.where(ledger.c.kind == kind)
    with closing(connection.execute(query, execution_options=_LAZILY)) as rows:
        for row in rows:
            yield Entry(row.number, row.at, row.kind, row.system, row.by, json.loads(row.body), row.previous, row.hash)


def verify(connection: Connection, *, head: str | None = None) -> Verified:
    """Whether any event was changed, taken out, put elsewhere or added by another hand.

    Parameters
    ----------
    connection
        To read with.
    head
        A hash that was noted elsewhere at some time: that it is still in the ledger proves that all before it stands.
    """
    with closing(connection.execute(select(ledger).order_by(ledger.c.number), execution_options=_LAZILY)) as rows:
        count, previous, met, broken = _followed(rows, head)
    if broken is not None:
        return broken
    kept = connection.execute(select(heads.c.number, heads.c.hash)).one_or_none()
    number, at_head = (kept.number, kept.hash) if kept is not None else (0, _FIRST)
    if number > count:
        return Verified(count, previous, count + 1, f"events {count + 1} to {number} are missing at the end")
    if (number, at_head) != (count, previous):
        return Verified(count, previous, number + 1, f"events after {number} were not written by Shelflife")
    if not met:
        says = f"no event has the hash {head}: the ledger is another one, or was rewritten from its start"
        return Verified(count, previous, None, says, met=False)
    return Verified(count, previous)


def _followed(rows: Iterable[Any], head: str | None) -> tuple[int, str, bool, Verified | None]:
    """How many events follow each other, the hash of the last, whether `head` is among them, and what is wrong."""
    count, previous, met = 0, _FIRST, head is None
    for row in rows:
        expected = count + 1
        if row.number != expected:
            says = f"event {expected} is missing; the next one that is there is {row.number}"
        elif row.previous != previous:
            says = f"event {row.number} does not follow the one before it"
        elif row.hash != _hash(row.number, row.at, row.kind, row.system, row.by, row.body, row.previous):
            says = f"event {row.number} ({row.kind}) does not say what it said"
        else:
            count, previous, met = row.number, row.hash, met or row.hash == head
            continue
        return count, previous, met, Verified(count, previous, expected, says)
    return count, previous, met, None


def latest(connection: Connection) -> int:
    """The number of the last event, 0 before the first."""
    return int(connection.execute(select(func.coalesce(func.max(ledger.c.number), 0))).scalar_one())


def _hash(number: int, at: datetime, kind: str, system: str | None, by: str, body: str, previous: str) -> str:
    said = json.dumps([number, at.isoformat(), kind, system, by, body, previous], ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()
