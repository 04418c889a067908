"""What is stuck: renewals that wait or that nobody carries on, legs that an error stopped, tasks that fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, make_url, select

from shelflife import durable
from shelflife.renew import approval, run
from shelflife.renew.tending import url_of
from shelflife.store.database import Database
from shelflife.store.schema import leases, tasks
from shelflife.workspace import Settings

_IDLE = timedelta(minutes=10)


@dataclass(frozen=True)
class Stuck:
    """Something that does not go on by itself.

    Attributes
    ----------
    what
        Its name.
    says
        What is the matter.
    do
        What to do about it.
    """

    what: str
    says: str
    do: str


def stuck(database: Database, settings: Settings, now: datetime) -> list[Stuck]:
    """All that is stuck, in the order in which it is to be looked at."""
    with database.reading() as connection:
        found = [*_leader(connection, now), *_tasks(connection)]
        under_way = [one for one in run.every(connection) if one.ended is None]
        for one in under_way:
            found += _renewal(connection, one, now)
    names = {one.name for one in under_way}
    if names and _is_there(settings):
        found += [
            Stuck(f"Renewal {leg.run.removeprefix('renewal-')}", f"It was stopped: {leg.error}",
                  "The next look of `shelflife up` tries it again.")
            for leg in durable.legs(url_of(settings))
            if leg.run in names and leg.error is not None
        ]  # fmt: skip
    return found


def _leader(connection: Connection, now: datetime) -> Iterator[Stuck]:
    last = connection.execute(select(leases.c.until).where(leases.c.name == "loop")).scalar()
    if last is None or now - last > _IDLE:
        since = "" if last is None else f" since {last:%Y-%m-%d %H:%M}"
        yield Stuck("The loop", f"Nobody does what is due{since}.", "Start `shelflife up`.")


def _tasks(connection: Connection) -> Iterator[Stuck]:
    for row in connection.execute(select(tasks).where(tasks.c.failed.is_not(None)).order_by(tasks.c.system)):
        yield Stuck(f"{row.system}: {row.name}", f"It fails: {row.failed}", "It is tried again each time it is due.")


def _renewal(connection: Connection, one: run.Renewal, now: datetime) -> Iterator[Stuck]:
    asked = approval.of(connection, one.number)
    name = f"Renewal {one.number} of {one.system}"
    if asked is not None and asked.decision is None:
        until = f"until {asked.expires:%Y-%m-%d %H:%M}"
        yield Stuck(name, f"{one.says}, {until}.", f"shelflife renewals show {one.number}, then approve or reject it.")
        return
    decided = [] if asked is None or asked.at is None else [asked.at]
    last = max([one.started, *decided, *(step.started for step in run.done(connection, one.number))])
    if one.state == "running" and now - last > _IDLE:
        yield Stuck(name, f"It stands still since {last:%Y-%m-%d %H:%M}.", "Start `shelflife up`, which carries it on.")


def _is_there(settings: Settings) -> bool:
    url = make_url(url_of(settings))
    return url.get_backend_name() != "sqlite" or Path(url.database or "").is_file()
