"""Renewals and versions: looked at, decided on, ended, taken back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from shelflife.errors import BadInput
from shelflife.rights import Denied
from shelflife.views import renewals as views
from shelflife.views import versions
from shelflife.web.session import SignedForm, SignedIn, Visitor, here, shown

router = APIRouter(include_in_schema=False)
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Before = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
_AGAIN = 10  # seconds after which a page is looked at again, while something goes on by itself


@router.get("/renewals")
def renewals_page(
    request: Request, who: SignedIn, system: str | None = None, before: Before = None
) -> HTMLResponse:  # fmt: skip
    """All renewals, those that wait for people first."""
    found = views.every(here(request), name=system, before=before)
    return shown(request, "renewals.html", who, found=found, system=system)


@router.get("/renewals/{number}")
def renewal_page(request: Request, who: SignedIn, number: Number, ending: bool = False) -> HTMLResponse:
    """One renewal, and what may be decided on it."""
    system = here(request)
    found = views.renewal(system, number)
    person = who.person(found.renewal.system)
    refused = {
        approve: views.refusal(system, found.renewal, person, account=who.account, approve=approve)
        if found.asked
        else None
        for approve in (True, False)
    }
    # What is typed into a form would be lost.
    again = _AGAIN if found.moves and not ending else None
    return shown(request, "renewal.html", who, found=found, refused=refused, again=again, ending=ending)


@router.post("/renewals/{number}/approve")
async def approve(request: Request, who: SignedIn, fields: SignedForm, number: Number) -> Response:
    """Let it be rolled out."""
    return await _decided(request, who, number, fields.get("reason", ""), approve=True)


@router.post("/renewals/{number}/reject")
async def reject(request: Request, who: SignedIn, fields: SignedForm, number: Number) -> Response:
    """Keep the champion."""
    return await _decided(request, who, number, fields.get("reason", ""), approve=False)


@router.post("/renewals/{number}/cancel")
async def cancel(request: Request, who: SignedIn, fields: SignedForm, number: Number) -> Response:
    """End it; what it let answer goes back."""
    system = here(request)
    found, _ = await run_in_threadpool(system.renewing.renewal, number)
    who.check("decide", found.system)
    if found.ended is not None:
        raise BadInput(f"Renewal {number} is over already: {found.says}")
    reason = _reason(fields, "A renewal is cancelled for a reason: say it.")
    await run_in_threadpool(system.renewing.cancel, number, reason=reason, by=who.account)
    return RedirectResponse(f"/renewals/{number}", 303)


@router.get("/systems/{system}/versions")
def versions_page(request: Request, who: SignedIn, system: str, before: Before = None) -> HTMLResponse:
    """The versions of a system, and which one counted when."""
    return shown(request, "versions.html", who, found=versions.versions(here(request), system, before=before))


@router.get("/systems/{system}/versions/{first}/{second}")
def compared_page(request: Request, who: SignedIn, system: str, first: Number, second: Number) -> HTMLResponse:
    """Two versions side by side."""
    return shown(request, "compared.html", who, found=versions.compare(here(request), system, first, second))


@router.post("/systems/{system}/rollback")
async def roll_back(request: Request, who: SignedIn, fields: SignedForm, system: str) -> Response:
    """Let the version before this one answer again, at once."""
    await run_in_threadpool(here(request).check_known, system)
    who.check("decide", system)
    reason = _reason(fields, "An earlier version is let answer for a reason: say it.")
    await run_in_threadpool(here(request).renewing.roll_back, system, reason=reason, by=who.account)
    return RedirectResponse(f"/systems/{system}/versions", 303)


def _reason(fields: Any, says: str) -> str:
    reason: str = fields.get("reason", "")
    if not reason:
        raise BadInput(says)
    return reason


async def _decided(request: Request, who: Visitor, number: int, reason: str, *, approve: bool) -> Response:
    """Decide as the person of the plan that the account is, and show what becomes of it."""
    system = here(request)
    found, _ = await run_in_threadpool(system.renewing.renewal, number)
    who.check("decide", found.system)
    person = await run_in_threadpool(who.person, found.system)
    refused = await run_in_threadpool(views.refusal, system, found, person, account=who.account, approve=approve)
    if person is None or refused is not None:
        raise Denied(str(refused), by=who.account, action="decide", system=found.system)
    await run_in_threadpool(
        system.renewing.decide, number, approve=approve, person=person, reason=reason, known_as=who.account
    )  # fmt: skip
    return RedirectResponse(f"/renewals/{number}", 303)
