"""Who answers requests: the only writer of routes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select

from shelflife.errors import BadInput
from shelflife.events import RolledBack, RoutesChanged
from shelflife.ledger import append
from shelflife.renew import registry
from shelflife.routes import Routes, current
from shelflife.store.schema import routes, systems


def change(
    connection: Connection, system: str, *, champion: int, canary: int | None = None, share: float = 0.0,
    shadow: int | None = None, because: str, now: datetime, by: str,
) -> Routes:  # fmt: skip
    """Route requests otherwise from now on; nothing happens where they are routed so already."""
    # Of two that change them at once one waits here.
    connection.execute(select(systems.c.name).where(systems.c.name == system).with_for_update(key_share=True))
    before = current(connection).get(system)
    if before is not None and (before.champion, before.canary, before.share, before.shadow) == (
        champion, canary, share, shadow,
    ):  # fmt: skip
        return before
    revision = 1 if before is None else before.revision + 1
    made = Routes(system, revision, champion, canary, share, shadow, now)
    connection.execute(insert(routes).values(**vars(made)))
    event = RoutesChanged(system, revision, champion, canary, share, shadow, because)
    append(connection, event, at=now, by=by)
    return made


def promote(
    connection: Connection, system: str, version: int, *, beside: bool, because: str, now: datetime, by: str
) -> None:
    """Let a version answer everybody; the one before it answers `beside`, where it is to be compared with."""
    before = current(connection).get(system)
    shadow = before.champion if before is not None and beside and before.champion != version else None
    change(connection, system, champion=version, shadow=shadow, because=because, now=now, by=by)
    registry.point(connection, system, "champion", version, by=by, because=because, now=now)
    registry.close(connection, system, "challenger", by=by, because=because, now=now)


def back(
    connection: Connection, system: str, version: int | None = None, *, because: str, now: datetime, by: str
) -> int:
    """Let an earlier version answer everybody again: the champion before this one, or an earlier one that is named.

    Where a canary runs, it is what ends, and the champion stays.

    Raises
    ------
    BadInput
        Where there is none before, the one that is named never was champion (nobody goes forward by going back), or
        it is the one that answers already.
    """
    routed = current(connection).get(system)
    if routed is None:
        raise BadInput(f"No version of {system!r} answers requests; there is nothing to roll back.")
    was = [one for one in registry.history(connection, system) if one.alias == "champion"]
    if version is None and routed.canary is not None:
        version = routed.champion
    if version is None:
        version = registry.earlier(was, routed.champion)
        if version is None:
            raise BadInput(f"{system!r} has had no champion before version {routed.champion}.")
    registry.one(connection, system, version)
    if version not in {one.version for one in was}:
        raise BadInput(f"Version {version} of {system!r} never was champion; only a renewal lets it answer.")
    if version == routed.champion and routed.canary is None:
        raise BadInput(
            f"Version {version} of {system!r} answers all requests already; there is nothing to go back from."
            " `shelflife renewals cancel` ends a renewal."
        )
    canary = routed.canary if version == routed.champion else None
    gone = routed.champion if canary is None else canary
    change(connection, system, champion=version, because=because, now=now, by=by)
    if canary is None:
        registry.point(connection, system, "champion", version, by=by, because=because, now=now)
    registry.close(connection, system, "challenger", by=by, because=because, now=now)
    append(connection, RolledBack(system, version, gone, because), at=now, by=by)
    return version
