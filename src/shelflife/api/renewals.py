"""Renewals: how far each is, and what people decide about it."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from shelflife.api.access import Known
from shelflife.api.problems import Problem, Sent
from shelflife.errors import Missing
from shelflife.renew import run
from shelflife.rights import Denied
from shelflife.system import System
from shelflife.tokens import Token

router = APIRouter(prefix="/api/v1", tags=["renewals"])
_ASKS: dict[str, Any] = {
    "openapi_extra": {"security": [{"token": []}]},
    "responses": Problem.of(400, 401, 403, 404, 422),
}
_MOST = 500
Number = Annotated[int, Path(ge=1, le=2**53, description="The renewal's number.")]
Before = Annotated[int | None, Query(ge=1, le=2**53, description="Only those of a smaller number.")]
Limit = Annotated[int, Query(ge=1, le=_MOST, description="So many at most.")]


class Reason(BaseModel):
    """Why a renewal was started."""

    what: str = Field(description="The trigger: a word of the plan, `challenger`, or `hand`.")
    says: str
    finding: int | None = Field(description="The finding that it follows from.")
    change: int | None = Field(description="The change in the business.")
    late: bool = Field(description="Whether it came when the renewal was under way, and decides nothing of it.")


class Step(BaseModel):
    """What a step did."""

    place: int
    name: str
    state: str = Field(description="waits, done or ended.")
    started: datetime
    ended: datetime | None
    evidence: dict[str, Any]


class Renewal(BaseModel):
    """A renewal."""

    number: int
    system: str
    plan: int
    reasons: list[Reason]
    state: str
    champion: int | None = Field(description="The version that answered when it began.")
    challenger: int | None = Field(description="The version that it made.")
    started: datetime
    by: str
    ended: datetime | None
    says: str


class Whole(Renewal):
    """A renewal with its steps."""

    planned: list[str] = Field(description="The names of all its steps, in order.")
    steps: list[Step] = Field(description="Those that were begun.")
    briefs: list[Brief] = Field(description="Who was told what, in order.")


class Brief(BaseModel):
    """What somebody was told."""

    to: str = Field(description="One of the plan's people.")
    occasion: str
    what: str
    why: str
    means: str = Field(description="What it means for them.")
    do: str = Field(description="What they are to do.")
    until: datetime | None = Field(description="By when, where there is a time.")


class Renewals(BaseModel):
    """A page of renewals, the newest first."""

    renewals: list[Renewal]
    next: int | None = Field(description="`before` of the next page; none where this is the last.")


class Because(Sent):
    """Why."""

    because: str = Field(min_length=1, max_length=2_000)


class Decision(Sent):
    """What is said with a decision."""

    reason: str = Field("", max_length=2_000, description="Why; a rejection needs one.")


class RollBack(Sent):
    """Going back."""

    because: str = Field(min_length=1, max_length=2_000)
    version: int | None = Field(
        None, strict=True, ge=1, le=2**31 - 1, description="The champion before this one, if left out."
    )


class Routed(BaseModel):
    """Who answers now."""

    system: str
    version: int


@router.get("/renewals", summary="Renewals, the newest first.", **_ASKS)
async def renewals(
    request: Request, system: str | None = None, before: Before = None, limit: Limit = 100
) -> Renewals:  # fmt: skip
    """Of all systems, or of one."""
    token = await Known.of(request).allowed(request, "read", system)
    every = await run_in_threadpool(_system(request).renewing.renewals, system)
    seen = [
        one for one in every
        if (token.systems is None or one.system in token.systems) and (before is None or one.number < before)
    ]  # fmt: skip
    return Renewals(
        renewals=[_renewal(one) for one in seen[:limit]], next=seen[limit - 1].number if len(seen) > limit else None
    )


@router.get("/renewals/{number}", summary="One renewal and its steps.", **_ASKS)
async def renewal(request: Request, number: Number) -> Whole:
    """What it did so far, with all evidence."""
    await _allowed(request, number, "read")
    return await run_in_threadpool(_whole, _system(request), number)


@router.post("/systems/{system}/renewals", summary="Start a renewal.", **_ASKS)
async def start(request: Request, body: Because, system: str) -> Renewal:
    """Start one, or add the reason to the one that is under way."""
    token = await Known.of(request).allowed(request, "act", system)
    here = _system(request).renewing
    made = await run_in_threadpool(here.start, system, because=body.because, by=token.name)
    return _renewal(made)


@router.post("/renewals/{number}/approve", summary="Let it be rolled out.", **_ASKS)
async def approve(request: Request, body: Decision, number: Number) -> Whole:
    """Approve, as the person of the plan after whom the token is named."""
    return await _decided(request, number, body, approve=True)


@router.post("/renewals/{number}/reject", summary="Keep the champion.", **_ASKS)
async def reject(request: Request, body: Decision, number: Number) -> Whole:
    """Reject, likewise."""
    return await _decided(request, number, body, approve=False)


@router.post("/renewals/{number}/cancel", summary="End it.", **_ASKS)
async def cancel(request: Request, body: Because, number: Number) -> Whole:
    """End a renewal; what it let answer goes back."""
    token = await _allowed(request, number, "decide")
    here = _system(request)
    await run_in_threadpool(here.renewing.cancel, number, reason=body.because, by=token.name)
    return await run_in_threadpool(_whole, here, number)


@router.post("/systems/{system}/rollback", summary="Let an earlier version answer.", **_ASKS)
async def roll_back(request: Request, body: RollBack, system: str) -> Routed:
    """At once; gateways follow within two seconds, and what is being renewed ends."""
    token = await Known.of(request).allowed(request, "decide", system)
    here = _system(request).renewing
    version = await run_in_threadpool(here.roll_back, system, body.version, reason=body.because, by=token.name)
    return Routed(system=system, version=version)


async def _decided(request: Request, number: int, body: Decision, *, approve: bool) -> Whole:
    token = await _allowed(request, number, "decide")
    here = _system(request)
    await run_in_threadpool(
        here.renewing.decide, number, approve=approve, person=token.name, reason=body.reason
    )  # fmt: skip
    return await run_in_threadpool(_whole, here, number)


async def _allowed(request: Request, number: int, action: str) -> Token:
    """The token, where it may do this to the system of a renewal.

    A token of some systems is told the same of a renewal of another one and of a renewal that is not there.
    """
    token = await Known.of(request).allowed(request, action, None)
    found = None
    try:
        found, _ = await run_in_threadpool(_system(request).renewing.renewal, number)
    except Missing:
        if token.systems is None:
            raise
    if found is None or not token.allows(action, found.system):
        says = f"The token {token.name!r} may not do that with renewal {number}."
        of = None if found is None else found.system
        raise Denied(says, by=f"token {token.name}", action=action, system=of)
    return token


def _whole(system: System, number: int) -> Whole:
    found, done = system.renewing.renewal(number)
    return Whole(
        **_renewal(found).model_dump(), planned=[one.name for one in system.renewing.planned(number)],
        steps=[Step(**vars(one)) for one in done],
        briefs=[Brief(**vars(one)) for one in system.renewing.briefs(number)],
    )  # fmt: skip


def _system(request: Request) -> System:
    found: System = request.app.state.system
    return found


def _renewal(one: run.Renewal) -> Renewal:
    said = {name: value for name, value in dataclasses.asdict(one).items() if name != "reasons"}
    reasons = [Reason(**vars(each)) for each in one.reasons]
    return Renewal(**said, reasons=reasons)
