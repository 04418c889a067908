"""What those are told whom a plan names: what happened, why, what it means for them, and what to do by when.

Words are composed from what is known, by the role that somebody has; what was told stands in the ledger for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time
from typing import Literal

from sqlalchemy import Connection

from shelflife.events import BriefWritten
from shelflife.ledger import append, entries
from shelflife.plan import Plan
from shelflife.plan.references import approvers, audience
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
        The champion beside or before it; the one that answers again.
    because
        The reasons, as they were given.
    at
        Since when a version answers; until when is to be decided; from when on a change is so.
    differ
        The share of rows, of those kept apart, to which the new version gives another answer.
    started_by
        Who started the renewal.
    what
        What changes in the business.
    renews
        Whether a renewal is due with that.
    withdrawn
        Whether it does not come after all.
    """

    occasion: Occasion
    renewal: int | None = None
    version: int | None = None
    other: int | None = None
    because: Sequence[str] = ()
    at: datetime | None = None
    differ: float | None = None
    started_by: str | None = None
    what: str = ""
    renews: bool = False
    withdrawn: bool = False


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


def compose(plan: Plan, happened: Happened, now: datetime) -> list[Brief]:
    """What everybody is told whom the plan names for an occasion.

    Parameters
    ----------
    now
        When it happened; what is to be read in a time is due that much later.
    """
    what, why, found = _what(plan, happened), _why(happened), []
    for name in audience(plan, happened.occasion):
        asked = [one for one in plan.brief if one.to == name and happened.occasion in one.on]
        reads = min((one.acknowledge.within for one in asked if one.acknowledge is not None), default=None)
        do, until = _do(plan, happened, name, None if reads is None else now + reads)
        found.append(Brief(name, happened.occasion, what, why, _means(plan, happened, plan.people[name]), do, until))
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
    since = "" if happened.at is None else f" since {_day(happened.at)}"
    stays = "Nothing answers" if other is None else f"Version {other} goes on answering"
    again = "Nothing answers" if other is None else f"Version {other} answers all requests"
    return {
        "renewal_started": f"A renewal of {title} has begun.",
        "approval_needed": f"Version {version} of {title} has passed all gates and waits for a decision.",
        "promoted": f"Version {version} of {title} answers all requests{before}{since}.",
        "rejected": f"Version {version} of {title} is not rolled out. {stays}.",
        "rolled_back": f"Version {version} of {title} went back. {again}.",
        "change": _changes(happened),
    }[happened.occasion]


def _changes(happened: Happened) -> str:
    what, day = happened.what.strip().rstrip("."), "" if happened.at is None else _day(happened.at)
    return _ended(f"{what}: this does not come on {day}" if happened.withdrawn else f"{what}, from {day} on")


def _day(moment: datetime) -> str:
    """The day of a moment; with its time where that is not when days begin."""
    said = moment.astimezone(UTC)
    return f"{said:%Y-%m-%d}" if said.time() == time() else f"{said:%Y-%m-%d %H:%M} UTC"


def _why(happened: Happened) -> str:
    said = "; ".join(one.strip().rstrip(".") for one in happened.because if one.strip())
    return _ended(said) if said else "No reason was given."


def _ended(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}."


def _means(plan: Plan, happened: Happened, person: Person) -> str:
    differ = "" if happened.differ is None else f" {100 * happened.differ:.3g} % of recent rows get another answer."
    match happened.occasion:
        case "renewal_started":
            asks = plan.renew is not None and plan.renew.approve is not None
            return f"Nothing changes for anybody {'without a decision by people' if asks else 'yet'}."
        case "change" if happened.withdrawn:
            return f"What {plan.title} has learnt stays as true as it was."
        case "change":
            then = "a renewal is due when it is so" if happened.renews else "no renewal begins by itself"
            return f"What {plan.title} has learnt is from before; {then}."
        case "approval_needed":
            return f"Nothing is rolled out before.{differ}"
        case "promoted" if person.role in _MAKERS:
            return f"Live rows are compared with what this version was proved on.{differ}"
        case "promoted" if person.role == "affected":
            return f"Answers may differ from those you were used to.{differ}"
        case "promoted":
            return f"The promises of the plan hold for this version.{differ}"
    return "There are no answers until one is made." if happened.other is None else "Answers are those from before."


def _do(plan: Plan, happened: Happened, name: str, reads: datetime | None) -> tuple[str, datetime | None]:
    """What somebody is to do, and by when; `reads` is until when they are to have read it, where that is asked."""
    person, occasion = plan.people[name], happened.occasion
    if occasion == "approval_needed" and name in approvers(plan):
        approve = plan.renew.approve if plan.renew is not None else None
        if name == happened.started_by and approve is not None and not approve.same_person:
            return "You started this: somebody else has to approve it; you may reject it.", happened.at
        return f"Look at what the gates say of renewal {happened.renewal}, then approve or reject it.", happened.at
    said = []
    if occasion == "promoted" and person.role == "affected":
        said.append("Where an answer is wrong, correct it: that is how it is noticed.")
    if occasion in ("rejected", "rolled_back") and person.role in _MAKERS and happened.renewal is not None:
        said.append(f"Read what was found in renewal {happened.renewal}, and put it right before the next one.")
    if reads is not None:
        return " ".join([*said, "Read this."]), reads
    return " ".join(said) or "Nothing.", None
