"""The pages: programme, system, findings, finding, plan, ledger; each one view, set in one template."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from shelflife.look.charts import NARROW, WIDE
from shelflife.views.detail import detail
from shelflife.views.lifeline import Lifeline, lifeline
from shelflife.views.plans import plan
from shelflife.views.programme import programme
from shelflife.views.record import record
from shelflife.views.status import statuses
from shelflife.web import picture
from shelflife.web.session import SignedIn, here, shown

router = APIRouter(include_in_schema=False)

Number = Annotated[int, Path(ge=1, le=2**53)]
Asked = Annotated[int | None, Query(ge=1, le=2**53)]
Before = Annotated[int | None, Query(ge=1, le=2**53)]
_PAGE = 100
_KEPT = "private, max-age=31536000, immutable"
# A picture that stands alone carries its own sheet; nothing else may be loaded by it.
_OF_PICTURES = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@router.get("/")
def programme_page(
    request: Request, who: SignedIn, q: str = "", at: Annotated[int, Query(alias="page", ge=1, le=10**6)] = 1
) -> HTMLResponse:
    """Every system."""
    return shown(request, "programme.html", who, found=programme(here(request), page=at, words=q), q=q)


@router.get("/systems/{system}")
def system_page(request: Request, who: SignedIn, system: str) -> HTMLResponse:
    """One system."""
    found = detail(here(request), system)
    line = found.lifeline
    title = "" if line is None else picture.says(line)
    return shown(
        request, "system.html", who, found=found, line=line, title=title, figure=picture.figure,
        digest="" if line is None else _digest(line, title),
    )  # fmt: skip


@router.get("/systems/{system}/lifeline.svg")
def lifeline_picture(request: Request, who: SignedIn, system: str, narrow: bool = False, v: str = "") -> Response:
    """The picture of a system; its address has a digest of what it shows, so that it is drawn and fetched once."""
    del who, v
    line = lifeline(here(request), system)
    if line is None:
        return Response(status_code=404)
    return Response(
        picture.drawn(line, picture.says(line), NARROW if narrow else WIDE), media_type="image/svg+xml",
        headers={"Cache-Control": _KEPT, "Content-Security-Policy": _OF_PICTURES},
    )  # fmt: skip


@router.get("/systems/{system}/plan")
def plan_page(request: Request, who: SignedIn, system: str, number: Asked = None) -> HTMLResponse:
    """The plan that counts, or one by its number."""
    return shown(request, "plan.html", who, found=plan(here(request), system, number))


@router.get("/systems/{system}/plan/{number}")
def earlier_plan_page(request: Request, who: SignedIn, system: str, number: Number) -> HTMLResponse:
    """A plan by its number."""
    return shown(request, "plan.html", who, found=plan(here(request), system, number))


@router.get("/findings")
def findings_page(
    request: Request, who: SignedIn, system: str | None = None, state: Literal["living", "all"] = "living",
    before: Before = None,
) -> HTMLResponse:  # fmt: skip
    """What departs from the plans."""
    workspace = here(request)
    if system is not None:
        workspace.check_known(system)
    every = workspace.watching.findings(system, ended=state == "all")
    rest = [one for one in every if before is None or one.number < before]
    more = rest[_PAGE - 1].number if len(rest) > _PAGE else None
    known = bool(every) or all(one.known for one in statuses(workspace, system))
    return shown(request, "findings.html", who, found=rest[:_PAGE], all=len(every), system=system, state=state,
                 before=before, more=more, known=known)  # fmt: skip


@router.get("/findings/{number}")
def finding_page(request: Request, who: SignedIn, number: Number) -> HTMLResponse:
    """One finding, and what may be done about it."""
    workspace = here(request)
    found = workspace.watching.finding(number)
    return shown(
        request, "finding.html", who, found=found, title=workspace.plan(found.system).plan.title,
        history=record(workspace, name=found.system, finding=number).done,
    )  # fmt: skip


@router.get("/ledger")
def ledger_page(request: Request, who: SignedIn, system: str | None = None, before: Before = None) -> HTMLResponse:
    """What was done."""
    return shown(request, "ledger.html", who, found=record(here(request), name=system, before=before), system=system)


def _digest(line: Lifeline, title: str) -> str:
    return hashlib.sha256(repr((line, title)).encode()).hexdigest()[:16]
