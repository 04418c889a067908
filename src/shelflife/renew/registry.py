"""Versions and what they were: MLflow keeps the models, and we who made them, of what, and which one counted when."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select, update

from shelflife import models
from shelflife.errors import BadInput, Missing
from shelflife.events import AliasMoved, PointerClosed, PointerMoved, VersionRegistered
from shelflife.ledger import append
from shelflife.plan import Plan
from shelflife.renew.mlflows import Registry
from shelflife.store.database import Database
from shelflife.store.schema import aliases, pointers, systems, versions
from shelflife.workspace import Settings

Alias = Literal["champion", "challenger"]
ALIASES: tuple[Alias, ...] = ("champion", "challenger")
_LONGEST = 200  # of a key


@dataclass(frozen=True)
class Version:
    """A registered model.

    Attributes
    ----------
    key
        Of what asked for it.
    model, registered
        Its name and number in the MLflow registry.
    source, digest
        Where its artifact lies, by `models.local`, and what that is.
    plan, snapshot
        By which plan and of which rows it was made; an adopted one of none.
    record
        Code, environment, parameters, seed, metrics: what else made it.
    """

    system: str
    number: int
    key: str
    model: str
    registered: str
    source: str
    digest: str
    plan: int
    snapshot: str | None
    record: dict[str, Any]
    at: datetime
    by: str
    because: str

    @property
    def best_before(self) -> datetime | None:
        """Until when it is expected to be good; None where that was not measured, or models like it last longer."""
        until = self.record.get("best_before")
        return None if until is None else datetime.fromisoformat(until)

    @property
    def lasts(self) -> str:
        """What was measured of how long models like it last, in words; empty where nothing was."""
        return str(self.record.get("lasts", {}).get("says", ""))

    @property
    def ages(self) -> bool | None:
        """Whether models like it were seen to come to their end; None where that was not measured."""
        found = self.record.get("lasts", {})
        return found["days"] is not None if "days" in found else None


@dataclass(frozen=True)
class Pointer:
    """Which version was champion or challenger, from when to when (None: still), by whose decision and why."""

    system: str
    alias: str
    version: int
    since: datetime
    until: datetime | None
    by: str
    because: str


@dataclass(frozen=True)
class Moved:
    """An alias in MLflow that does not stand for what it was set to: version numbers of MLflow, None for none."""

    system: str
    model: str
    alias: str
    kept: str | None
    found: str | None

    @property
    def says(self) -> str:
        """What happened, in a sentence."""
        before, now = (f"version {one}" if one is not None else "none" for one in (self.kept, self.found))
        return (
            f"The alias {self.alias!r} of the MLflow model {self.model!r} was set to {before} by Shelflife, and stands"
            f" for {now}: somebody else moved it."
        )


# ----------------------------------------------------------------------------------------------------------------------
# Versions


def register(
    database: Database, settings: Settings, plan: Plan, plan_number: int, *, artifact: Path, key: str,
    snapshot: str | None, record: dict[str, Any], by: str, because: str, now: datetime,
) -> Version:  # fmt: skip
    """Make a version of an artifact; for one key once, however often it is asked for and killed on the way.

    Parameters
    ----------
    artifact
        An MLflow model directory; it is copied.
    key
        What asks for it: the same key is the same version.
    """
    if not key or len(key) > _LONGEST:
        raise BadInput(f"The key of a version has 1 to {_LONGEST} characters; found {len(key)}.")
    with database.reading() as connection:
        known = of_key(connection, plan.system, key)
    if known is not None:
        return known
    kept, digest = _kept(artifact, settings.artifacts_folder / plan.system)
    registry = Registry(settings)
    # Of several systems with one model the key alone could be the same.
    number, source = registry.create(
        plan.model.name, kept, key=f"{plan.system}/{key}", digest=digest, says=because[:1000]
    )
    if not registry.is_here:
        _aside(kept, settings.artifacts_folder / "fetched" / digest)
    elif settings.database is None:  # who reads this row has the workspace, wherever that lies by then
        source = kept.relative_to(settings.artifacts_folder).as_posix()
    values: dict[str, Any] = {
        "system": plan.system, "key": key, "model": plan.model.name, "registered": number, "source": source,
        "digest": digest, "plan": plan_number, "snapshot": snapshot, "record": record, "at": now, "by": by,
        "because": because,
    }  # fmt: skip
    with database.writing() as connection:
        _lock(connection, plan.system)
        known = of_key(connection, plan.system, key)
        if known is not None:
            return known
        last = select(func.max(versions.c.number)).where(versions.c.system == plan.system)
        made = Version(number=(connection.execute(last).scalar() or 0) + 1, **values)
        connection.execute(insert(versions).values(number=made.number, **values))
        event = VersionRegistered(
            plan.system, made.number, made.model, made.registered, digest, plan_number, snapshot, because
        )
        append(connection, event, at=now, by=by)
    return made


def one(connection: Connection, system: str, number: int) -> Version:
    """A version by its number.

    Raises
    ------
    Missing
        Where there is none.
    """
    query = select(versions).where(versions.c.system == system, versions.c.number == number)
    found = connection.execute(query).one_or_none()
    if found is None:
        last = select(func.max(versions.c.number)).where(versions.c.system == system)
        there = connection.execute(last).scalar()
        hint = f"the newest is {there}" if there else "it has none yet"
        raise Missing(f"There is no version {number} of {system!r}; {hint} (shelflife versions {system}).")
    return Version(**found._mapping)  # noqa: SLF001 - its public name


def every(connection: Connection, system: str) -> list[Version]:
    """All versions of a system, in order."""
    query = select(versions).where(versions.c.system == system).order_by(versions.c.number)
    return [Version(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001


def of_key(connection: Connection, system: str, key: str) -> Version | None:
    """The version that was made for a key."""
    query = select(versions).where(versions.c.system == system, versions.c.key == key)
    found = connection.execute(query).one_or_none()
    return None if found is None else Version(**found._mapping)  # noqa: SLF001


def artifact(settings: Settings, version: Version) -> Path:
    """Where a version's artifact lies on this machine; fetched where it lies elsewhere."""
    return models.local(version.source, settings.artifacts_folder, version.digest)


