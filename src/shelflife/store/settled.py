"""How far the rows of a system are all in their tables."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, text

from shelflife.store.schema import batches


def settled(connection: Connection, system: str) -> int:
    """The last batch up to which all are in their tables; what is under way may still become visible later."""
    if connection.dialect.name == "postgresql":
        # Numbers are given before they are seen: whoever has one is waited for, else its rows were passed over.
        connection.execute(text("LOCK TABLE batches IN SHARE MODE"))
    own = batches.c.system == system
    waiting = connection.execute(select(func.min(batches.c.number)).where(own, batches.c.done.is_(None))).scalar()
    last = connection.execute(select(func.max(batches.c.number)).where(own)).scalar() or 0
    return int(last if waiting is None else waiting - 1)
