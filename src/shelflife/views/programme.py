"""The programme: every system, the worst first, and what needs somebody now."""

from __future__ import annotations

from dataclasses import dataclass

from shelflife.errors import Missing
from shelflife.look.words import plural
from shelflife.system import System
from shelflife.views.status import Status, statuses

PAGE = 50


@dataclass(frozen=True)
class Programme:
    """A page of systems.

    Attributes
    ----------
    says
        The one thing to know of all systems.
    systems
        Those of this page.
    found
        How many there are on all pages.
    page, pages
        This one's number, from 1, and how many there are.
    """

    says: str
    systems: tuple[Status, ...]
    found: int
    page: int
    pages: int


def programme(system: System, *, page: int = 1, words: str = "") -> Programme:
    """All systems, or those whose name, title, owner or objective has some words; a page of them.

    Raises `Missing` where there is no such page.
    """
    every = statuses(system)
    asked = words.casefold().split()
    found = [one for one in every if all(word in _text(one) for word in asked)]
    pages = max(1, -(-len(found) // PAGE))
    if page > pages:
        raise Missing(f"There is no page {page}; the last is {pages}.")
    return Programme(_says(every), tuple(found[(page - 1) * PAGE : page * PAGE]), len(found), page, pages)


def _text(one: Status) -> str:
    return " ".join((one.system, one.title, one.owner or "", one.objective)).casefold()


def _says(every: list[Status]) -> str:
    if not every:
        return "No system has a plan yet."
    broken = [one for one in every if one.pages]
    asked = [one for one in every if one.waits is not None]
    if not broken and asked:
        if len(asked) == 1:
            return f"A renewal of {asked[0].title} waits for a decision."
        return f"{len(asked)} renewals wait for a decision, that of {asked[0].title} first."
    if not broken:
        unknown = [one for one in every if "unknown" in {one.model.state, one.feeds.state}]
        kept = f"None of {plural(len(every), 'system')} breaks a promise"
        return f"{kept}." if not unknown else f"{kept}; of {len(unknown)} not all is known."
    verb = "needs" if len(broken) == 1 else "need"
    return f"{len(broken)} of {plural(len(every), 'system')} {verb} somebody, {broken[0].title} first."
