"""The HTTP application: what programs send comes in here."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shelflife import __version__
from shelflife.api import observations, reading
from shelflife.api.access import Denied
from shelflife.api.problems import Problem, problem
from shelflife.errors import BadInput
from shelflife.system import System


def create(system: System, **intake: Any) -> FastAPI:
    """The application over one workspace; `intake` are options of its `Intake`."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with system.intake(**intake) as opened:
            app.state.intake = opened
            yield

    app = FastAPI(
        title="Shelflife", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/api/v1/openapi.json", description="Keeps machine learning in production true to the business.",
    )  # fmt: skip
    app.state.system = system
    app.include_router(reading.badges)
    app.include_router(reading.router)  # before the one that takes any kind of row
    app.include_router(observations.router)

    @app.get("/health/live", tags=["health"], summary="The process runs.")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/health/ready", tags=["health"], summary="The database answers.", responses=Problem.of(503))
    def ready() -> Any:
        try:
            system.names()
        except Exception:  # noqa: BLE001 - whatever it is, this process is not ready
            return problem(503, "not_ready", "The database does not answer.")
        return {"status": "ok"}

    @app.exception_handler(Denied)
    async def _denied(_: Request, error: Denied) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
        return problem(error.status, error.code, error.says, headers)

    @app.exception_handler(BadInput)
    async def _bad(_: Request, error: BadInput) -> JSONResponse:
        return problem(404 if str(error).startswith("There is no ") else 422, "bad_input", str(error))

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, _CODES.get(error.status_code, "error"), str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return problem(422, "invalid", f"{where}: {first['msg']}")

    return app


_CODES = {400: "unreadable", 404: "not_found", 405: "not_allowed"}
