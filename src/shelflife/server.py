"""The HTTP application: what programs send comes in here, and people see their pages."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.telemetry import TelemetryConfig
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelflife import __version__
from shelflife.api import changes, health, metrics, observations, reading, renewals, versions
from shelflife.api.metrics import Metrics
from shelflife.api.problems import invalid, problem
from shelflife.errors import BadInput, Missing
from shelflife.rights import Denied, Unknown
from shelflife.system import System
from shelflife.web import doors, manual, pages, people, sheet
from shelflife.web import renewals as renewing
from shelflife.web.session import shown, visitor

# Nothing but our own sheet and pictures is loaded, no script runs, and nobody shows our pages in a frame of theirs.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]

_LATE = 1.0  # seconds
_log = logging.getLogger("shelflife.server")

# Not even where the environment asks for it: what runs here tells of itself by /metrics and its logs, to who fetches.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create(system: System, *, behind_proxy: bool = False, **intake: Any) -> FastAPI:
    """The application over one workspace.

    Parameters
    ----------
    behind_proxy
        Whether every request comes through a proxy, which says where from and whether that side is encrypted.
    intake
        Options of its `Intake`.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with system.intake(**intake) as opened:
            app.state.intake = opened
            yield

    app = FastAPI(
        title="Shelflife", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/api/v1/openapi.json", description="Keeps machine learning in production true to the business.",
        telemetry=_NO_TELEMETRY,
    )  # fmt: skip
    app.state.system, app.state.behind_proxy, app.state.metrics = system, behind_proxy, Metrics()
    # Rows are taken in by the last: it has a place for any word, the others come before it.
    for module in (
        health, metrics, reading, changes, renewals, versions, doors, people, manual, sheet, pages, renewing,
        observations,
    ):  # fmt: skip
        app.include_router(module.router)
    app.include_router(reading.badges)
    app.add_middleware(_Guarded, metrics=app.state.metrics)
    _answer_errors(app)
    return app


class _Guarded:
    """Adds to every answer the headers that keep a browser from doing what we did not mean; counts and logs it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began, began_answer = 500, time.perf_counter(), False

        async def guarded(message: Message) -> None:
            nonlocal status, began_answer
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name for name, _ in message["headers"]}
                began_answer = True
                message["headers"] = [*message["headers"], *(one for one in _HEADERS if one[0] not in own)]
            await send(message)

        try:
            if "\x00" in scope["path"] or b"%00" in scope["query_string"]:  # no database has a place for it
                await problem(400, "unreadable", "An address has no NUL in it.")(scope, receive, guarded)
            else:
                await self._app(scope, receive, guarded)
        except Exception:
            if began_answer:
                raise
            _log.exception("an error that nobody expected")
            await _failed(Request(scope))(scope, receive, guarded)
        finally:
            took = time.perf_counter() - began
            route = _route(scope)
            self._metrics.request(scope["method"] if route != "none" else "any", route, status, took)
            # An answer as it should be is counted; one that is not, or late, is told.
            level = logging.INFO if status >= 400 or took > _LATE else logging.DEBUG
            if _log.isEnabledFor(level):
                told = {"method": scope["method"], "route": route, "status": status, "seconds": round(took, 4)}
                _log.log(level, "answered", extra=told)


def _route(scope: Mapping[str, Any]) -> str:
    # Not the path: a link's is a secret.
    return getattr(scope.get("route"), "path", "none")


def _answer_errors(app: FastAPI) -> None:
    """Tell every error in one shape: to programs as JSON, to people as a page."""

    @app.exception_handler(Denied)
    async def _denied(request: Request, error: Denied) -> Response:
        await run_in_threadpool(
            request.app.state.system.ledger.denied, error, f"{request.method} {_route(request.scope)}"
        )
        if not isinstance(error, Unknown):
            return await _said(request, 403, "not_allowed", str(error))
        if _is_page(request):
            return doors.to_sign_in(request)
        return problem(401, "no_token", str(error), {"WWW-Authenticate": "Bearer"})

    @app.exception_handler(BadInput)
    async def _bad(request: Request, error: BadInput) -> Response:
        return await _said(request, 404 if isinstance(error, Missing) else 422, "bad_input", str(error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        code = _CODES.get(error.status_code, "error")
        return await _said(request, error.status_code, code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return await _said(request, 422, "invalid", invalid(error.errors()))


async def _said(request: Request, status: int, code: str, says: str, headers: Any = None) -> Response:
    if not _is_page(request):
        return problem(status, code, says, headers)
    try:
        who = await visitor(request)
    except Unknown:
        # Whether there is such a page is for those who are signed in.
        if status == 404 and request.method == "GET":
            return doors.to_sign_in(request)
        who = None
    answer = shown(request, "said.html", who, status, says=says)
    answer.headers.update(headers or {})
    return answer


def _failed(request: Request) -> Response:
    says = "Something went wrong here; the service's log says what. Nothing is said of whether it was done."
    return shown(request, "said.html", None, 500, says=says) if _is_page(request) else problem(500, "failed", says)


def _is_page(request: Request) -> bool:
    return not request.url.path.startswith(("/api/", "/badge/", "/health/", "/metrics"))


_CODES = {400: "unreadable", 404: "not_found", 405: "wrong_method"}
