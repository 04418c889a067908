"""Every event of the ledger: one frozen class each, whose fields are what happened.

``kind`` is the event's name there and, with ``shelflife.`` before it, its type as a CloudEvent.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """Something that happened, by somebody, perhaps to one system."""

    kind: ClassVar[str]

    @property
    def subject(self) -> str | None:
        """The system that it happened to, if any."""
        return getattr(self, "system", None)

    def body(self) -> dict[str, Any]:
        """Its fields as plain values."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}


@dataclass(frozen=True)
class WorkspaceMade(Event):
    """A workspace was made, by this version of Shelflife."""

    kind: ClassVar[str] = "workspace.made"
    version: str


@dataclass(frozen=True)
class PlanApplied(Event):
    """A plan was applied: it counts from now on, under this number."""

    kind: ClassVar[str] = "plan.applied"
    system: str
    number: int
    sha256: str
    because: str


@dataclass(frozen=True)
class TokenMade(Event):
    """A token was made: what it may do, for which systems (None: all), until when (None: until it is revoked)."""

    kind: ClassVar[str] = "token.made"
    token: str
    name: str
    may: tuple[str, ...]
    systems: tuple[str, ...] | None
    expires: datetime | None


@dataclass(frozen=True)
class TokenRevoked(Event):
    """A token was taken back."""

    kind: ClassVar[str] = "token.revoked"
    token: str


@dataclass(frozen=True)
class AccountMade(Event):
    """Somebody may come in once they have chosen a password."""

    kind: ClassVar[str] = "account.made"
    account: str
    role: str
    email: str | None


@dataclass(frozen=True)
class AccountChanged(Event):
    """An account has another role or e-mail address."""

    kind: ClassVar[str] = "account.changed"
    account: str
    role: str
    email: str | None


@dataclass(frozen=True)
class AccountClosed(Event):
    """An account may come in no more."""

    kind: ClassVar[str] = "account.closed"
    account: str


@dataclass(frozen=True)
class LinkMade(Event):
    """A link was made by which an account (None: the first of all) chooses a password, once."""

    kind: ClassVar[str] = "link.made"
    account: str | None
    expires: datetime


@dataclass(frozen=True)
class PasswordChosen(Event):
    """An account has a new password; its sessions are over."""

    kind: ClassVar[str] = "password.chosen"
    account: str


@dataclass(frozen=True)
class SignedIn(Event):
    """Somebody signed in, from an address."""

    kind: ClassVar[str] = "signed.in"
    address: str


@dataclass(frozen=True)
class SignedOut(Event):
    """Somebody signed out."""

    kind: ClassVar[str] = "signed.out"


@dataclass(frozen=True)
class SignInFailed(Event):
    """A name and a password did not belong together."""

    kind: ClassVar[str] = "signed.wrong"
    address: str


@dataclass(frozen=True)
class AccessDenied(Event):
    """Somebody asked for what they may not; the same within a minute is told once."""

    kind: ClassVar[str] = "access.denied"
    system: str | None
    action: str
    asked: str


@dataclass(frozen=True)
class RowsObserved(Event):
    """Rows were read from a file or fetched by a connector; those that are sent to us go without an event each."""

    kind: ClassVar[str] = "rows.observed"
    system: str
    rows: str
    source: str
    accepted: int
    duplicate: int
    rejected: int


@dataclass(frozen=True)
class TaskFailed(Event):
    """Something that is done again and again could not be done; told when that begins, or its reason changes."""

    kind: ClassVar[str] = "task.failed"
    system: str
    task: str
    says: str


@dataclass(frozen=True)
class TaskRecovered(Event):
    """What had failed was done again."""

    kind: ClassVar[str] = "task.recovered"
    system: str
    task: str


@dataclass(frozen=True)
class SnapshotTaken(Event):
    """The rows that a model is to be trained on were fixed."""

    kind: ClassVar[str] = "snapshot.taken"
    system: str
    snapshot: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class TablesCompacted(Event):
    """Small files of a system's tables were made into large ones; no row changed."""

    kind: ClassVar[str] = "tables.compacted"
    system: str
    before: int
    after: int


@dataclass(frozen=True)
class RowsSetAside(Event):
    """Rows that were acknowledged cannot be kept: the part of the log in which they are was set aside."""

    kind: ClassVar[str] = "rows.set_aside"
    file: str
    reason: str


@dataclass(frozen=True)
class RowsExpired(Event):
    """Rows older than the plan keeps them were removed."""

    kind: ClassVar[str] = "rows.expired"
    system: str
    before: datetime
    rows: int


@dataclass(frozen=True)
class IdErased(Event):
    """All that was kept of one id was removed; which one is nowhere told, since ids can be guessed from digests."""

    kind: ClassVar[str] = "id.erased"
    system: str
    rows: int


@dataclass(frozen=True)
class ReferenceTaken(Event):
    """What live rows are compared with from now on."""

    kind: ClassVar[str] = "reference.taken"
    system: str
    number: int
    rows: int
    source: str
    sha256: str


@dataclass(frozen=True)
class FindingOpened(Event):
    """A departure from the plan was seen."""

    kind: ClassVar[str] = "finding.opened"
    system: str
    finding: int
    code: str
    says: str
    since: datetime | None


@dataclass(frozen=True)
class FindingAcknowledged(Event):
    """Somebody knows of a finding."""

    kind: ClassVar[str] = "finding.acknowledged"
    system: str
    finding: int


