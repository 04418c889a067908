"""The one shape in which every error is told: ``{"error": {"code": …, "says": …}}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field


class Error(BaseModel):
    """What is wrong."""

    code: str = Field(description="A short word that programs can rely on.")
    says: str = Field(description="What was asked, what was found, what to do.")


class Problem(BaseModel):
    """An error."""

    error: Error

    @staticmethod
    def of(*statuses: int) -> dict[int | str, dict[str, Any]]:
        """The descriptions of these statuses for OpenAPI."""
        return {status: {"model": Problem, "description": _MEANING[status]} for status in statuses}


_MEANING = {
    400: "The body cannot be read.",
    401: "No token, or one that does not count.",
    403: "The token does not allow this.",
    404: "There is no such system.",
    413: "The body is too large.",
    415: "The body is of another type than JSON or an Arrow stream.",
    422: "What was sent cannot be used.",
    503: "Too much waits; come again.",
}


def problem(status: int, code: str, says: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as a response."""
    return JSONResponse({"error": {"code": code, "says": says}}, status_code=status, headers=dict(headers or {}))
