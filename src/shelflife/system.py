"""The composition root: every operation by its name, each a few lines that call the stage it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select

from shelflife import __version__, accounts, ledger, tokens
from shelflife.accounts import Account
from shelflife.clock import Clock, SystemClock
from shelflife.errors import BadInput, Missing, nearest
from shelflife.events import AccessDenied, PlanApplied, WorkspaceMade
from shelflife.ledger import Entry, Verified
from shelflife.observe import files, left, retain, snapshots
from shelflife.observe import pull as pulling
from shelflife.observe.files import Observed
from shelflife.observe.intake import Intake
from shelflife.observe.keep import check_fits
from shelflife.observe.rows import Read, from_json
from shelflife.observe.served import Served
from shelflife.observe.shapes import RowKind, Shape, shape
from shelflife.operations import Changes, Renewing, Versions
from shelflife.plan import Written, recalled
from shelflife.profile.reference import Reference
from shelflife.renew import registry
from shelflife.rights import OF_PEOPLE, Denied, Unknown
from shelflife.store.database import Database
from shelflife.store.schema import plans, systems
from shelflife.store.tables import Tables
from shelflife.tokens import Token
from shelflife.watch import findings, reference
from shelflife.watch.findings import Finding
from shelflife.watch.tick import Look, Watcher
from shelflife.workspace import Settings

_DENIED = timedelta(minutes=1)  # in which the same denial is recorded once


class System:
    """One workspace, opened.

    Parameters
    ----------
    settings
        Where it keeps its things.
    clock
        Tells the time.
    make
        Whether it is made where it is not there yet; else that is an error.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None, *, make: bool = True) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self._plans: dict[tuple[str, int], Written] = {}
        self.accounts, self.tokens, self.ledger = Accounts(self), Tokens(self), Ledger(self)
        self.versions, self.changes, self.renewing = Versions(self), Changes(self), Renewing(self)
        settings.prepare(make=make)
        been = settings.was_made  # asked first: another process may be making it at this moment
        self.database = Database(settings.database_url, read_only=settings.is_read_only)
        self.tables = Tables(settings.tables_root, settings.table_options)
        if been and self.database.is_fresh:
            self.close()
            raise BadInput(
                f"The database of the workspace {str(settings.home)!r} is gone or empty, though the workspace was used."
                " Restore it from a back-up, or name another folder to begin anew; nothing was changed."
            )
        self.database.migrate(made=self._made)
        settings.mark()
        self.watching = Watching(self)

    def _made(self, connection: Connection) -> None:
        ledger.append(connection, WorkspaceMade(__version__), at=self.clock.now(), by="shelflife")

    def close(self) -> None:
        """Stop what renews, and let go of the database."""
        self.renewing.close()
        self.database.close()

    # ---- plans -------------------------------------------------------------------------------------------------------

    def apply(self, plan: Written, *, by: str, because: str) -> tuple[int, bool]:
        """Make a plan count; its number, and whether it says anything new."""
        now = self.clock.now()
        check_fits(self.tables, plan.plan)
        with self.database.writing() as connection:
            name = plan.plan.system
            if connection.execute(select(systems.c.name).where(systems.c.name == name)).one_or_none() is None:
                connection.execute(insert(systems).values(name=name, title=plan.plan.title, since=now))
            last = connection.execute(
                select(plans.c.number, plans.c.sha256).where(plans.c.system == name).order_by(plans.c.number.desc())
            ).first()
            if last is not None and last.sha256 == plan.sha256:
                return last.number, False
            number = 1 if last is None else last.number + 1
            connection.execute(
                insert(plans).values(
                    system=name,
                    number=number,
                    text=plan.text,
                    said=plan.said,
                    sha256=plan.sha256,
                    at=now,
                    by=by,
                    because=because,
                )
            )
            ledger.append(connection, PlanApplied(name, number, plan.sha256, because), at=now, by=by)
        return number, True

    def plan(self, system: str, number: int | None = None) -> Written:
        """An applied plan as it was written: the newest, or one by its number."""
        return self._recalled(self._applied(system, number))

    def newest(self, system: str) -> tuple[int, datetime, Written]:
        """The newest plan of a system: its number, since when it counts, and what it says."""
        found = self._applied(system, None)
        return found.number, found.at, self._recalled(found)

    def _applied(self, system: str, number: int | None) -> Any:
        query = select(plans).where(plans.c.system == system)
        if number is not None:
            query = query.where(plans.c.number == number)
        with self.database.reading() as connection:
            found = connection.execute(query.order_by(plans.c.number.desc()).limit(1)).first()
        if found is None:
            raise self._unknown(system, number)
        return found

    def _recalled(self, row: Any) -> Written:
        # An applied plan never changes.
        which = row.system, row.number
        if which not in self._plans:
            source = f"plan {row.number} of {row.system}"
            self._plans[which] = recalled(row.text, row.said, row.sha256, source=source)
        return self._plans[which]

    def current_plans(self) -> list[tuple[int, Written]]:
        """The newest plan of every system and its number, by the system's name."""
        newest = select(plans.c.system, func.max(plans.c.number).label("number")).group_by(plans.c.system)
        with self.database.reading() as connection:
            found = [(row.system, row.number) for row in connection.execute(newest.order_by(plans.c.system))]
            if any(which not in self._plans for which in found):
                of = newest.subquery()
                same = (plans.c.system == of.c.system) & (plans.c.number == of.c.number)
                for row in connection.execute(select(plans).join(of, same)):
                    self._recalled(row)
        return [(number, self._plans[name, number]) for name, number in found]

    def names(self) -> list[str]:
        """The systems that have a plan."""
        with self.database.reading() as connection:
            return list(connection.execute(select(systems.c.name).order_by(systems.c.name)).scalars())

    def shape(self, system: str, kind: RowKind) -> Shape:
        """The columns of a kind of row, by the newest plan."""
        return shape(self.plan(system).plan, kind)

    def check_known(self, system: str) -> None:
        """Raise `Missing` where no plan was applied for a system."""
        if system not in self.names():
            raise self._unknown(system, None)

    def _unknown(self, system: str, number: int | None) -> Missing:
        known = self.names()
        if system in known:
            return Missing(f"There is no plan {number} of {system!r}.")
        return Missing(
            f"There is no system {system!r}. "
            + (nearest(system, known) if known else "`shelflife plan apply FILE` makes the first.")
        )

    # ---- observations ------------------------------------------------------------------------------------------------

    def read(self, system: str, kind: RowKind, rows: Sequence[Any]) -> Read:
        """Rows that are JSON objects as typed columns, and why some are not."""
        return from_json(rows, self.shape(system, kind), now=self.clock.now())

    @contextmanager
    def intake(self, **options: Any) -> Iterator[Intake]:
        """The durable way in, open while the context lasts."""
        folder = self.settings.log_folder
        found = Intake(self.database, self.tables, folder, self.clock, shape=self.shape, **options)
        found.start()
        try:
            yield found
        finally:
            found.close()

    def served(self) -> Served:
        """The way in of what gateways of this machine have answered."""
        return Served(self.database, self.tables, self.settings.served_folder, self.shape, self.clock)

    def observe(
        self, system: str, kind: RowKind, path: str | Path, *, columns: Mapping[str, str] | None = None, by: str
    ) -> Observed:
        """Keep the rows of a file."""
        return files.observe(
            self.database, self.tables, self.shape(system, kind), system, path, columns=columns, clock=self.clock,
            by=by,
        )  # fmt: skip

    def pull(self, system: str, feed: str, *, by: str) -> Observed:
        """Fetch the rows of a feed that are new."""
        return pulling.pull(self.database, self.tables, self.plan(system).plan, feed, clock=self.clock, by=by)

    def snapshot(
        self, system: str, *, start: datetime | None = None, end: datetime | None = None, by: str,
        id: str | None = None,  # noqa: A002 - what it is called
    ) -> snapshots.Snapshot:  # fmt: skip
        """Fix the rows that a model is to be trained on; under an `id` of the caller's once."""
        return snapshots.take(
            self.database, self.tables, self.plan(system).plan, start=start, end=end, now=self.clock.now(), by=by,
            id=id,
        )  # fmt: skip

    def training_rows(self, snapshot: str) -> Any:
        """The rows of a snapshot, bit for bit as they were."""
        return snapshots.read(self.database, self.tables, snapshot)

    def compact(self, system: str, *, by: str) -> tuple[int, int]:
        """Make few large files of many small ones."""
        return retain.compact(self.database, self.tables, system, now=self.clock.now(), by=by)

    def expire(self, system: str, *, by: str) -> int:
        """Remove the rows that are older than the plan keeps them."""
        return retain.expire(self.database, self.tables, self.plan(system).plan, now=self.clock.now(), by=by)

    def erase(self, system: str, id: str, *, by: str) -> int:  # noqa: A002 - what it is called
        """Remove all that is kept of one id."""
        return retain.erase(self.database, self.tables, system, id, now=self.clock.now(), by=by)


