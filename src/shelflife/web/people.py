"""Who may do what: accounts and tokens, for those who administer; and what people decide about findings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from shelflife import durations
from shelflife.errors import BadInput
from shelflife.rights import OF_TOKENS, ROLES
from shelflife.web import session
from shelflife.web.session import SignedForm, SignedIn, Visitor, here, shown

router = APIRouter(include_in_schema=False)
Number = Annotated[int, Path(ge=1, le=2**53)]


async def administrator(who: SignedIn) -> Visitor:
    """Who may administer."""
    who.check("administer")
    return who


Admin = Annotated[Visitor, Depends(administrator)]


@router.get("/people")
async def people(request: Request, who: Admin) -> HTMLResponse:
    """Accounts and tokens."""
    return await _people(request, who)


@router.post("/people")
async def add(request: Request, who: Admin, fields: SignedForm) -> Response:
    """A new account; its link is shown."""
    name = fields.get("name", "")
    role, email = fields.get("role", "viewer"), fields.get("email") or None

    def does() -> str:
        return _link(request, here(request).accounts.make(name, role=role, email=email, by=who.account)[1])

    return await _changed(request, who, does, of=name)


@router.post("/people/{name}/link")
async def link(request: Request, who: Admin, _: SignedForm, name: str) -> Response:
    """A new link; it is shown."""
    return await _changed(
        request, who, lambda: _link(request, here(request).accounts.invite(name, by=who.account)), of=name
    )


@router.post("/people/{name}/change")
async def change(request: Request, who: Admin, fields: SignedForm, name: str) -> Response:
    """Another role or address."""
    asked = {"role": fields.get("role"), "email": fields.get("email", "")}
    return await _changed(request, who, lambda: here(request).accounts.change(name, **asked, by=who.account))


@router.post("/people/{name}/close")
async def close(request: Request, who: Admin, _: SignedForm, name: str) -> Response:
    """Let an account in no more."""
    return await _changed(request, who, lambda: here(request).accounts.shut(name, by=who.account))


@router.post("/tokens")
async def make_token(request: Request, who: Admin, fields: SignedForm) -> Response:
    """A new token; it is shown."""
    name = fields.get("name", "")
    may = [action for action in OF_TOKENS if fields.get(action)]
    only = [one for one in fields.get("systems", "").replace(",", " ").split() if one] or None

    def does() -> str:
        span = durations.parse(fields["lasts"], option="Lasts") if fields.get("lasts") else None
        lasts = None if span is None else timedelta(microseconds=span)
        return here(request).tokens.make(name, may, only=only, lasts=lasts, by=who.account)[0]

    return await _changed(request, who, does, of=f"token {name}")


@router.post("/tokens/{token}/revoke")
async def revoke(request: Request, who: Admin, _: SignedForm, token: str) -> Response:
    """Take a token back."""
    return await _changed(request, who, lambda: here(request).tokens.revoke(token, by=who.account))


@router.post("/findings/{number}/acknowledge")
async def acknowledge(request: Request, who: SignedIn, _: SignedForm, number: Number) -> Response:
    """Say that somebody knows."""
    return await _decided(request, who, number, "act", here(request).watching.acknowledge)


@router.post("/findings/{number}/mute")
async def mute(request: Request, who: SignedIn, fields: SignedForm, number: Number) -> Response:
    """Say nothing of it for a time."""
    asked = {"reason": fields.get("reason", ""), "until": _until(fields.get("until", ""))}
    return await _decided(request, who, number, "decide", here(request).watching.mute, **asked)


@router.post("/findings/{number}/resolve")
async def resolve(request: Request, who: SignedIn, fields: SignedForm, number: Number) -> Response:
    """Say that it is over."""
    reason = fields.get("reason", "")
    if not reason:
        raise BadInput("A finding is resolved for a reason: say it.")
    return await _decided(request, who, number, "decide", here(request).watching.resolve, reason=reason)


# ----------------------------------------------------------------------------------------------------------------------


async def _decided(request: Request, who: Visitor, number: int, action: str, does: Any, **asked: Any) -> Response:
    """Do something to a finding, and show it."""
    found = await run_in_threadpool(here(request).watching.finding, number)
    who.check(action, found.system)
    await run_in_threadpool(does, number, by=who.account, **asked)
    return RedirectResponse(f"/findings/{number}", 303)


async def _changed(
    request: Request, who: Visitor, does: Callable[[], object], *, of: str | None = None
) -> Response:  # fmt: skip
    """Change who may do what; a secret that was made `of` somebody is shown this once."""
    try:
        made = await run_in_threadpool(does)
    except BadInput as error:
        return await _people(request, who, says=str(error), status=422)
    if of is None:
        return RedirectResponse("/people", 303)
    return await _people(request, who, secret=str(made), of=of)


def _link(request: Request, secret: str) -> str:
    return f"{session.base(request)}/link/{secret}"


async def _people(
    request: Request, who: Visitor, *, says: str | None = None, secret: str | None = None, of: str | None = None,
    status: int = 200,
) -> HTMLResponse:  # fmt: skip
    def read() -> dict[str, Any]:
        system = here(request)
        now = system.clock.now()
        tokens = [
            one for one in system.tokens.every() if one.revoked is None and (not one.expires or one.expires > now)
        ]
        return {"accounts": system.accounts.every(), "tokens": tokens}

    known = await run_in_threadpool(read)
    return shown(request, "people.html", who, status, says=says, secret=secret, of=of, roles=list(ROLES),
                 actions=OF_TOKENS, **known)  # fmt: skip


def _until(text: str) -> datetime:
    """A moment from a form, which has no zone: it is UTC, as all that pages show."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"A finding is muted until a date, as 2026-05-31; found {text[:40]!r}.") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
