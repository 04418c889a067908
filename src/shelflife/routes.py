"""Who answers a request: the champion, or for a share of keys the canary; a shadow answers beside, and nobody waits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from shelflife.store.schema import routes

DIRECT = "direct"  # the route of what somebody asked of one version, whatever the routes say
_WHOLE = 1 << 64


@dataclass(frozen=True)
class Routes:
    """The routes of a system since a moment.

    Attributes
    ----------
    revision
        Their number; each change makes a new one.
    champion, canary, shadow
        Numbers of versions.
    share
        Of keys that the canary answers, from 0 to 1.
    """

    system: str
    revision: int
    champion: int
    canary: int | None = None
    share: float = 0.0
    shadow: int | None = None
    at: datetime | None = None

    def version(self, key: str) -> int:
        """The version that answers a request: the same for a key as long as the share is, and longer for who is in.

        >>> ten = Routes("desk", 1, champion=3, canary=4, share=0.1)
        >>> sum(ten.version(f"customer {n}") == 4 for n in range(10_000))
        1016
        """
        if self.canary is not None and place(self.system, key) < self.share:
            return self.canary
        return self.champion


def place(system: str, key: str) -> float:
    """The place of a key in [0, 1): the same everywhere and for ever, so that a log can be gone through again.

    Who is below a share of 5 % is below 25 % as well: a canary that grows keeps those that it has.
    """
    found = hashlib.blake2b(f"{system}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(found, "big") / _WHOLE


def current(connection: Connection) -> dict[str, Routes]:
    """The newest routes of every system that has some."""
    newest = select(routes.c.system, func.max(routes.c.revision).label("revision")).group_by(routes.c.system).subquery()
    same = (routes.c.system == newest.c.system) & (routes.c.revision == newest.c.revision)
    found = [_read(row) for row in connection.execute(select(routes).join(newest, same))]
    return {one.system: one for one in found}


def history(connection: Connection, system: str) -> list[Routes]:
    """All routes that a system ever had, in order."""
    query = select(routes).where(routes.c.system == system).order_by(routes.c.revision)
    return [_read(row) for row in connection.execute(query)]


def _read(row: object) -> Routes:
    return Routes(**{name: getattr(row, name) for name in Routes.__dataclass_fields__})
