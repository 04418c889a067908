"""Who looks at a page: the session behind its cookie, what they may, and forms that only our own pages can send."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from shelflife.accounts import SESSION, Account
from shelflife.errors import BadInput
from shelflife.look import page
from shelflife.rights import ACTIONS, ROLES, Denied, Unknown
from shelflife.system import System
from shelflife.web import sheet

_LARGEST = 64_000  # bytes of a form
_FIELDS = 100


@dataclass(frozen=True)
class Visitor:
    """Somebody who is signed in.

    Attributes
    ----------
    account
        Their name.
    csrf
        What each form of theirs carries: whoever cannot read our pages cannot know it.
    """

    account: str
    csrf: str
    _who: Account
    _system: System

    def may(self, action: str, system: str | None = None) -> bool:
        """Whether they may do this, to a system or (None) to what belongs to all."""
        role = self._who.role if system is None else self._system.accounts.role(self._who, system)
        return action in ROLES[role]

    def person(self, system: str) -> str | None:
        """Who they are among the people of a system's plan."""
        return self._system.accounts.person(self._who, system)

    def check(self, action: str, system: str | None = None) -> None:
        """Raise `Denied` where they may not."""
        if not self.may(action, system):
            of = f" of {system!r}" if system is not None else ""
            raise Denied(f"{self.account!r} may not {ACTIONS[action]}{of}.", by=self.account, action=action,
                         system=system)  # fmt: skip


async def visitor(request: Request) -> Visitor:
    """Who is signed in; raises `Unknown` where nobody is."""
    secret = request.cookies.get(_cookie(request), "")
    system = here(request)
    found = await run_in_threadpool(system.accounts.of_session, secret) if 0 < len(secret) <= 200 else None
    if found is None:
        raise Unknown("Sign in to see this.", by=None, action="read")
    return Visitor(found.name, _csrf(secret), found, system)


SignedIn = Annotated[Visitor, Depends(visitor)]


async def form(request: Request) -> Mapping[str, str]:
    """The fields of a form that one of our own pages sent; raises `Denied` for others."""
    _check_origin(request)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > _LARGEST:
            raise BadInput(f"A form has at most {_LARGEST:,} bytes.")
        parts.append(part)
    try:
        fields = parse_qsl(b"".join(parts).decode(), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError as error:
        raise BadInput("The form cannot be read.") from error
    if any("\x00" in word for field in fields for word in field):  # no database has a place for it
        raise BadInput("A form has no NUL in it.")
    return {name: value.replace("\r\n", "\n").strip() for name, value in fields}


Form = Annotated[Mapping[str, str], Depends(form)]


async def signed(who: SignedIn, fields: Form) -> Mapping[str, str]:
    """The fields of a form that was sent by who is signed in; raises `Denied` where it does not carry their token."""
    if not hmac.compare_digest(fields.get("csrf", "").encode(), who.csrf.encode()):
        says = (
            "This form is from an earlier session, or not from here. Go back, load the page again, and send it again."
        )
        raise Denied(says, by=who.account, action="form")
    return fields


SignedForm = Annotated[Mapping[str, str], Depends(signed)]


def here(request: Request) -> System:
    """The workspace."""
    found: System = request.app.state.system
    return found


def address(request: Request) -> str:
    """Where a request comes from: the other end, or whom the proxy before us names last."""
    if request.app.state.behind_proxy:
        # A proxy that adds a line of its own adds it after those that came with the request.
        lines = request.headers.getlist("x-forwarded-for")
        if lines and (named := lines[-1].rpartition(",")[2].strip()):
            return named[:64]
    return request.client.host if request.client is not None else "unknown"


def base(request: Request) -> str:
    """The beginning of our own addresses, as the visitor sees them."""
    return f"{'https' if is_secure(request) else 'http'}://{request.headers.get('host', '127.0.0.1')}"


def is_secure(request: Request) -> bool:
    """Whether the visitor's side of the connection is encrypted."""
    if request.app.state.behind_proxy:
        return request.headers.get("x-forwarded-proto", "https") != "http"
    return request.url.scheme == "https"


def shown(
    request: Request, template: str, who: Visitor | None, status: int = 200, **values: Any
) -> HTMLResponse:  # fmt: skip
    """A page."""
    text = page.render(template, "shelflife.web", visitor=who, path=request.url.path, sheet=sheet.address(), **values)
    return HTMLResponse(text, status_code=status, headers={"Cache-Control": "no-store"})


def let_in(request: Request, response: Response, secret: str) -> None:
    """Give a browser its session."""
    response.set_cookie(
        _cookie(request), secret, max_age=round(SESSION.total_seconds()), path="/", secure=is_secure(request),
        httponly=True, samesite="lax",
    )  # fmt: skip


def let_out(request: Request, response: Response) -> None:
    """Take it back."""
    response.delete_cookie(_cookie(request), path="/", secure=is_secure(request), httponly=True, samesite="lax")


def secret_of(request: Request) -> str:
    """The session's secret."""
    return request.cookies.get(_cookie(request), "")


def _cookie(request: Request) -> str:
    # The prefix makes browsers insist that it came from this very host, encrypted.
    return "__Host-shelflife" if is_secure(request) else "shelflife"


def _csrf(secret: str) -> str:
    return hashlib.sha256(f"form:{secret}".encode()).hexdigest()


def _check_origin(request: Request) -> None:
    """Raise `Denied` where a browser says that the form is another site's."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = request.headers.get("host", "")
    # Not every browser says the first on a connection that is not encrypted.
    named = origin is None or urlsplit(origin).netloc == own
    if site not in {"same-origin", "none"} if site is not None else not named:
        raise Denied("A form counts only from our own pages.", by="another site", action="form")