def _kept(artifact: Path, folder: Path) -> tuple[Path, str]:
    """A copy of an artifact in a folder, named by its digest and on the disk; and its digest."""
    digest = models.digest(artifact)
    there = folder / digest[:32]
    if there.is_dir() and models.digest(there) == digest:
        return there, digest
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{digest[:32]}-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(artifact, draft)
    for path in draft.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    shutil.rmtree(there, ignore_errors=True)  # what is there is not what it is named after
    _aside(draft, there)
    return there, digest


def _aside(folder: Path, there: Path) -> None:
    """Move a folder to its place, where another process may have been first."""
    there.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(there)
    except OSError:
        if not there.is_dir():
            raise
        shutil.rmtree(folder)


def _lock(connection: Connection, system: str) -> None:
    """Let one transaction at a time number versions and move pointers of a system."""
    connection.execute(select(systems.c.name).where(systems.c.name == system).with_for_update(key_share=True))


# ----------------------------------------------------------------------------------------------------------------------
# Pointers


def point(
    connection: Connection, system: str, alias: Alias, version: int, *, by: str, because: str, now: datetime
) -> bool:
    """Make a version the champion or the challenger; whether it was not already."""
    _lock(connection, system)
    one(connection, system, version)
    before = pointer(connection, system, alias)
    if before is not None and before.version == version:
        return False
    _end(connection, system, alias, now)
    connection.execute(
        insert(pointers).values(system=system, alias=alias, version=version, since=now, by=by, because=because)
    )
    event = PointerMoved(system, alias, None if before is None else before.version, version, because)
    append(connection, event, at=now, by=by)
    return True


def close(connection: Connection, system: str, alias: Alias, *, by: str, because: str, now: datetime) -> bool:
    """Let no version be champion or challenger any more; whether one was."""
    _lock(connection, system)
    before = pointer(connection, system, alias)
    if before is None:
        return False
    _end(connection, system, alias, now)
    append(connection, PointerClosed(system, alias, before.version, because), at=now, by=by)
    return True


def pointer(connection: Connection, system: str, alias: str, at: datetime | None = None) -> Pointer | None:
    """What an alias stands for now, or stood for at a moment."""
    query = select(pointers).where(pointers.c.system == system, pointers.c.alias == alias)
    if at is None:
        query = query.where(pointers.c.until.is_(None))
    else:
        query = query.where(pointers.c.since <= at, pointers.c.until.is_(None) | (pointers.c.until > at))
    found = connection.execute(query.order_by(pointers.c.number.desc()).limit(1)).first()
    return None if found is None else _pointer(found)


