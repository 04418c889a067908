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
        if value is not None and name not in {*told, "system", "sha256", "digest", "finding"}
    )  # fmt: skip
    return Done(row.number, row.at, row.system, row.by, row.kind, says, about, body.get("finding"))


def _says(kind: str, by: str, body: dict[str, Any]) -> tuple[str, set[str]]:
    """What an event tells as a sentence, and which of its fields are in it."""
    sentence = SENTENCES.get(kind, "{kind}.")
    if kind == "link.made" and body.get("account") is None:
        sentence = "A link was made by which the first account is made."
    told = {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}
    # An event of another version may have other fields.
    said = sentence.format_map({**dict.fromkeys(told, "unknown"), **body, "kind": kind, "by": by}).strip()
    return said if said.endswith((".", "!", "?")) else f"{said}.", told


def _plain(value: Any) -> str | datetime:
    """A value of a field as people read it; a moment stays one."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, str) and _MOMENT.match(value):
        return datetime.fromisoformat(value)
    return str(value)
