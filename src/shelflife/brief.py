"""What those are told whom a plan names: what happened, why, what it means for them, and what to do by when.

Words are composed from what is known, by the role that somebody has; what was told stands in the ledger for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from shelflife.events import BriefWritten
from shelflife.ledger import append, entries
from shelflife.plan import Plan
from shelflife.plan.references import approvers
from shelflife.plan.spec import Brief as Asked
from shelflife.plan.spec import Person

Occasion = Literal["renewal_started", "approval_needed", "promoted", "rejected", "rolled_back", "change"]
_MAKERS = ("analyst", "engineer")


@dataclass(frozen=True)
class Happened:
    """An occasion.

    Attributes
    ----------
    renewal
        Its number, where one is part of it.
    version
        The one that it is about: that was made, or that went back.
    other
        The champion beside or before it.
    because
        The reasons, as they were given.
    until
        When a decision is due.
    differ
        The share of rows, of those kept apart, to which the new version gives another answer.
    what, effective
        What changes in the business, and from when on.
    """

    occasion: Occasion
    renewal: int | None = None
    version: int | None = None
    other: int | None = None
    because: Sequence[str] = ()
    until: datetime | None = None
    differ: float | None = None
    what: str | None = None
    effective: datetime | None = None


@dataclass(frozen=True)
class Brief:
    """What one audience is told.

    Attributes
    ----------
    to
        The short name of one of the plan's people.
    what, why, means, do
        Each a sentence or two: `means` and `do` are for them.
    until
        When what is to be done is due.
    """

    to: str
    occasion: str
    what: str
    why: str
    means: str
    do: str
    until: datetime | None = None


def audience(plan: Plan, occasion: Occasion) -> list[str]:
    """Whom a plan has told of an occasion, by their short names."""
    return list(dict.fromkeys(one.to for one in plan.brief if occasion in one.on))


def compose(plan: Plan, happened: Happened, now: datetime) -> list[Brief]:
    """What everybody is told whom the plan names for an occasion.

    Parameters
    ----------
    now
        When it happened; what is to be read in a time is due that much later.
    """
    what, found = _what(plan, happened), []
    asked = {one.to: one for one in plan.brief if happened.occasion in one.on}
    for name, one in asked.items():
        do, until = _do(plan, happened, name, one, now)
        why, means = _why(happened), _means(plan, happened, plan.people[name])
        found.append(Brief(name, happened.occasion, what, why, means, do, until))
    return found


def write(connection: Connection, plan: Plan, happened: Happened, *, now: datetime, by: str) -> list[Brief]:
    """Write down what everybody is told, in the transaction in which it happens."""
    found = compose(plan, happened, now)
    for one in found:
        append(connection, BriefWritten(plan.system, happened.renewal, **asdict(one)), at=now, by=by)
    return found


def of(connection: Connection, system: str, renewal: int) -> list[Brief]:
    """What was told in the course of a renewal, in that order."""
    told = [one.body for one in entries(connection, system=system, kind=BriefWritten.kind)]
    return [_read(body) for body in told if body["renewal"] == renewal]


def _read(body: dict[str, object]) -> Brief:
    said = {name: body[name] for name in Brief.__dataclass_fields__}
    until = said.pop("until")
    return Brief(**said, until=None if until is None else datetime.fromisoformat(str(until)))  # type: ignore[arg-type]


# ---- words -----------------------------------------------------------------------------------------------------------


def _what(plan: Plan, happened: Happened) -> str:
    title, version, other = plan.title, happened.version, happened.other
    before = "" if other is None or other == version else f" in place of version {other}"
    stays = "Nothing answers" if other is None else f"Version {other} goes on answering"
    return {
        "renewal_started": f"A renewal of {title} has begun.",
        "approval_needed": f"Version {version} of {title} has passed all gates and waits for a decision.",
        "promoted": f"Version {version} of {title} answers all requests{before}.",
        "rejected": f"Version {version} of {title} was rejected. {stays}.",
        "rolled_back": f"Version {version} of {title} went back. {stays}.",
        "change": _ended(f"{happened.what}, from {happened.effective:%Y-%m-%d} on") if happened.effective else "",
    }[happened.occasion]


def _why(happened: Happened) -> str:
    said = "; ".join(one.strip().rstrip(".") for one in happened.because if one.strip())
    return _ended(said) if said else "No reason was given."


def _ended(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}."


def _means(plan: Plan, happened: Happened, person: Person) -> str:
    differ = "" if happened.differ is None else f"{100 * happened.differ:.3g} % of recent rows get another answer."
    if happened.occasion == "renewal_started":
        decides = "without a decision by people" if plan.renew is not None and plan.renew.approve is not None else "yet"
        return f"Nothing changes for anybody {decides}."
    if happened.occasion == "change":
        renews = plan.renew is not None and "change" in plan.renew.when
        then = "a renewal begins then" if renews else "no renewal begins by itself"
        return f"What {plan.title} has learnt is from before; {then}."
    if happened.occasion == "approval_needed":
        return f"Nothing is rolled out before. {differ}".strip()
    if happened.occasion == "promoted":
        if person.role in _MAKERS:
            return f"Live rows are compared with what this version was learnt from. {differ}".strip()
        if person.role == "affected":
            return f"Answers may differ from those you are used to. {differ}".strip()
        return f"The promises of the plan hold for this version from now on. {differ}".strip()
    return "Answers are those from before." if happened.other is not None else "There are no answers until one is made."


def _do(plan: Plan, happened: Happened, name: str, asked: Asked, now: datetime) -> tuple[str, datetime | None]:
    """What somebody is to do, and by when."""
    person = plan.people[name]
    if happened.occasion == "approval_needed" and name in approvers(plan):
        return f"Look at what the gates say of renewal {happened.renewal}, then approve or reject it.", happened.until
    said = []
    if happened.occasion == "promoted" and person.role == "affected":
        said.append("Where an answer is wrong, correct it: that is how it is noticed.")
    if happened.occasion in ("rejected", "rolled_back") and person.role in _MAKERS and happened.renewal is not None:
        said.append(f"Read what was found in renewal {happened.renewal}, and put it right before the next one.")
    if asked.acknowledge is not None:
        return " ".join([*said, "Read this."]), now + asked.acknowledge.within
    return " ".join(said) or "Nothing.", None
