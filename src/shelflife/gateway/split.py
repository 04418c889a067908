"""Who really answered: counted from what is kept, and gone through again by the routes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shelflife.gateway.following import FALLBACK
from shelflife.routes import DIRECT, Routes
from shelflife.store.tables import Tables


@dataclass(frozen=True)
class Split:
    """What one version did by one route.

    Attributes
    ----------
    rows
        That it answered.
    failed
        That it was asked about and could not answer.
    latency_p95
        Milliseconds within which 95 of 100 were answered.
    """

    version: str
    route: str
    rows: int
    failed: int
    latency_p95: float | None


def split(tables: Tables, system: str, *, since: datetime | None = None) -> list[Split]:
    """How many rows each version answered by each route since a moment, as they are in the tables.

    What came in otherwise than through a gateway has no route, and is left out.
    """
    import duckdb

    given = {kind: tables.dataset(system, kind) for kind in ("predictions", "shadows")}
    parts = []
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for kind, rows in given.items():
            if rows is None or "route" not in rows.schema.names:  # nothing came through a gateway yet
                continue
            connection.register(kind, rows)
            failed = "error IS NOT NULL" if kind == "shadows" else "false"
            parts.append(
                f"SELECT version, route, {failed} AS failed, latency FROM {kind} WHERE route IS NOT NULL"  # noqa: S608
                + (" AND time >= $since" if since is not None else "")
            )
        if not parts:
            return []
        found = connection.execute(
            "SELECT version, route, count(*) FILTER (NOT failed), count(*) FILTER (failed),"  # noqa: S608
            f" quantile_cont(latency, 0.95) FILTER (NOT failed) FROM ({' UNION ALL '.join(parts)})"
            " GROUP BY ALL ORDER BY ALL",
            {"since": since} if since is not None else {},
        ).fetchall()
    return [Split(*row) for row in found]


def replayed(
    history: Iterable[Routes], keys: Sequence[str], revisions: Sequence[Any], versions: Sequence[str],
    routes: Sequence[str],
) -> int:  # fmt: skip
    """How many rows another version answered than the routes of their time say; none, where all is well.

    What the champion answered for a canary that could not is counted as the canary's; what somebody asked of one
    version is not counted.
    """
    by = {one.revision: one for one in history}
    wrong = 0
    for key, revision, version, route in zip(keys, revisions, versions, routes, strict=True):
        if route == DIRECT:
            continue
        said = by[int(revision)]
        wanted = said.version(key)
        wrong += str(wanted) != version if route != FALLBACK else wanted != said.canary or str(said.champion) != version
    return wrong
