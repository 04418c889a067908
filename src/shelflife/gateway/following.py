"""Following the routes: what they ask for is loaded beside what answers, warmed, and then answers instead.

While the database is away, or a version cannot be served, the last good routes go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from shelflife.clock import Clock
from shelflife.errors import BadInput, ShelflifeError
from shelflife.events import VersionRefused
from shelflife.gateway.journal import Journal
from shelflife.gateway.serving import Loaded, Waiting
from shelflife.ledger import append, entries
from shelflife.models import Tampered, Unloadable, load, local
from shelflife.plan import Written, recalled
from shelflife.routes import Routes, current
from shelflife.store.database import Database
from shelflife.store.schema import heads, plans, versions

_EVERY = 0.5  # seconds
_AGAIN = 30.0  # seconds after which a version that was refused is looked at again
WHO = "gateway"  # in the ledger
FALLBACK = "fallback"  # the route of what the champion answers for a canary that cannot
_log = logging.getLogger("shelflife.gateway")


@dataclass(frozen=True)
class Serving:
    """Who answers the requests of one system."""

    routes: Routes
    champion: Loaded
    canary: Loaded | None = None
    shadow: Loaded | None = None

    def loaded(self) -> list[Loaded]:
        """All that are loaded."""
        return [one for one in (self.champion, self.canary, self.shadow) if one is not None]

    def choose(self, key: str) -> tuple[str, Loaded]:
        """The route of a key, and who answers; the champion falls in for a canary that cannot."""
        if self.routes.canary is None or self.routes.version(key) != self.routes.canary:
            return "champion", self.champion
        if self.canary is None or self.canary.broken is not None:
            return FALLBACK, self.champion
        return "canary", self.canary


class Following:
    """Keeps who answers in step with the routes.

    Parameters
    ----------
    url
        Of the database.
    cache
        Where artifacts are kept that lie elsewhere.
    handed
        Calls a function where requests come in, after all that came before it; models are stopped there.
    """

    def __init__(
        self, url: str | Path, cache: Path, journal: Journal, clock: Clock, *,
        delivered: Callable[[list[Waiting]], None], handed: Callable[[Callable[[], None]], None],
    ) -> None:  # fmt: skip
        self.serving: Mapping[str, Serving] = {}
        self.seen: float | None = None  # when the routes were last read
        self.refused: dict[tuple[str, int], str] = {}
        self._url, self._cache, self._journal, self._clock = url, cache, journal, clock
        self._delivered, self._handed = delivered, handed
        self._database: Database | None = None
        self._plans: dict[tuple[str, int], Written] = {}
        self._tried: dict[tuple[str, int], float] = {}
        self.looked = threading.Event()  # set once the routes were asked for, whatever came of it
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="shelflife-routes", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Follow no more, and let the models end when they have answered."""
        self._stop.set()
        self._thread.join()
        found = [one for serving in self.serving.values() for one in serving.loaded()]
        for one in found:
            one.stop()
        for one in found:
            one.join()
        if self._database is not None:
            self._database.close()

    @property
    def ready(self) -> bool:
        """Whether the routes were read, and each system that has some is served."""
        return self.seen is not None and bool(self.serving)

    def database(self) -> Database:
        """The database; raises `BadInput` where it is away."""
        if self._database is None:
            self._database = Database(self._url)
        return self._database

    # ------------------------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        away = False
        while True:
            try:
                self.look()
                if away:
                    _log.info("the routes can be read again")
                away = False
            except Exception as error:  # noqa: BLE001 - a database that is away comes back
                if not away:
                    _log.warning("the routes cannot be read; the last good ones go on: %s", error)
                away = True
            self.looked.set()
            if self._stop.wait(_EVERY):
                return

    def look(self) -> None:
        """Read the routes and serve by them."""
        with self.database().reading() as connection:
            found = current(connection)
            private = self._private(connection, found)
            rows = {one: self._version(connection, *one) for one in self._wanted(found)}
        for system, routes in found.items():
            before = self.serving.get(system)
            if before is None or before.routes != routes or self._due(system):
                self._serve(routes, rows, private[system], before)
        self.seen = time.monotonic()

    def _wanted(self, found: Mapping[str, Routes]) -> set[tuple[str, int]]:
        """Versions that the routes ask for and that are not loaded."""
        there = {(one.system, one.version) for each in self.serving.values() for one in each.loaded()}
        return {
            (system, version) for system, routes in found.items()
            for version in (routes.champion, routes.canary, routes.shadow) if version is not None
        } - there  # fmt: skip

    def _version(self, connection: Connection, system: str, number: int) -> tuple[Any, Written] | None:
        which = versions.c.system == system, versions.c.number == number
        row = connection.execute(select(versions).where(*which)).one_or_none()
        return None if row is None else (row, self._plan(connection, system, row.plan))

    def _plan(self, connection: Connection, system: str, number: int) -> Written:
        if (system, number) not in self._plans:
            which = plans.c.system == system, plans.c.number == number
            row = connection.execute(select(plans).where(*which)).one()
            self._plans[system, number] = recalled(row.text, row.said, row.sha256, source=f"plan {number} of {system}")
        return self._plans[system, number]

    def _private(self, connection: Connection, found: Mapping[str, Routes]) -> dict[str, frozenset[str]]:
        """What the newest plan of each system keeps private; a version may be of an earlier one."""
        newest = select(plans.c.system, func.max(plans.c.number).label("number")).group_by(plans.c.system)
        names = {
            row.system: frozenset(self._plan(connection, row.system, row.number).plan.model.private)
            for row in connection.execute(newest).all() if row.system in found
        }  # fmt: skip
        for system, serving in self.serving.items():
            for one in serving.loaded():
                one.private = one.private | names.get(system, frozenset())
        return names

    def _due(self, system: str) -> bool:
        """Whether a version of a system was refused so long ago that it is looked at again."""
        return any(name == system and not self._lately(name, version) for name, version in self._tried)

    def _lately(self, system: str, version: int) -> bool:
        """Whether a version was refused, and not long ago."""
        at = self._tried.get((system, version))
        return at is not None and time.monotonic() - at <= _AGAIN

    # ---- loading -----------------------------------------------------------------------------------------------------

    def _serve(
        self, routes: Routes, rows: Mapping[tuple[str, int], Any], private: frozenset[str], before: Serving | None
    ) -> None:
        """Load what the routes ask for beside what answers, and then switch."""
        answers = [one for one in (routes.champion, routes.canary) if one is not None]
        if before is not None and any(self._lately(routes.system, one) for one in answers):
            return  # what it would be loaded for does not count yet
        there = {one.version: one for one in before.loaded()} if before is not None else {}
        made: dict[int, Loaded] = {}
        for version in (routes.champion, routes.canary, routes.shadow):
            if version is not None and version not in there and version not in made:
                loaded = self._load(routes, version, rows.get((routes.system, version)), private)
                if loaded is not None:
                    made[version] = loaded
        have = {**there, **made}
        if routes.champion not in have or (before is not None and not all(one in have for one in answers)):
            for one in made.values():
                one.stop()
            return
        after = Serving(
            routes, have[routes.champion],
            None if routes.canary is None else have.get(routes.canary),
            None if routes.shadow is None else have.get(routes.shadow),
        )  # fmt: skip
        self.serving = {**self.serving, routes.system: after}
        kept = {one.version for one in after.loaded()}
        for version, one in have.items():
            if version not in kept:
                # Requests choose and hand in at once, in the thread where this is called: none comes after it.
                self._handed(one.stop)
        told = {"system": routes.system, "revision": routes.revision, "champion": routes.champion,
                "canary": routes.canary, "share": routes.share, "shadow": routes.shadow}  # fmt: skip
        if before is None or before.routes != routes:
            _log.info("routes", extra=told)

    def _load(self, routes: Routes, version: int, found: Any, private: frozenset[str]) -> Loaded | None:
        """A version that is ready to answer, or None where it may not."""
        which = routes.system, version
        if self._lately(*which):
            return None
        try:
            row, written = self._known(routes.system, version, found)
            folder = local(row.source, self._cache, row.digest)
            model = load(folder, written.plan, expected=row.digest)
        except (Tampered, Unloadable, BadInput) as error:
            self._tried[which] = time.monotonic()
            self.refused[which] = str(error)
            self._tell(routes, version, error)
            return None
        self._tried.pop(which, None)
        self.refused.pop(which, None)
        loaded = Loaded(
            routes.system, version, model, written.plan, self._journal, delivered=self._delivered, private=private
        )
        loaded.warm()
        return loaded

    @staticmethod
    def _known(system: str, version: int, found: Any) -> Any:
        if found is None:
            raise BadInput(f"There is no version {version} of {system}.")
        return found

    def _tell(self, routes: Routes, version: int, error: ShelflifeError) -> None:
        """Record that a version is not served: once for each time that the routes ask for it."""
        _log.error("version %s of %s is not served: %s", version, routes.system, error)
        event = VersionRefused(routes.system, version, routes.revision, str(error)[:500])
        with self.database().writing() as connection:
            connection.execute(select(heads.c.number).with_for_update())  # other workers see it after us
            known = entries(connection, system=routes.system, kind=VersionRefused.kind)
            if not any(
                one.body["version"] == version and one.body["revision"] == routes.revision for one in known
            ):  # fmt: skip
                append(connection, event, at=self._clock.now(), by=WHO)
