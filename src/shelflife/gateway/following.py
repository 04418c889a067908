"""Following the routes: what they ask for is loaded beside what answers, warmed, and then answers instead.

While the database is away, or a version cannot be served, the last good routes go on; whoever begins meanwhile has them
from the disk, until the database says what counts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, func, make_url, select
from sqlalchemy.exc import ArgumentError

from shelflife.clock import Clock
from shelflife.errors import BadInput, ShelflifeError
from shelflife.events import VersionRefused
from shelflife.gateway import last
from shelflife.gateway.dying import LOADING, Dead, Mark
from shelflife.gateway.journal import Journal
from shelflife.gateway.last import Last, Version
from shelflife.gateway.metrics import Metrics
from shelflife.gateway.serving import Loaded, Waiting
from shelflife.ledger import append, entries
from shelflife.models import Tampered, Unloadable, load, local
from shelflife.plan import Written, recalled
from shelflife.routes import Routes, current
from shelflife.store.database import Database
from shelflife.store.schema import heads, plans, versions
from shelflife.tokens import Token, counting

_EVERY = 0.5  # seconds
_ANEW = 60.0  # seconds after which the disk is told again when the database was last there
_TOKENS = 10.0  # seconds after which the tokens are asked for again
# A PostgreSQL that does not answer is away, and is not waited for as long as the network would.
_PATIENCE = {
    "connect_timeout": "3", "tcp_user_timeout": "5000", "keepalives_idle": "5", "keepalives_interval": "2",
    "keepalives_count": "3",
}  # fmt: skip
_AGAIN = 30.0  # seconds after which a version that was refused is looked at again
WHO = "gateway"  # in the ledger
FALLBACK = "fallback"  # the route of what the champion answers for a canary that cannot
_log = logging.getLogger("shelflife.gateway")


@dataclass(frozen=True)
class Disk:
    """Routes that are those of the disk: since when, and when the database said so last."""

    since: datetime
    read: datetime


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

    def shown(self) -> Routes:
        """The routes as they are served: without a shadow that could not be loaded."""
        return self.routes if self.shadow is not None else replace(self.routes, shadow=None)

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
    kept
        The file of the last good routes.
    handed
        Calls a function where requests come in, after all that came before it; models are stopped there.
    guarded
        Whether tokens are asked for, and so are to outlast the database too.
    marks, died
        Where it is marked which model is at work, and by which ones workers before this one died: that counts while
        the routes are the same.
    """

    def __init__(
        self, url: str | Path, cache: Path, kept: Path, journal: Journal, clock: Clock, metrics: Metrics, *,
        delivered: Callable[[list[Waiting]], None], handed: Callable[[Callable[[], None]], None], guarded: bool,
        marks: Path | None = None, died: Sequence[Dead] = (),
    ) -> None:  # fmt: skip
        self.serving: Mapping[str, Serving] = {}
        self.seen: datetime | None = None  # when the routes were last read
        self.disk: Disk | None = None  # while the routes are those of the disk
        self.away = False  # whether the database was, when it was last asked
        self.tokens: Mapping[str, Token] = {}  # those that counted lately, by their digests
        self._unserved: Mapping[str, int] = {}  # the champions of systems that are not served
        self._url, self._cache, self._kept, self._journal = _impatient(url), cache, kept, journal
        self._of, self._clock, self._metrics, self._guarded = last.identity(url), clock, metrics, guarded
        self._delivered, self._handed = delivered, handed
        self._marks = marks
        self._died = {(one.system, one.version, one.revision): one for one in died}
        self._database: Database | None = None
        self._file: tuple[int, int] | None = None
        self._known: dict[tuple[str, int], Version] = {}
        self._recalling = False
        self._before: Last | None = None  # what was on the disk as this worker began
        self._written: str | None = ""
        self._wrote = self._asked = 0.0
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
        """Whether any system is served."""
        return bool(self.serving)

    def refused_champion(self, system: str) -> int | None:
        """The version that was refused as champion of a system of which nothing else answers."""
        return self._unserved.get(system)

    def database(self) -> Database:
        """The database; raises `BadInput` where it is away."""
        found = _file(self._url)
        if self._database is not None and found != self._file:  # another file is there now
            self._database.close()
            self._database = None
        if self._database is None:
            self._database, self._file = Database(self._url), found
        return self._database

    # ------------------------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        read = self._remember()
        while True:
            try:
                self.look()
                if self.away:
                    _log.info("the routes can be read again")
                self.away = False
            except Exception as error:  # noqa: BLE001 - a database that is away comes back
                if not self.away:
                    _log.warning("the routes cannot be read; the last good ones go on: %s", error)
                self.away = True
                if not self.looked.is_set():
                    self._recall(read)
            self._metrics.routes(self.seen, from_disk=self.disk is not None)
            self.looked.set()
            if self._stop.wait(_EVERY):
                return

    def look(self) -> None:
        """Read the routes and serve by them."""
        now = self._clock.now()
        with self.database().reading() as connection:
            found = current(connection)
            private = self._private(connection, found)
            rows = {one: self._version(connection, *one) for one in self._wanted(found)}
            self._ask_tokens(connection, now)
        back = self.disk is not None
        if back:
            self._leave(set(self.serving) - set(found))
        self._known.update({one: version for one, version in rows.items() if version is not None})
        for system, routes in found.items():
            before = self.serving.get(system)
            if back or before is None or before.routes != routes or self._due(system):
                self._serve(routes, rows, private[system], before)
        self._unserved = {system: one.champion for system, one in found.items() if system not in self.serving}
        self.seen, self.disk = now, None
        self._keep(set(found), now)

    def _wanted(self, found: Mapping[str, Routes]) -> set[tuple[str, int]]:
        """Versions that the routes ask for and that are not loaded, or only by what the disk says of them."""
        there = {(one.system, one.version) for each in self.serving.values() for one in each.loaded()}
        return _asked_for(found) - (there if self.disk is None else set())

    def _version(self, connection: Connection, system: str, number: int) -> Version | None:
        which = versions.c.system == system, versions.c.number == number
        row = connection.execute(select(versions).where(*which)).one_or_none()
        if row is None:
            return None
        return Version(row.source, row.digest, row.plan, self._plan(connection, system, row.plan))

    def _ask_tokens(self, connection: Connection, now: datetime) -> None:
        if self._guarded and (not self._asked or time.monotonic() - self._asked > _TOKENS):
            self.tokens, self._asked = counting(connection, now=now), time.monotonic()

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

    # ---- the last good routes on disk --------------------------------------------------------------------------------

    def _remember(self) -> datetime | None:
        """Read what the database said last, and when; without it all is as it was without a disk."""
        try:
            found = last.read(self._kept, of=self._of)
        except Exception as error:  # noqa: BLE001 - whatever a disk can do
            _log.error("%s", error)
            return None
        if found is None:
            return None
        self._before, read = found
        return read

    def _recall(self, read: datetime | None) -> None:
        """Serve by the routes that were good last, since the database is away as this worker begins."""
        what = self._before
        if what is None or read is None:
            return
        self.disk = Disk(since=self._clock.now(), read=read)
        self._recalling = True
        self._known, self.tokens = dict(what.versions), what.tokens
        for system, routes in what.routes.items():
            try:
                self._serve(routes, what.versions, what.private[system], None)
            except Exception as error:  # noqa: BLE001 - others may be served
                _log.error("%s is not served: %s", system, error)
        self._recalling = False
        _log.warning("the routes are those of the disk, until the database is there", extra={
            "read": read.isoformat(), "revisions": {name: one.routes.revision for name, one in self.serving.items()},
        })  # fmt: skip

    def _keep(self, systems: set[str], now: datetime) -> None:
        """Write the routes to the disk where they are others, and else from time to time, to tell when they counted."""
        routes = {system: one.shown() for system, one in self.serving.items()}
        wanted = _asked_for(routes)
        self._known = {one: version for one, version in self._known.items() if one in wanted}
        private = {
            system: frozenset().union(*(one.private for one in serving.loaded()))
            for system, serving in self.serving.items()
        }  # fmt: skip
        what = Last(routes, self._known, private, self.tokens).beside(self._before, systems)
        text = what.text()
        if text == self._written and time.monotonic() - self._wrote < _ANEW:
            return
        try:
            last.write(self._kept, text, of=self._of, at=now)
        except OSError as error:
            if self._written is not None:  # told once, and tried again
                _log.error("the routes cannot be written to %s: %s", self._kept, error)
            self._written = None
            return
        self._written, self._wrote = text, time.monotonic()

    def _leave(self, systems: set[str]) -> None:
        """Serve systems no more."""
        ended = [one for system in systems for one in self.serving[system].loaded()]
        self.serving = {system: one for system, one in self.serving.items() if system not in systems}
        for one in ended:
            self._handed(one.stop)

    # ---- loading -----------------------------------------------------------------------------------------------------

    def _serve(
        self, routes: Routes, rows: Mapping[tuple[str, int], Version | None], private: frozenset[str],
        before: Serving | None,
    ) -> None:  # fmt: skip
        """Load what the routes ask for beside what answers, and then switch."""
        answers = [one for one in (routes.champion, routes.canary) if one is not None]
        if before is not None and any(self._lately(routes.system, one) for one in answers):
            return  # what it would be loaded for does not count yet
        # What was loaded by the disk's word counts where the database says the same.
        there = {
            one.version: one for one in (before.loaded() if before is not None else ())
            if (row := rows.get((one.system, one.version))) is None or row.digest == one.digest
        }  # fmt: skip
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
        if before is not None and after.champion is not before.champion:
            after.champion.broken = None  # nobody answers instead
        self.serving = {**self.serving, routes.system: after}
        for one in {*(before.loaded() if before is not None else ()), *made.values()} - set(after.loaded()):
            # Requests choose and hand in at once, in the thread where this is called: none comes after it.
            self._handed(one.stop)
        told = {"system": routes.system, "revision": routes.revision, "champion": routes.champion,
                "canary": routes.canary, "share": routes.share, "shadow": routes.shadow}  # fmt: skip
        if before is None or before.routes != routes:
            _log.info("routes", extra=told)

    def _load(self, routes: Routes, version: int, found: Version | None, private: frozenset[str]) -> Loaded | None:
        """A version that is ready to answer, or None where it may not."""
        which = routes.system, version
        if self._lately(*which):
            return None
        died = self._died.get((*which, routes.revision))
        loaded, mark = None, Mark(self._marks, *which)
        try:
            said = self._there(routes, version, found, died)
            mark.begin(LOADING, routes.revision)
            folder = local(said.source, self._cache, said.digest)
            model = mark.within(load)(folder, said.written.plan, expected=said.digest)
            loaded = Loaded(
                routes.system, version, model, said.written.plan, self._journal, delivered=self._delivered,
                private=private, digest=said.digest, mark=mark,
            )  # fmt: skip
            mark.within(loaded.warm)()
        except (Tampered, Unloadable, BadInput) as error:
            if self._recalling:  # looked at again, and told, when the database is there
                _log.error("version %s of %s is not served: %s", version, routes.system, error)
                return None
            self._tried[which] = time.monotonic()
            self._tell(routes, version, error)
            return None
        finally:
            mark.end()
            if loaded is None:
                mark.close()
        self._tried.pop(which, None)
        if died is not None:
            loaded.fell(died, champion=version == routes.champion, now=self._clock.now())
            self._died[*which, routes.revision] = replace(died, told=True)
        return loaded

    @staticmethod
    def _there(routes: Routes, version: int, found: Version | None, died: Dead | None) -> Version:
        # A champion that was killed is loaded again: nobody else could answer, and memory may be there now.
        if died is not None and died.route == LOADING and not (died.killed and version == routes.champion):
            raise Unloadable(f"{died.says[0].upper()}{died.says[1:]}.")
        if found is None:
            raise BadInput(f"There is no version {version} of {routes.system}.")
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


def _asked_for(routes: Mapping[str, Routes]) -> set[tuple[str, int]]:
    """The versions that routes ask for."""
    return {
        (system, version) for system, one in routes.items()
        for version in (one.champion, one.canary, one.shadow) if version is not None
    }  # fmt: skip


def _impatient(url: str | Path) -> str | Path:
    """The URL of a PostgreSQL that counts as away soon where it does not answer."""
    if isinstance(url, Path):
        return url
    try:
        found = make_url(url)
    except ArgumentError:  # told where it is opened
        return url
    if found.get_backend_name() != "postgresql":
        return url
    more = {name: value for name, value in _PATIENCE.items() if name not in found.query}
    return found.update_query_dict(more).render_as_string(hide_password=False)


def _file(url: str | Path) -> tuple[int, int] | None:
    """Which file a SQLite is; raises `BadInput` where it is gone, instead of making an empty one."""
    if not isinstance(url, Path):
        return None
    try:
        found = url.stat()
    except OSError as error:
        raise BadInput(f"There is no database {str(url)!r}: {error.strerror}.") from error
    return found.st_dev, found.st_ino
