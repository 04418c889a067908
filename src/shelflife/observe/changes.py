"""What changes in the business: a product, a policy, a price, a process; when it takes effect, and who said so.

A change is never edited: one that does not come, or comes otherwise, is withdrawn, and another one recorded.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from shelflife.errors import BadInput, Missing
from shelflife.events import ChangeRecorded, ChangeWithdrawn
from shelflife.ledger import append
from shelflife.store.schema import changes

_LONGEST = 2_000  # characters
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Change:
    """A change in the business.

    Attributes
    ----------
    effective
        From when on it is so.
    recorded
        When it was said, by whom and why.
    withdrawn
        When it was taken back; None where it stands.
    """

    number: int
    system: str
    what: str
    effective: datetime
    recorded: datetime
    by: str
    because: str
    withdrawn: datetime | None


def record(
    connection: Connection, system: str, what: str, effective: datetime, *, because: str, now: datetime, by: str
) -> Change:  # fmt: skip
    """Record a change.

    Raises
    ------
    BadInput
        Where it is not said what changes, or its time is beyond reason.
    """
    said = what.strip()
    for words in (said, because):
        if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in words):
            raise BadInput("What changes and why are each said in one line, without control characters.")
    if not said or len(said) > _LONGEST:
        raise BadInput(f"Say what changes, in 1 to {_LONGEST:,} characters; found {len(said):,}.")
    if not _FIRST <= effective < _LAST:
        raise BadInput(f"A change takes effect between 1970 and 2199; found {effective:%Y-%m-%d}.")
    made = connection.execute(
        insert(changes).values(
            system=system, what=said, effective=effective, recorded=now, by=by, because=because.strip()
        )
    ).inserted_primary_key  # fmt: skip
    assert made is not None
    found = one(connection, int(made[0]))
    append(connection, ChangeRecorded(system, found.number, said, effective, found.because), at=now, by=by)
    return found


def withdraw(connection: Connection, number: int, *, reason: str, now: datetime, by: str) -> Change:
    """Take a change back, for a reason; raises `BadInput` where it was already."""
    found = one(connection, number)
    query = update(changes).where(changes.c.number == number, changes.c.withdrawn.is_(None)).values(withdrawn=now)
    if not connection.execute(query).rowcount:
        raise BadInput(f"Change {number} was withdrawn already.")
    append(connection, ChangeWithdrawn(found.system, number, reason), at=now, by=by)
    return one(connection, number)


def one(connection: Connection, number: int) -> Change:
    """A change by its number."""
    row = connection.execute(select(changes).where(changes.c.number == number)).one_or_none()
    if row is None:
        raise Missing(f"There is no change {number}; `shelflife changes` shows all.")
    return Change(**row._mapping)  # noqa: SLF001 - its public name


def every(connection: Connection, system: str | None = None) -> list[Change]:
    """All changes, of a system or of all: the one that takes effect last first."""
    query = select(changes).order_by(changes.c.effective.desc(), changes.c.number.desc())
    if system is not None:
        query = query.where(changes.c.system == system)
    return [Change(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - as above
