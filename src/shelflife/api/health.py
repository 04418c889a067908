"""Whether the process runs, and whether it can do its work."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from shelflife.api.problems import Problem, problem

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="The process runs.")
async def live() -> dict[str, str]:
    """Asks nothing of anything else."""
    return {"status": "ok"}


@router.get("/health/ready", summary="The database answers.", responses=Problem.of(503))
def ready(request: Request) -> Any:
    """Asks the database."""
    try:
        request.app.state.system.names()
    except Exception:  # noqa: BLE001 - whatever it is, this process is not ready
        return problem(503, "not_ready", "The database does not answer.")
    return {"status": "ok"}