class Watching:
    """Whether systems are still as promised."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._watcher = Watcher(system.database, system.tables)

    def take_reference(
        self, system: str, *, start: datetime | None = None, end: datetime | None = None, by: str
    ) -> tuple[int, Reference]:
        """Learn what live rows are compared with from rows that were observed."""
        here = self._system
        plan = here.plan(system).plan
        return reference.take(here.database, here.tables, plan, start=start, end=end, now=here.clock.now(), by=by)

    def look(self, system: str, *, resumed: datetime | None = None) -> Look:
        """Watch what is new of a system; `resumed` is since when it is looked at without a pause."""
        here = self._system
        now = here.clock.now()
        number, applied, written = here.newest(system)
        left.finish(here.database, here.tables, system, now=now)  # what nobody finishes would be waited for
        return self._watcher.look(written, number, applied=applied, resumed=resumed or now, now=now)

    def findings(self, system: str | None = None, *, ended: bool = False) -> list[Finding]:
        """Findings that live, or all."""
        with self._system.database.reading() as connection:
            return findings.kept(connection, system=system, ended=ended)

    def finding(self, number: int) -> Finding:
        """One finding."""
        with self._system.database.reading() as connection:
            return findings.one(connection, number)

    def acknowledge(self, number: int, *, by: str) -> None:
        """Say that somebody knows of a finding."""
        with self._system.database.writing() as connection:
            findings.acknowledge(connection, number, now=self._system.clock.now(), by=by)

    def mute(self, number: int, *, reason: str, until: datetime, by: str) -> None:
        """Say nothing of a finding for a time."""
        with self._system.database.writing() as connection:
            findings.mute(connection, number, reason=reason, until=until, now=self._system.clock.now(), by=by)

    def tell_moved(self, system: str, moved: Sequence[registry.Moved]) -> None:
        """Open a finding of each alias that somebody moved in MLflow, and end those of aliases that are right again."""
        here = self._system
        number, _, _ = here.newest(system)
        found = [
            findings.Found("SL701", f"SL701 {one.alias}", one.says, "aliases follow Shelflife's", None, None,
                           {"set": one.kept, "found": one.found})
            for one in moved
        ]  # fmt: skip
        wrong = {one.key for one in found}
        with here.database.writing() as connection:
            living = [one for one in findings.kept(connection, system=system) if one.code == "SL701"]
            for one in living:
                if one.key not in wrong:
                    why = "the alias stands for what it was set to"
                    findings.resolve(connection, one, reason=why, now=here.clock.now(), by="renew")
            findings.tell(connection, system, found, plan=number, now=here.clock.now())

    def resolve(self, number: int, *, reason: str, by: str) -> None:
        """Say that a finding is over."""
        with self._system.database.writing() as connection:
            found = findings.living(connection, number)
            findings.resolve(connection, found, reason=reason, now=self._system.clock.now(), by=by)


class Accounts:
    """People: accounts, links, sessions."""

    def __init__(self, system: System) -> None:
        self._system = system

    def make(self, name: str, *, role: str, email: str | None = None, by: str) -> tuple[Account, str]:
        """A new account, and the secret of the link by which it chooses a password."""
        with self._system.database.writing() as connection:
            made = accounts.make(connection, name=name, role=role, email=email, now=self._now(), by=by)
            return made, accounts.invite(connection, name, now=self._now(), by=by)

    def invite(self, name: str, *, by: str) -> str:
        """The secret of a new link by which an account chooses a password."""
        with self._system.database.writing() as connection:
            return accounts.invite(connection, name, now=self._now(), by=by)

    def first(self) -> str | None:
        """The secret of the link by which the first account is made, where nobody can sign in yet."""
        with self._system.database.writing() as connection:
            if accounts.any_open(connection):
                return None
            return accounts.invite(connection, None, lasts=accounts.FIRST_LINK, now=self._now(), by="shelflife")

    def invited(self, secret: str) -> tuple[bool, str | None]:
        """Whether a link counts, and for whom."""
        with self._system.database.reading() as connection:
            return accounts.invited(connection, secret, self._now())

    def choose(
        self, secret: str, password: str, *, again: str | None = None, name: str | None = None
    ) -> Account:  # fmt: skip
        """Use a link up: choose a password, typed twice."""
        if again is not None and again != password:
            raise BadInput("The two passwords differ.")
        return accounts.choose(self._system.database, secret, password, name=name, now=self._now())

    def sign_in(self, name: str, password: str, *, address: str) -> tuple[str, Account]:
        """A new session's secret."""
        return accounts.sign_in(self._system.database, name, password, address=address, now=self._now())

    def of_session(self, secret: str) -> Account | None:
        """Who is signed in."""
        with self._system.database.reading() as connection:
            return accounts.of_session(connection, secret, self._now())

    def sign_out(self, secret: str) -> None:
        """End a session."""
        with self._system.database.writing() as connection:
            accounts.sign_out(connection, secret, self._now())

    def every(self) -> list[Account]:
        """All accounts."""
        with self._system.database.reading() as connection:
            return accounts.every(connection)

    def change(self, name: str, *, role: str | None = None, email: str | None = None, by: str) -> Account:
        """Another role or address."""
        with self._system.database.writing() as connection:
            return accounts.change(connection, name, role=role, email=email, now=self._now(), by=by)

    def shut(self, name: str, *, by: str) -> None:
        """Let an account in no more."""
        with self._system.database.writing() as connection:
            accounts.close(connection, name, now=self._now(), by=by)

    def role(self, account: Account, system: str) -> str:
        """The role of an account in a system."""
        people = self._system.plan(system).plan.people.values()
        return accounts.role_in(account, [(person.email, OF_PEOPLE[person.role]) for person in people])

    def person(self, account: Account, system: str) -> str | None:
        """Who of a plan's people an account is, by its e-mail; of several the one who decides on renewals."""
        plan = self._system.plan(system).plan
        own = [name for name, one in plan.people.items() if accounts.is_of(account, one.email)]
        asked = plan.renew.approve.by if plan.renew is not None and plan.renew.approve is not None else None
        return min(own, key=lambda name: asked not in (name, plan.people[name].role), default=None)

    def _now(self) -> datetime:
        return self._system.clock.now()


