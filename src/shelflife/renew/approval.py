"""Who may decide, on what exactly, until when: a decision is bound to what it was made on, and is never assumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from shelflife.errors import BadInput
from shelflife.events import ApprovalAsked, ApprovalExpired, ApprovalGiven, ApprovalRejected, ApprovalReminded
from shelflife.ledger import append
from shelflife.plan import Plan
from shelflife.rights import Denied
from shelflife.store.schema import accounts, approvals, renewals

Decision = Literal["approved", "rejected", "expired"]


@dataclass(frozen=True)
class Approval:
    """A question to people, and their answer.

    Attributes
    ----------
    digest, plan, report
        What is decided on: the artifact, the plan's number, and what the gates said.
    decision
        None while nobody has decided.
    """

    renewal: int
    digest: str
    plan: int
    report: str
    asked: datetime
    expires: datetime
    reminded: datetime | None
    decision: Decision | None
    by: str | None
    at: datetime | None
    reason: str | None


def of(connection: Connection, renewal: int) -> Approval | None:
    """The question that a renewal asked, if it has come so far."""
    row = connection.execute(select(approvals).where(approvals.c.renewal == renewal)).one_or_none()
    return None if row is None else Approval(**row._mapping)  # noqa: SLF001 - its public name


def digest_of(report: Sequence[dict[str, Any]]) -> str:
    """The digest of what the gates said."""
    return hashlib.sha256(json.dumps(list(report), sort_keys=True).encode()).hexdigest()


def ask(
    connection: Connection, plan: Plan, number: int, *, renewal: int, digest: str, report: str, now: datetime, by: str
) -> datetime:  # fmt: skip
    """Ask for a decision, once; until when."""
    assert plan.renew is not None
    assert plan.renew.approve is not None
    expires = now + plan.renew.approve.within
    connection.execute(
        insert(approvals).values(
            renewal=renewal, digest=digest, plan=number, report=report, asked=now, expires=expires
        )
    )  # fmt: skip
    event = ApprovalAsked(plan.system, renewal, plan.renew.approve.by, digest, number, report, expires)
    append(connection, event, at=now, by=by)
    return expires


def decide(
    connection: Connection, plan: Plan, renewal: int, *, approve: bool, person: str, reason: str, now: datetime,
    known_as: str | None = None,
) -> None:  # fmt: skip
    """Approve or reject, as one of the people of the plan by which the renewal is done.

    Parameters
    ----------
    person
        Who decides: their short name in the plan.
    reason
        Why; a rejection needs one.
    known_as
        What they are called where they decide: their account, or their login.

    Raises
    ------
    BadInput
        Where nothing is to be decided, or a rejection says nothing.
    Denied
        Where it is not theirs to decide.
    """
    # Of two who decide at once one waits here, and then sees what the other did.
    row = connection.execute(select(renewals).where(renewals.c.number == renewal).with_for_update()).one_or_none()
    asked = of(connection, renewal)
    if row is None or asked is None:
        raise BadInput(f"Renewal {renewal} has not asked for a decision.")
    if asked.decision is not None or row.ended is not None:
        said = f"was {asked.decision} by {asked.by}" if asked.decision else "is over"
        raise BadInput(f"Renewal {renewal} {said}: there is nothing left to decide.")
    if now >= asked.expires:
        raise BadInput(f"Renewal {renewal} asked until {asked.expires:%Y-%m-%d %H:%M}; that is over. Start another.")
    if not approve and not reason.strip():
        raise BadInput("A rejection needs a reason: those who made it are to learn what to do better.")
    check_may(connection, plan, person, started_by=row.by, approve=approve, known_as=known_as)
    decision: Decision = "approved" if approve else "rejected"
    connection.execute(
        update(approvals).where(approvals.c.renewal == renewal)
        .values(decision=decision, by=person, at=now, reason=reason.strip() or None)
    )  # fmt: skip
    # Whoever looks before the loop goes on is told what was decided, and not that it is waited for.
    connection.execute(
        update(renewals).where(renewals.c.number == renewal)
        .values(state="running", says=f"{person} {decision} version {row.challenger}")
    )  # fmt: skip
    kind = ApprovalGiven if approve else ApprovalRejected
    append(connection, kind(plan.system, renewal, asked.digest, asked.plan, asked.report, reason), at=now, by=person)


def check_may(
    connection: Connection, plan: Plan, person: str, *, started_by: str, approve: bool = True,
    known_as: str | None = None,
) -> None:  # fmt: skip
    """Raise `Denied` where a renewal is not this person's to decide."""
    asked = plan.renew.approve if plan.renew is not None else None
    if asked is None:
        raise BadInput(f"The plan of {plan.system} names nobody who approves (`renew.approve`).")
    known = plan.people.get(person)
    if known is None or asked.by not in (person, known.role):
        raise Denied(
            f"{person!r} may not decide on renewals of {plan.system!r}: the plan asks {asked.by}.",
            by=person, action="decide", system=plan.system,
        )  # fmt: skip
    if not approve or asked.same_person:
        return
    theirs = identities(connection, plan, person)
    if known_as is not None:
        theirs |= identities(connection, plan, known_as)
    if theirs & identities(connection, plan, started_by):
        who = f"{person!r} "
        if started_by != person:
            who += f"decides here as {started_by!r}, who "
        raise Denied(
            f"{who}started this renewal, and the plan asks for somebody else to approve it: from another login, or"
            " start renewals `--by` who asked for them (`renew.approve.same_person` would allow it).",
            by=person, action="decide", system=plan.system,
        )  # fmt: skip


def identities(connection: Connection, plan: Plan, name: str) -> frozenset[str]:
    """All by which one is known who is called so: the name, and the addresses of whom it is in the plan or signs in."""
    named = plan.people.get(name)
    signs_in = connection.execute(select(accounts.c.email).where(accounts.c.name == name.lower())).scalar()
    found = (name, named.email if named is not None else None, signs_in)
    return frozenset(one.casefold() for one in found if one)


def expire(connection: Connection, system: str, renewal: int, *, now: datetime, by: str) -> None:
    """Note that nobody decided in time; raises `BadInput` where somebody did after all, whose decision stands."""
    open_ = (approvals.c.renewal == renewal, approvals.c.decision.is_(None))
    if not connection.execute(update(approvals).where(*open_).values(decision="expired", at=now, by=by)).rowcount:
        raise BadInput(f"Renewal {renewal} was decided on in the last moment.")
    append(connection, ApprovalExpired(system, renewal), at=now, by=by)


def remind(connection: Connection, system: str, renewal: int, *, now: datetime, by: str) -> None:
    """Note that those who are to decide were reminded."""
    connection.execute(update(approvals).where(approvals.c.renewal == renewal).values(reminded=now))
    append(connection, ApprovalReminded(system, renewal), at=now, by=by)
