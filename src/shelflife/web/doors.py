"""Coming in and going out: signing in, choosing a password by a link, signing out."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from shelflife.accounts import NotSignedIn, TooManyAttempts
from shelflife.errors import BadInput
from shelflife.web import session
from shelflife.web.session import Form, SignedForm, here, shown

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def sign_in_page(request: Request, next: str = "/") -> Response:  # noqa: A002 - the word of the address
    """The form."""
    return shown(request, "sign_in.html", None, next=_own(next), name="", says=None)


@router.post("/sign-in")
async def sign_in(request: Request, fields: Form) -> Response:
    """Let in whoever knows the password."""
    name, onward = fields.get("name", "").lower(), _own(fields.get("next", "/"))
    try:
        secret, _ = await run_in_threadpool(
            here(request).accounts.sign_in, name, fields.get("password", ""), address=session.address(request)
        )
    except TooManyAttempts as error:
        answer = shown(request, "sign_in.html", None, 429, next=onward, name=name, says=str(error))
        answer.headers["Retry-After"] = str(error.seconds)
        return answer
    except NotSignedIn as error:
        return shown(request, "sign_in.html", None, 403, next=onward, name=name, says=str(error))
    response = RedirectResponse(onward, 303)
    session.let_in(request, response, secret)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, _: SignedForm) -> Response:
    """End the session."""
    await run_in_threadpool(here(request).accounts.sign_out, session.secret_of(request))
    response = RedirectResponse("/sign-in", 303)
    session.let_out(request, response)
    return response


@router.get("/link/{secret}")
async def link_page(request: Request, secret: str) -> HTMLResponse:
    """The form by which a password is chosen; looking at it uses nothing up."""
    counts, account = await run_in_threadpool(here(request).accounts.invited, secret)
    return shown(request, "link.html", None, 200 if counts else 404, counts=counts, account=account, name="", says=None)


@router.post("/link/{secret}")
async def choose(request: Request, secret: str, fields: Form) -> Response:
    """Choose a password, once, and sign in with it."""
    own = here(request).accounts
    counts, account = await run_in_threadpool(own.invited, secret)
    name, password = fields.get("name", "").lower(), fields.get("password", "")
    try:
        chosen = await run_in_threadpool(own.choose, secret, password, again=fields.get("again"), name=name)
        opened, _ = await run_in_threadpool(own.sign_in, chosen.name, password, address=session.address(request))
    except TooManyAttempts:
        return RedirectResponse("/sign-in", 303)
    except NotSignedIn:
        return shown(request, "link.html", None, 404, counts=False, account=None, name="", says=None)
    except BadInput as error:
        return shown(request, "link.html", None, 422, counts=counts, account=account, name=name, says=str(error))
    response = RedirectResponse("/", 303)
    session.let_in(request, response, opened)
    return response


def to_sign_in(request: Request) -> Response:
    """Send a visitor to the form, and from there back."""
    onward = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    asked = f"?{urlencode({'next': onward})}" if request.method == "GET" and onward != "/" else ""
    return RedirectResponse(f"/sign-in{asked}", 303)


def _own(path: str) -> str:
    """A path of ours: an address elsewhere is not followed."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain and len(path) < 1_000 else "/"