class Tokens:
    """The tokens by which programs come in."""

    def __init__(self, system: System) -> None:
        self._system = system

    def make(
        self, name: str, may: Sequence[str], *, only: Sequence[str] | None = None, lasts: timedelta | None = None,
        by: str,
    ) -> tuple[str, Token]:  # fmt: skip
        """A new token; its secret is shown once."""
        system = self._system
        for one in only or ():
            system.check_known(one)
        with system.database.writing() as connection:
            return tokens.make(connection, name=name, may=may, systems=only, lasts=lasts, now=system.clock.now(), by=by)

    def find(self, secret: str) -> Token | None:
        """What a secret stands for, if it counts."""
        with self._system.database.reading() as connection:
            return tokens.find(connection, secret, now=self._system.clock.now())

    def every(self) -> list[Token]:
        """All tokens."""
        with self._system.database.reading() as connection:
            return tokens.every(connection)

    def revoke(self, token: str, *, by: str) -> None:
        """Take a token back."""
        with self._system.database.writing() as connection:
            tokens.revoke(connection, token, now=self._system.clock.now(), by=by)


class Ledger:
    """The record of who or what did what."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._denials: dict[tuple[str | None, ...], datetime] = {}

    def denied(self, denied: Denied, asked: str) -> None:
        """Record that somebody asked for what they may not; the same within a minute once.

        What is asked for may be any word: only a system that is there is named.
        """
        if denied.by is None:
            return
        now = self._system.clock.now()
        system = denied.system if denied.system in self._system.names() else None
        # Whoever is not known may ask for anything, and is one.
        key = (denied.by,) if isinstance(denied, Unknown) else (denied.by, denied.action, system)
        if now - self._denials.get(key, now - _DENIED) < _DENIED:
            return
        if len(self._denials) > 1_000:
            self._denials.clear()
        self._denials[key] = now
        with self._system.database.writing() as connection:
            event = AccessDenied(system, denied.action, asked[:200])
            ledger.append(connection, event, at=now, by=denied.by)

    def entries(self, **which: Any) -> list[Entry]:
        """Events, in order."""
        with self._system.database.reading() as connection:
            return list(ledger.entries(connection, **which))

    def verify(self, *, head: str | None = None) -> Verified:
        """Whether the ledger is whole."""
        with self._system.database.reading() as connection:
            return ledger.verify(connection, head=head)
