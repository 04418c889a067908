"""Who answers from when on: the one that writes routes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select

from shelflife.store.schema import routes


def first_route(connection: Connection, system: str, version: int, now: datetime) -> bool:
    """Let a version answer everybody, where nobody answers yet; whether that was so."""
    if connection.execute(select(routes.c.revision).where(routes.c.system == system).limit(1)).first() is not None:
        return False
    connection.execute(insert(routes).values(system=system, revision=1, champion=version, share=0.0, at=now))
    return True
