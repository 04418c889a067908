"""What is known of systems: their status and findings; and what people decide about findings."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from shelflife.api.access import Known
from shelflife.api.problems import Moment, Problem, Sent
from shelflife.errors import Missing
from shelflife.look import label
from shelflife.rights import Denied
from shelflife.system import System
from shelflife.views import status
from shelflife.watch import findings
from shelflife.watch.freshness import Freshness

router = APIRouter(prefix="/api/v1", tags=["systems"])
badges = APIRouter(tags=["systems"])
_ASKS: dict[str, Any] = {
    "openapi_extra": {"security": [{"token": []}]},
    "responses": Problem.of(400, 401, 403, 404, 422),
}
_MOST = 500
Number = Annotated[int, Path(ge=1, le=2**53, description="The finding's number.")]
Before = Annotated[int | None, Query(ge=1, le=2**53, description="Only those of a smaller number.")]
Limit = Annotated[int, Query(ge=1, le=_MOST, description="So many at most.")]


class _Picture(Response):
    media_type = "image/svg+xml"


class Status(BaseModel):
    """One system at a glance."""

    system: str
    title: str
    owner: str | None
    objective: str
    says: str = Field(description="The one thing to know.")
    feeds: Freshness
    knowledge: Freshness
    model: Freshness
    pages: int = Field(description="Findings that page.")
    notes: int = Field(description="Findings that note.")
    watched: datetime | None = Field(description="The end of the last bucket that was watched.")
    plan: int
    reference: int | None
    waits: int | None = Field(description="The renewal that waits for a decision.")


class Finding(BaseModel):
    """A departure from a plan."""

    number: int
    system: str
    code: str
    key: str
    severity: str
    kind: str
    state: str
    since: datetime | None
    opened: datetime
    seen: datetime
    ended: datetime | None
    until: datetime | None
    reason: str | None
    by: str | None
    says: str
    promised: str
    plan: int
    line: int | None
    estimated: bool
    evidence: dict[str, Any]
    also: list[str] = Field(description="What began together with it, and what it explains.")


class Findings(BaseModel):
    """A page of findings, the newest first."""

    findings: list[Finding]
    next: int | None = Field(description="`before` of the next page; none where this is the last.")


class Muted(Sent):
    """Why a finding is not to be spoken of, and until when."""

    reason: str = Field(min_length=1, max_length=2_000)
    until: Moment


class Resolved(Sent):
    """Why a finding is over."""

    reason: str = Field(min_length=1, max_length=2_000)


@router.get("/systems", summary="Every system, the worst first.", **_ASKS)
async def systems(request: Request) -> list[Status]:
    """How fresh each is, and how many findings live."""
    token = await Known.of(request).allowed(request, "read", None)
    found = await run_in_threadpool(status.statuses, _system(request))
    return [_status(one) for one in found if token.systems is None or one.system in token.systems]


@router.get("/systems/{system}", summary="One system.", **_ASKS)
async def one_system(request: Request, system: str) -> Status:
    """How fresh it is, and how many findings live."""
    await Known.of(request).allowed(request, "read", system)
    found = await run_in_threadpool(status.statuses, _system(request), system)
    return _status(found[0])


@router.get("/findings", summary="What departs from the plans.", **_ASKS)
async def list_findings(
    request: Request, system: str | None = None, state: Literal["living", "all"] = "living",
    limit: Limit = 100, before: Before = None,
) -> Findings:  # fmt: skip
    """Findings, the newest first, a page at a time."""
    token = await Known.of(request).allowed(request, "read", system)
    here = _system(request)

    def read() -> list[findings.Finding]:
        if system is not None:
            here.check_known(system)
        return here.watching.findings(system, ended=state == "all")

    found = [
        one for one in await run_in_threadpool(read)
        if (token.systems is None or one.system in token.systems) and (before is None or one.number < before)
    ]  # fmt: skip
    page = found[:limit]
    return Findings(findings=[_finding(one) for one in page], next=page[-1].number if len(found) > limit else None)


@router.get("/findings/{number}", summary="One finding.", **_ASKS)
async def one_finding(request: Request, number: Number) -> Finding:
    """What was promised, where, and what is seen."""
    return _finding((await _found(request, number, "read"))[0])


@router.post("/findings/{number}/acknowledge", summary="Somebody knows.", **_ASKS)
async def acknowledge(request: Request, number: Number) -> Finding:
    """Say that somebody knows of a finding."""
    _, by = await _found(request, number, "act")
    watching = _system(request).watching
    await run_in_threadpool(watching.acknowledge, number, by=by)
    return _finding(await run_in_threadpool(watching.finding, number))


@router.post("/findings/{number}/mute", summary="Say nothing of it for a time.", **_ASKS)
async def mute(request: Request, body: Muted, number: Number) -> Finding:
    """Mute a finding until a time, for a reason."""
    _, by = await _found(request, number, "decide")
    watching = _system(request).watching
    await run_in_threadpool(watching.mute, number, reason=body.reason, until=body.until, by=by)
    return _finding(await run_in_threadpool(watching.finding, number))


@router.post("/findings/{number}/resolve", summary="It is over.", **_ASKS)
async def resolve(request: Request, body: Resolved, number: Number) -> Finding:
    """Say that a finding is over; what goes on is found again."""
    _, by = await _found(request, number, "decide")
    watching = _system(request).watching
    await run_in_threadpool(watching.resolve, number, reason=body.reason, by=by)
    return _finding(await run_in_threadpool(watching.finding, number))


@badges.get(
    "/badge/{system}.svg",
    summary="How fresh a system's model is.",
    response_class=_Picture,
    responses=Problem.of(404, 422),
)
async def badge(request: Request, system: str) -> Response:
    """A small picture for a page of your own: who knows a system's name is told its model's state, without a token."""
    try:
        (found,) = await run_in_threadpool(status.statuses, _system(request), system)
    except Missing as error:  # which tells those who may read of names that are near
        raise HTTPException(404, "There is no such badge.") from error
    picture = label.badge("model", found.model.state, found.model.state)
    return _Picture(picture, headers={"Cache-Control": "max-age=60"})


def _system(request: Request) -> System:
    found: System = request.app.state.system
    return found


async def _found(request: Request, number: int, action: str) -> tuple[findings.Finding, str]:
    """A finding that the token may see, and by whom it is asked for.

    A token of some systems is told the same of a finding of another one and of a finding that is not there.
    """
    token = await Known.of(request).allowed(request, action, None)
    found = None
    try:
        found = await run_in_threadpool(_system(request).watching.finding, number)
    except Missing:
        if token.systems is None:
            raise
    if found is None or not token.allows(action, found.system):
        says = f"The token {token.name!r} may not do that with finding {number}."
        of = None if found is None else found.system
        raise Denied(says, by=f"token {token.name}", action=action, system=of)
    return found, f"token {token.name}"


def _status(one: status.Status) -> Status:
    return Status(**dataclasses.asdict(one))


def _finding(one: findings.Finding) -> Finding:
    said = {name: value for name, value in dataclasses.asdict(one).items() if name != "recent"}
    return Finding(**said, also=one.recent.get("also", []))
