"""The ledger as people read it: what was done, by whom, when and why."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from shelflife import events
from shelflife.store.schema import ledger
from shelflife.system import System

PAGE = 100
_OWN = ("says", "because", "reason")


@dataclass(frozen=True)
class Done:
    """One event in words."""

    number: int
    at: datetime
    system: str | None
    by: str
    kind: str
    says: str
    about: tuple[tuple[str, str], ...]
    finding: int | None


@dataclass(frozen=True)
class Record:
    """A page of events, the newest first; `next` is where the next page begins, None where this is the last."""

    done: tuple[Done, ...]
    next: int | None


def record(
    system: System, *, name: str | None = None, before: int | None = None, finding: int | None = None
) -> Record:  # fmt: skip
    """Events, of one system or all, earlier than one by its number; or those of a finding.

    Raises `BadInput` where there is no such system.
    """
    if name is not None:
        system.check_known(name)
    query = select(ledger).order_by(ledger.c.number.desc())
    if name is not None:
        query = query.where(ledger.c.system == name)
    if before is not None:
        query = query.where(ledger.c.number < before)
    if finding is not None:
        said = f'"finding":{finding}'
        ends = or_(*(ledger.c.body.contains(said + end) for end in ",}"))  # else 1 were in 10 as well
        query = query.where(ledger.c.kind.startswith("finding."), ends)
    with system.database.reading() as connection:
        rows = connection.execute(query.limit(PAGE + 1)).all()
    done = [_done(row) for row in rows[:PAGE]]
    if finding is not None:
        done = [one for one in done if one.finding == finding]
    return Record(tuple(done), rows[PAGE - 1].number if len(rows) > PAGE else None)


def _done(row: Any) -> Done:
    body = json.loads(row.body)
    return Done(
        row.number, row.at, row.system, row.by, row.kind, _says(row.kind, body), _about(body), body.get("finding")
    )


def _says(kind: str, body: dict[str, Any]) -> str:
    """What an event tells: its own words where it has any, else what the kind of event is."""
    own = next((str(body[name]) for name in _OWN if body.get(name)), None)
    if own is not None and "finding" in body and kind != "finding.opened":
        return f"Finding {body['finding']} is {kind.partition('.')[2]}: {own}"
    if own is not None:
        return own
    found = events.kinds().get(kind)
    if found is None:
        return kind
    # The sentence says what happened; what follows in it says what its fields mean.
    return re.split(r"[;:(]| \(", (found.__doc__ or kind).splitlines()[0])[0].strip(" .,") + "."


def _about(body: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Its fields, but for words that are told anyway and digests that nobody reads."""
    return tuple(
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in body.items()
        if value is not None and name not in {*_OWN, "system", "sha256", "digest", "finding"}
    )
