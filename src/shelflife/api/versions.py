"""Versions of systems, read: who made them, of what, and which one counted when."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from shelflife.api.access import Known
from shelflife.api.problems import Moment, Problem
from shelflife.renew import registry
from shelflife.system import System

router = APIRouter(prefix="/api/v1/systems", tags=["versions"])
_ASKS: dict[str, Any] = {
    "openapi_extra": {"security": [{"token": []}]},
    "responses": Problem.of(400, 401, 403, 404, 422),
}
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="The version's number.")]
At = Annotated[Moment | None, Query(description="Only what was champion or challenger then.")]


class Version(BaseModel):
    """A registered model."""

    system: str
    number: int
    model: str = Field(description="Its name in the MLflow registry.")
    registered: str = Field(description="Its number there.")
    digest: str = Field(description="SHA-256 of its artifact.")
    plan: int
    snapshot: str | None = Field(description="The rows it was made of.")
    record: dict[str, Any] = Field(description="Code, environment, parameters, seed, metrics: what else made it.")
    at: datetime
    by: str
    because: str


class Pointer(BaseModel):
    """What was champion or challenger, from when to when, by whose decision."""

    alias: str
    version: int
    since: datetime
    until: datetime | None = Field(description="None: it still is.")
    by: str
    because: str


class Versions(BaseModel):
    """The versions of a system."""

    versions: list[Version] = Field(description="All of them, in order; those that counted then, where that is asked.")
    pointers: list[Pointer]


@router.get("/{system}/versions", summary="All versions of a system.", **_ASKS)
async def versions(request: Request, system: str, at: At = None) -> Versions:
    """Who made them, and which one counted when."""
    await Known.of(request).allowed(request, "read", system)
    here = _system(request).versions

    def read() -> tuple[list[registry.Version], list[registry.Pointer]]:
        return here.every(system), here.pointers(system, at)

    made, pointers = await run_in_threadpool(read)
    if at is not None:
        made = [one for one in made if one.number in {pointer.version for pointer in pointers}]
    return Versions(versions=list(map(_version, made)), pointers=list(map(_pointer, pointers)))


@router.get("/{system}/versions/{number}", summary="One version.", **_ASKS)
async def version(request: Request, system: str, number: Number) -> Version:
    """What made it."""
    await Known.of(request).allowed(request, "read", system)
    return _version(await run_in_threadpool(_system(request).versions.one, system, number))


def _system(request: Request) -> System:
    found: System = request.app.state.system
    return found


def _version(one: registry.Version) -> Version:
    return Version(**{name: value for name, value in dataclasses.asdict(one).items() if name in Version.model_fields})


def _pointer(one: registry.Pointer) -> Pointer:
    return Pointer(**{name: value for name, value in dataclasses.asdict(one).items() if name in Pointer.model_fields})
