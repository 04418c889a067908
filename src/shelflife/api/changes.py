"""What changes in the business: recorded, read, withdrawn."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from shelflife.api.access import Known
from shelflife.api.problems import Moment, Problem, Sent
from shelflife.errors import Missing
from shelflife.system import System

router = APIRouter(prefix="/api/v1/systems", tags=["changes"])
_ASKS: dict[str, Any] = {
    "openapi_extra": {"security": [{"token": []}]},
    "responses": Problem.of(400, 401, 403, 404, 422),
}
Number = Annotated[int, Path(ge=1, le=2**53, description="The change's number.")]


class Recorded(Sent):
    """A change that is to be recorded."""

    what: str = Field(min_length=1, max_length=2_000, description="What changes, as those concerned would say it.")
    effective: Moment = Field(description="From when on.")
    because: str = Field("", max_length=2_000, description="Why.")


class Withdrawn(Sent):
    """Why a change is taken back."""

    reason: str = Field(min_length=1, max_length=2_000)


class Change(BaseModel):
    """A change in the business."""

    number: int
    system: str
    what: str
    effective: datetime
    recorded: datetime
    by: str
    because: str
    withdrawn: datetime | None = Field(description="When it was taken back; none where it stands.")


class Changes(BaseModel):
    """The changes of a system, the one that takes effect last first."""

    changes: list[Change]


@router.get("/{system}/changes", summary="What changes in the business.", **_ASKS)
async def changes(request: Request, system: str) -> Changes:
    """All that was recorded, also what was withdrawn."""
    await Known.of(request).allowed(request, "read", system)
    found = await run_in_threadpool(_system(request).changes.every, system)
    return Changes(changes=[Change(**vars(one)) for one in found])


@router.post("/{system}/changes", summary="Record a change.", **_ASKS)
async def record(request: Request, body: Recorded, system: str) -> Change:
    """A plan that is renewed on `change` is renewed when it takes effect."""
    token = await Known.of(request).allowed(request, "act", system)
    made = await run_in_threadpool(
        _system(request).changes.record, system, body.what, body.effective, because=body.because, by=token.name
    )
    return Change(**vars(made))


@router.post("/{system}/changes/{number}/withdraw", summary="Take a change back.", **_ASKS)
async def withdraw(request: Request, body: Withdrawn, system: str, number: Number) -> Change:
    """One that does not come, or comes otherwise."""
    token = await Known.of(request).allowed(request, "act", system)
    here = _system(request).changes
    if number not in {one.number for one in await run_in_threadpool(here.every, system)}:
        raise Missing(f"There is no change {number} of {system}.")
    return Change(**vars(await run_in_threadpool(here.withdraw, number, reason=body.reason, by=token.name)))


def _system(request: Request) -> System:
    found: System = request.app.state.system
    return found