def best_before(connection: Connection, system: str | None = None) -> dict[str, datetime]:
    """Until when the champions of all systems, or one, are expected to be good, of each for which that is known."""
    until = versions.c.record["best_before"].as_string()
    query = (
        select(pointers.c.system, until.label("until"))
        .join(versions, (versions.c.system == pointers.c.system) & (versions.c.number == pointers.c.version))
        .where(pointers.c.alias == "champion", pointers.c.until.is_(None), until.is_not(None))
    )
    if system is not None:
        query = query.where(pointers.c.system == system)
    return {row.system: datetime.fromisoformat(row.until) for row in connection.execute(query)}


def history(connection: Connection, system: str) -> list[Pointer]:
    """All that aliases of a system ever stood for, in order."""
    query = select(pointers).where(pointers.c.system == system).order_by(pointers.c.number)
    return [_pointer(row) for row in connection.execute(query)]


def earlier(pointed: Iterable[Pointer], version: int) -> int | None:
    """The champion before a version first became it; who went back from another one is not led to that again."""
    champions = (one.version for one in pointed if one.alias == "champion")
    found = list(itertools.takewhile(lambda one: one != version, champions))
    return found[-1] if found else None


def _pointer(row: Any) -> Pointer:
    return Pointer(**{name: getattr(row, name) for name in Pointer.__dataclass_fields__})


def _end(connection: Connection, system: str, alias: str, now: datetime) -> None:
    is_open = pointers.c.until.is_(None)
    connection.execute(
        update(pointers).where(pointers.c.system == system, pointers.c.alias == alias, is_open).values(until=now)
    )


# ----------------------------------------------------------------------------------------------------------------------
# The aliases in MLflow


def follow(database: Database, settings: Settings, system: str, *, now: datetime) -> Sequence[Moved]:
    """Let MLflow's aliases stand for what ours do; those that somebody else moved, as long as they stand elsewhere.

    An alias that was moved is left where it is, and told in the ledger once: nobody's decision is undone behind their
    back. It follows again when our pointer moves.
    """
    with database.reading() as connection:
        wanted = {alias: _version_of(connection, system, alias) for alias in ALIASES}
        query = select(aliases).where(aliases.c.system == system)
        last = {row.alias: row for row in connection.execute(query)}
    if not last and not any(wanted.values()):
        return []
    registry, moved = Registry(settings), []
    for alias in ALIASES:
        found = _followed(database, registry, system, alias, wanted[alias], last.get(alias), now)
        moved += [found] if found is not None else []
    return moved


def _followed(
    database: Database, registry: Registry, system: str, alias: str, version: Version | None, last: Any, now: datetime
) -> Moved | None:
    if version is None and last is None:
        return None
    model = version.model if version is not None else last.model
    number = version.registered if version is not None else None
    if last is not None and last.model != model:  # the plan names another model since
        registry.point(last.model, alias, None)
        last = None
    there = registry.alias(model, alias)
    if last is not None and last.kept == number and there != number:
        return _elsewhere(database, Moved(system, model, alias, number, there), last, now)
    if there != number:
        registry.point(model, alias, number)
    if last is None or (last.kept, last.found) != (number, None):
        with database.writing() as connection:
            _note(connection, system, alias, model=model, kept=number, found=None)
    return None


def _elsewhere(database: Database, moved: Moved, last: Any, now: datetime) -> Moved:
    found = moved.found or ""  # the alias is gone
    if last.found != found:
        with database.writing() as connection:
            _note(connection, moved.system, moved.alias, model=moved.model, kept=moved.kept, found=found)
            event = AliasMoved(moved.system, moved.model, moved.alias, moved.kept, moved.found)
            append(connection, event, at=now, by="MLflow")
    return moved


def _note(connection: Connection, system: str, alias: str, **values: str | None) -> None:
    same = (aliases.c.system == system) & (aliases.c.alias == alias)
    if connection.execute(update(aliases).where(same).values(**values)).rowcount == 0:
        connection.execute(insert(aliases).values(system=system, alias=alias, **values))


def _version_of(connection: Connection, system: str, alias: str) -> Version | None:
    found = pointer(connection, system, alias)
    return None if found is None else one(connection, system, found.version)
