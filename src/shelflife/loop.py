"""The heartbeat: what is done again and again, when each is due, and in what order."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from shelflife.errors import ShelflifeError
from shelflife.events import TaskFailed, TaskRecovered
from shelflife.ledger import append
from shelflife.plan import Plan
from shelflife.store.schema import leases, tasks
from shelflife.system import System
from shelflife.watch.tick import PAUSE

WHO = "loop"  # in the ledger
_DAY = timedelta(days=1)
_LOOK = timedelta(minutes=1)
_LEASE = timedelta(seconds=30)
_log = logging.getLogger("shelflife.loop")


@dataclass(frozen=True)
class Task:
    """Something that is done for a system again and again."""

    system: str
    verb: str
    of: str | None
    every: timedelta

    @property
    def name(self) -> str:
        """Its name among those of its system."""
        return self.verb if self.of is None else f"{self.verb} {self.of}"


def tasks_of(plan: Plan) -> list[Task]:
    """What a plan asks to be done again and again, in the order in which it is done."""
    found = [Task(plan.system, "pull", name, feed.pull.every) for name, feed in plan.feeds.items() if feed.pull]
    found.append(Task(plan.system, "watch", None, min(plan.watch.bucket, _LOOK)))
    found.append(Task(plan.system, "renew", None, _LOOK))
    if plan.keep is not None:
        found.append(Task(plan.system, "expire", None, _DAY))
    found.append(Task(plan.system, "compact", None, _DAY))
    return found


def due(tasks: Iterable[Task], last: Mapping[tuple[str, str], datetime], now: datetime) -> list[Task]:
    """Those of some tasks whose time has come: never done, or as long ago as they ask."""
    return [
        task for task in tasks
        if (task.system, task.name) not in last or now - last[task.system, task.name] >= task.every
    ]  # fmt: skip


class Loop:
    """Does what is due; of several on one database one does, and another takes over when it is gone.

    Parameters
    ----------
    system
        The workspace, and the clock by which things are due.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._holder = secrets.token_hex(8)
        self._since = system.clock.now()

    def run(self, stop: threading.Event, *, every: float = 1.0) -> None:
        """Tick until told to stop; `every` so many seconds."""
        while not stop.is_set():
            try:
                self.tick(stop)
            except Exception:  # noqa: BLE001 - a database that is away comes back
                _log.exception("what is due cannot be seen; it is tried again")
            stop.wait(every)
        self.resign()

    def tick(self, stop: threading.Event | None = None) -> list[Task]:
        """Do all that is due; what was done."""
        done: list[Task] = []
        if not self._leads():
            self._system.renewing.close()  # whoever leads carries it on
            return done
        wanted = [task for _, written in self._system.current_plans() for task in tasks_of(written.plan)]
        with self._system.database.reading() as connection:
            last = {(row.system, row.name): row.at for row in connection.execute(select(tasks))}
        for task in due(wanted, last, self._system.clock.now()):
            # Before each: one that takes long may have cost the lead.
            if (stop is not None and stop.is_set()) or not self._leads():
                break
            self._do(task)
            done.append(task)
        return done

    def resign(self) -> None:
        """Let another one lead at once."""
        with self._system.database.writing() as connection:
            which = leases.c.name == WHO, leases.c.holder == self._holder
            connection.execute(update(leases).where(*which).values(until=self._system.clock.now()))

    # ------------------------------------------------------------------------------------------------------------------

    def _leads(self) -> bool:
        now = self._system.clock.now()
        held: dict[str, Any] = {"holder": self._holder, "until": now + _LEASE}
        mine = or_(leases.c.holder == self._holder, leases.c.until <= now)
        try:
            with self._system.database.writing() as connection:
                last = connection.execute(select(leases).where(leases.c.name == WHO)).one_or_none()
                if last is None:
                    connection.execute(insert(leases).values(name=WHO, since=now, **held))
                    self._since = now
                    return True
                # While nobody led nobody looked.
                self._since = now if last.since is None or now - last.until > PAUSE else last.since
                held["since"] = self._since
                led = connection.execute(update(leases).where(leases.c.name == WHO, mine).values(**held))
            if led.rowcount and last.holder != self._holder:
                # One that was halted may not have seen that another one led: it begins with what that one has left.
                self._system.renewing.close()
            return bool(led.rowcount)
        except IntegrityError:  # another one was first
            return False

    def _do(self, task: Task) -> None:
        failed, began = None, time.perf_counter()
        try:
            self._act(task)
        except ShelflifeError as error:
            failed = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other tasks are still to be done
            _log.exception("%s: %s", task.system, task.name)
            failed = f"{type(error).__name__}: {error}"
        told = {"system": task.system, "task": task.name, "seconds": round(time.perf_counter() - began, 3)}
        if failed is None:
            _log.debug("done", extra=told)
        else:
            _log.warning("not done: %s", failed, extra=told)
        with self._system.database.writing() as connection:
            self._note(connection, task, failed)

    def _act(self, task: Task) -> None:
        if task.verb == "pull":
            assert task.of is not None
            self._system.pull(task.system, task.of, by=WHO)
        elif task.verb == "watch":
            self._system.watching.look(task.system, resumed=self._since)
        elif task.verb == "renew":
            self._system.renewing.tend(task.system)
        elif task.verb == "expire":
            self._system.expire(task.system, by=WHO)
        else:
            self._system.compact(task.system, by=WHO)

    def _note(self, connection: Connection, task: Task, failed: str | None) -> None:
        now = self._system.clock.now()
        which = (tasks.c.system == task.system, tasks.c.name == task.name)
        before = connection.execute(select(tasks).where(*which)).one_or_none()
        values = {"at": now, "failed": failed}
        if before is None:
            connection.execute(insert(tasks).values(system=task.system, name=task.name, **values))
        else:
            connection.execute(update(tasks).where(*which).values(**values))
        said = before.failed if before is not None else None
        if failed is not None and failed != said:
            append(connection, TaskFailed(task.system, task.name, failed), at=now, by=WHO)
        elif failed is None and said is not None:
            append(connection, TaskRecovered(task.system, task.name), at=now, by=WHO)
