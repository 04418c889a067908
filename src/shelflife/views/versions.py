"""Versions: which one answers now, which one counted when, what each is made of, and in what two differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shelflife.errors import BadInput, Missing
from shelflife.renew.compare import Difference
from shelflife.renew.compare import compare as put
from shelflife.renew.registry import Pointer, Version, earlier
from shelflife.routes import Routes, current
from shelflife.system import System

PAGE = 20
_WIDE = 1000  # of the timeline
_LEAST = 4
# Of what each fact of a version tells; the rest is how it was made.
_DATA = ("snapshot", "cut", "window", "rows", "data", "kinds", "inputs")
_CODE = ("code", "trainer", "train", "format", "parameters", "seed", "adopted")


@dataclass(frozen=True)
class Serving:
    """Which versions answer requests.

    Attributes
    ----------
    champion
        None where there is none yet.
    since, by, because
        Of its being champion.
    routes
        By which requests are answered; None where no gateway was told yet.
    earlier
        The champion before it, to which one can go back.
    version
        The champion.
    """

    champion: int | None
    since: datetime | None
    by: str
    because: str
    routes: Routes | None
    earlier: int | None
    version: Version | None = None

    @property
    def says(self) -> str:
        """Who answers, in a sentence."""
        if self.champion is None:
            return "No version is champion yet."
        found = self.routes
        if found is None or found.canary is None:
            beside = f"; version {found.shadow} answers beside, unheard" if found and found.shadow is not None else ""
            return f"Version {self.champion} is champion and answers everybody{beside}."
        share = 100 * found.share
        return f"Version {found.champion} answers {100 - share:g} % of requests, version {found.canary} {share:g} %."


@dataclass(frozen=True)
class Card:
    """A version, as its label says it."""

    version: Version
    aliases: tuple[str, ...]
    metrics: tuple[tuple[str, float], ...]
    ingredients: tuple[str, ...]
    earlier: int | None


@dataclass(frozen=True)
class Bar:
    """A time in which a version was champion or challenger; from `left`, so `wide`, of 1,000."""

    alias: str
    left: float
    wide: float
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class VersionsView:
    """The versions of a system, the newest first; `next` is where the next page begins."""

    system: str
    title: str
    serving: Serving
    cards: tuple[Card, ...]
    found: int
    next: int | None
    pointers: tuple[Pointer, ...]
    timeline: tuple[tuple[int, tuple[Bar, ...]], ...]
    start: datetime | None
    end: datetime


@dataclass(frozen=True)
class ComparedView:
    """Two versions side by side: what is told of each, in groups, and in what their environments differ."""

    system: str
    title: str
    says: str
    first: Card
    second: Card
    groups: tuple[tuple[str, tuple[Difference, ...]], ...]
    metrics: tuple[Difference, ...]
    environment: tuple[str, ...]
    serving: Serving


def serving(system: System, name: str, pointers: Iterable[Pointer] | None = None) -> Serving:
    """Which versions of a system answer now."""
    every = list(system.versions.pointers(name) if pointers is None else pointers)
    was = [one for one in every if one.alias == "champion"]
    now = next((one for one in was if one.until is None), None)
    with system.database.reading() as connection:
        routed = current(connection).get(name)
    if now is None:
        return Serving(None, None, "", "", routed, None)
    back = None
    if routed is not None:
        back = routed.champion if routed.canary is not None else earlier(was, routed.champion)
    version = system.versions.one(name, now.version)
    return Serving(now.version, now.since, now.by, now.because, routed, back, version)


def versions(system: System, name: str, *, before: int | None = None) -> VersionsView:
    """All versions of a system; raises `BadInput` where there is no such system."""
    every, pointers = system.versions.every(name), system.versions.pointers(name)
    rest = [one for one in reversed(every) if before is None or one.number < before]
    now = system.clock.now()
    start = min((one.since for one in pointers), default=None)
    return VersionsView(
        name, system.plan(name).plan.title, serving(system, name, pointers),
        tuple(_card(one, pointers) for one in rest[:PAGE]), len(every),
        rest[PAGE - 1].number if len(rest) > PAGE else None, tuple(reversed(pointers)),
        () if start is None else tuple(_timeline(pointers, start, now)), start, now,
    )  # fmt: skip


def compare(system: System, name: str, first: int, second: int) -> ComparedView:
    """Put two versions of a system side by side; raises `Missing` where there is no such version."""
    try:
        pair = [system.versions.one(name, number) for number in (first, second)]
    except Missing:
        raise
    except BadInput as error:
        raise Missing(str(error).partition(" (")[0] + ".") from error
    found, pointers = put(*pair), system.versions.pointers(name)
    grouped: dict[str, list[Difference]] = {"Data": [], "Code": [], "How it was made": []}
    for one in found.made:
        head = one.what.split(".")[0]
        group = "Data" if head in _DATA else "Code" if head in _CODE else "How it was made"
        grouped[group].append(one)
    differs = [group.lower() for group in ("Data", "Code") if grouped[group]]
    differs += ["environment"] if found.environment else []
    differs += ["metrics"] if any(one.first != one.second for one in found.metrics) else []
    says = f"Versions {first} and {second} differ in {_listed(differs)}."
    return ComparedView(
        name, system.plan(name).plan.title,
        says if differs else f"Versions {first} and {second} differ in nothing that was measured.",
        _card(pair[0], pointers), _card(pair[1], pointers),
        tuple((group, tuple(rows)) for group, rows in grouped.items()), found.metrics, found.environment,
        serving(system, name, pointers),
    )  # fmt: skip


def _card(version: Version, pointers: list[Pointer]) -> Card:
    record = version.record
    overall = (record.get("metrics") or {}).get("overall") or {}
    return Card(
        version, tuple(one.alias for one in pointers if one.version == version.number and one.until is None),
        tuple(overall.items()), tuple(_ingredients(version, record)),
        version.number - 1 if version.number > 1 else None,
    )  # fmt: skip


def _ingredients(version: Version, record: dict[str, Any]) -> list[str]:
    """What it is made of, as the label of a food says it."""
    if "adopted" in record:
        return [f"brought from {record['adopted']}; what made it was not told"]
    found = [f"rows of the snapshot {version.snapshot}" if version.snapshot else "rows unknown"]
    if record.get("window"):
        found[0] += f" ({record['window']})"
    code = record.get("code")
    if code:
        found.append(f"code {code['commit'][:10]}{', with changes' if code.get('dirty') else ''}")
    else:
        found.append("code of no repository")
    environment = record.get("environment") or {}
    if environment:
        found.append(f"Python {environment.get('python')} with {len(environment.get('packages', []))} packages")
    return found


def _timeline(pointers: list[Pointer], start: datetime, now: datetime) -> Iterable[tuple[int, tuple[Bar, ...]]]:
    """A row for each version that ever was champion or challenger, the newest first."""
    whole = max((now - start).total_seconds(), 1.0)
    for number in sorted({one.version for one in pointers}, reverse=True)[:PAGE]:
        bars = []
        for one in pointers:
            if one.version == number:
                left = (one.since - start).total_seconds() / whole * _WIDE
                wide = ((one.until or now) - one.since).total_seconds() / whole * _WIDE
                left = min(left, _WIDE - _LEAST)
                bars.append(Bar(one.alias, round(left, 1), round(max(wide, _LEAST), 1), one.since, one.until))
        yield number, tuple(bars)


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1] if words else "")))
