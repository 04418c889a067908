"""The ledger as people read it: what was done, by whom, when and why."""

from __future__ import annotations

import json
import re
import string
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import or_, select

from shelflife.store.schema import ledger
from shelflife.system import System

PAGE = 100
_UNTOLD = ("system", "sha256", "digest", "finding", "report", "renewal")  # hashes, and what is linked
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d$")

# What each event tells; what its fields say is told beside it where it is not in the sentence.
SENTENCES = MappingProxyType({
    "workspace.made": "The workspace was made by version {version}.",
    "plan.applied": "Plan {number} was applied: {because}",
    "token.made": "The token \u201c{name}\u201d was made.",
    "token.revoked": "The token {token} was revoked.",
    "account.made": "{account} may sign in as {role} once a password is chosen.",
    "account.changed": "{account} has another role or address: {role}.",
    "account.closed": "{account} may sign in no more.",
    "link.made": "A link was made by which {account} chooses a password.",
    "password.chosen": "{account} has a new password.",
    "signed.in": "{by} signed in.",
    "signed.out": "{by} signed out.",
    "signed.wrong": "A name and a password did not belong together.",
    "access.denied": "{by} asked for what they may not: {asked}.",
    "rows.observed": "{accepted} of {rows} were taken in from {source}.",
    "task.failed": "{task} could not be done: {says}",
    "task.recovered": "{task} could be done again.",
    "snapshot.taken": "The rows that a model is to be trained on were fixed.",
    "tables.compacted": "Small files were made into large ones: {before} became {after}.",
    "rows.expired": "Rows older than the plan keeps them were removed: {rows}.",
    "id.erased": "All that was kept of one id was removed.",
    "reference.taken": "Reference {number} was learnt: live rows are compared with it from now on.",
    "finding.opened": "{says}",
    "finding.acknowledged": "Finding {finding} is known of.",
    "finding.muted": "Finding {finding} is muted: {reason}",
    "finding.resolved": "Finding {finding} is over: {reason}",
    "rows.set_aside": "Acknowledged rows could not be kept, and their file of the log was set aside: {reason}",
    "version.registered": "Version {version} was registered: {because}",
    "version.refused": "Version {version} is not served by a gateway: {says}",
    "version.rolled_back": "Version {version} answers again, and version {before} no longer: {because}",
    "pointer.moved": "Version {version} is {alias}: {because}",
    "pointer.closed": "Version {before} is {alias} no longer: {because}",
    "alias.moved": "Somebody else moved the alias {alias} of the model {model} in MLflow.",
    "routes.changed": "Version {champion} answers requests{others}: {because}",
    "change.recorded": "{what} (change {change}, from {effective} on)",
    "change.withdrawn": "Change {change} does not come: {reason}",
    "renewal.started": "Renewal {renewal} was started: {reasons}",
    "renewal.joined": "There is one more reason for renewal {renewal}, which is under way: {reasons}",
    "renewal.step": "Renewal {renewal} did a step, {step}: {says}",
    "renewal.ended": "Renewal {renewal} is over: {says}",
    "brief.written": "{to} was told: {what}",
    "renewal.held": "A renewal was due, and was not started: {says}",
    "approval.asked": "{of} was asked to decide on renewal {renewal}.",
    "approval.given": "{by} approved what renewal {renewal} made.",
    "approval.rejected": "{by} rejected what renewal {renewal} made: {reason}",
    "approval.reminded": "Those who decide on renewal {renewal} were reminded.",
    "approval.expired": "Nobody decided on renewal {renewal} in time.",
})  # fmt: skip


@dataclass(frozen=True)
class Done:
    """One event in words."""

    number: int
    at: datetime
    system: str | None
    by: str
    kind: str
    says: str
    about: tuple[tuple[str, str | datetime], ...]
    finding: int | None
    renewal: int | None


@dataclass(frozen=True)
class Record:
    """A page of events, the newest first; `next` is where the next page begins, None where this is the last."""

    done: tuple[Done, ...]
    next: int | None


def record(
    system: System, *, name: str | None = None, before: int | None = None, finding: int | None = None
) -> Record:  # fmt: skip
    """Events, of one system or all, earlier than one by its number; or those of a finding.

    Raises `BadInput` where there is no such system.
    """
    if name is not None:
        system.check_known(name)
    query = select(ledger).order_by(ledger.c.number.desc())
    if name is not None:
        query = query.where(ledger.c.system == name)
    if before is not None:
        query = query.where(ledger.c.number < before)
    if finding is not None:
        said = f'"finding":{finding}'
        ends = or_(*(ledger.c.body.contains(said + end) for end in ",}"))  # else 1 were in 10 as well
        query = query.where(ledger.c.kind.startswith("finding."), ends)
    with system.database.reading() as connection:
        rows = connection.execute(query.limit(PAGE + 1)).all()
    done = [_done(row) for row in rows[:PAGE]]
    if finding is not None:
        done = [one for one in done if one.finding == finding]
    return Record(tuple(done), rows[PAGE - 1].number if len(rows) > PAGE else None)


def _done(row: Any) -> Done:
    body = json.loads(row.body)
    says, told = _says(row.kind, row.by, body)
    about = tuple(
        (name.replace("_", " "), _plain(value)) for name, value in body.items()
        if value is not None and name not in {*told, *_UNTOLD}
    )  # fmt: skip
    return Done(
        row.number, row.at, row.system, row.by, row.kind, says, about, body.get("finding"), body.get("renewal")
    )  # fmt: skip


def _says(kind: str, by: str, body: dict[str, Any]) -> tuple[str, set[str]]:
    """What an event tells as a sentence, and which of its fields are in it."""
    sentence = SENTENCES.get(kind, "{kind}.")
    if kind == "link.made" and body.get("account") is None:
        sentence = "A link was made by which the first account is made."
    if kind == "routes.changed":
        body = {**body, "others": _others(body)}
    told = {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}
    # An event of another version may have other fields.
    plain = {name: _plain(value) if isinstance(value, list) else value for name, value in body.items()}
    said = sentence.format_map({**dict.fromkeys(told, "unknown"), **plain, "kind": kind, "by": by}).strip()
    told |= {"canary", "share", "shadow"} if kind == "routes.changed" else set()
    return said if said.endswith((".", "!", "?")) else f"{said}.", told


def _others(body: dict[str, Any]) -> str:
    """Who else answers by the routes."""
    found = ""
    if body.get("canary") is not None:
        found += f", version {body['canary']} {100 * body.get('share', 0):g} % of them"
    if body.get("shadow") is not None:
        found += f", version {body['shadow']} beside, unheard"
    return found


def _plain(value: Any) -> str | datetime:
    """A value of a field as people read it; a moment stays one."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, str) and _MOMENT.match(value):
        return datetime.fromisoformat(value)
    return str(value)