@dataclass(frozen=True)
class FindingMuted(Event):
    """A finding is not spoken of until a time, for a reason."""

    kind: ClassVar[str] = "finding.muted"
    system: str
    finding: int
    reason: str
    until: datetime


@dataclass(frozen=True)
class FindingResolved(Event):
    """A finding is over."""

    kind: ClassVar[str] = "finding.resolved"
    system: str
    finding: int
    reason: str


@dataclass(frozen=True)
class VersionRegistered(Event):
    """A version of a model was registered: in MLflow as this model and number, of an artifact with this digest."""

    kind: ClassVar[str] = "version.registered"
    system: str
    version: int
    model: str
    registered: str
    digest: str
    plan: int
    snapshot: str | None
    because: str


@dataclass(frozen=True)
class PointerMoved(Event):
    """Another version is champion or challenger (before: None for none)."""

    kind: ClassVar[str] = "pointer.moved"
    system: str
    alias: str
    before: int | None
    version: int
    because: str


@dataclass(frozen=True)
class PointerClosed(Event):
    """No version is champion or challenger any more."""

    kind: ClassVar[str] = "pointer.closed"
    system: str
    alias: str
    before: int
    because: str


@dataclass(frozen=True)
class AliasMoved(Event):
    """Somebody else moved an alias in MLflow: it was kept at one version there, and is found at another."""

    kind: ClassVar[str] = "alias.moved"
    system: str
    model: str
    alias: str
    kept: str | None
    found: str | None


@dataclass(frozen=True)
class VersionRefused(Event):
    """The routes ask for a version that a gateway does not serve: its artifact is not what was registered, or fails."""

    kind: ClassVar[str] = "version.refused"
    system: str
    version: int
    revision: int
    says: str


@dataclass(frozen=True)
class ChangeRecorded(Event):
    """Something changes in the business, from then on."""

    kind: ClassVar[str] = "change.recorded"
    system: str
    change: int
    what: str
    effective: datetime
    because: str


@dataclass(frozen=True)
class ChangeWithdrawn(Event):
    """A change does not come, or comes otherwise."""

    kind: ClassVar[str] = "change.withdrawn"
    system: str
    change: int
    reason: str


@dataclass(frozen=True)
class RenewalStarted(Event):
    """A renewal was started, by this plan and for these reasons."""

    kind: ClassVar[str] = "renewal.started"
    system: str
    renewal: int
    plan: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class RenewalJoined(Event):
    """More reasons came for a renewal that was under way already; its steps stay what they are."""

    kind: ClassVar[str] = "renewal.joined"
    system: str
    renewal: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class RenewalStep(Event):
    """A step of a renewal was done."""

    kind: ClassVar[str] = "renewal.step"
    system: str
    renewal: int
    step: str
    says: str


@dataclass(frozen=True)
class RenewalEnded(Event):
    """A renewal is over: promoted, kept (the champion stays), rejected, expired, rolled_back, held or failed."""

    kind: ClassVar[str] = "renewal.ended"
    system: str
    renewal: int
    state: str
    says: str


@dataclass(frozen=True)
class ApprovalAsked(Event):
    """People were asked for a decision on this artifact, by this plan, after the gates said this."""

    kind: ClassVar[str] = "approval.asked"
    system: str
    renewal: int
    of: str
    digest: str
    plan: int
    report: str
    expires: datetime


@dataclass(frozen=True)
class ApprovalGiven(Event):
    """Somebody approved exactly this."""

    kind: ClassVar[str] = "approval.given"
    system: str
    renewal: int
    digest: str
    plan: int
    report: str
    reason: str


@dataclass(frozen=True)
class ApprovalRejected(Event):
    """Somebody said no to this, and why."""

    kind: ClassVar[str] = "approval.rejected"
    system: str
    renewal: int
    digest: str
    plan: int
    report: str
    reason: str


@dataclass(frozen=True)
class ApprovalExpired(Event):
    """Nobody decided in time."""

    kind: ClassVar[str] = "approval.expired"
    system: str
    renewal: int


@dataclass(frozen=True)
class RoutesChanged(Event):
    """Who answers which share of requests, from this revision of the routes on."""

    kind: ClassVar[str] = "routes.changed"
    system: str
    revision: int
    champion: int
    canary: int | None
    share: float
    shadow: int | None
    because: str


@dataclass(frozen=True)
class RolledBack(Event):
    """An earlier version answers again."""

    kind: ClassVar[str] = "version.rolled_back"
    system: str
    version: int
    before: int
    because: str


@dataclass(frozen=True)
class ApprovalReminded(Event):
    """Those who are to decide were reminded."""

    kind: ClassVar[str] = "approval.reminded"
    system: str
    renewal: int


@dataclass(frozen=True)
class RenewalHeld(Event):
    """A renewal was due and was not started: why it would not help, or not yet."""

    kind: ClassVar[str] = "renewal.held"
    system: str
    says: str


@dataclass(frozen=True)
class BriefWritten(Event):
    """Somebody of the plan's people was told what happened, why, what it means for them, and what to do until when."""

    kind: ClassVar[str] = "brief.written"
    system: str
    renewal: int | None
    to: str
    occasion: str
    what: str
    why: str
    means: str
    do: str
    until: datetime | None


def kinds() -> dict[str, type[Event]]:
    """Every event by its name."""
    return {event.kind: event for event in Event.__subclasses__()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value
