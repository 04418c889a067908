"""The one shape in which every error is told: ``{"error": {"code": …, "says": …}}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticKnownError


class Sent(BaseModel):
    """A body that is sent to us; a name that nothing asks for is refused, as it may be a misspelt one."""

    model_config = ConfigDict(extra="forbid")


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


def _written(value: Any) -> Any:
    """Numbers are read as seconds since 1970 otherwise, also those that somebody meant as a day."""
    if not isinstance(value, str | datetime) or (isinstance(value, str) and "-" not in value[:5]):
        raise PydanticKnownError("datetime_type")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written)]


def problem(status: int, code: str, says: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as a response."""
    return JSONResponse({"error": {"code": code, "says": says}}, status_code=status, headers=dict(headers or {}))


def invalid(errors: Sequence[Any]) -> str:
    """What is wrong with an address, its parameters or a body, in plain words: the first of what was found."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    unasked = [".".join(str(part) for part in one["loc"][1:]) for one in errors if one["type"] == "extra_forbidden"]
    if unasked:
        missing = [one["loc"][-1] for one in errors if one["type"] == "missing"]
        return f"`{unasked[0]}` is no name that this asks for{f', and `{missing[0]}` is missing' if missing else ''}."
    if first["type"] == "json_invalid":
        return f"The body is no JSON: {first['ctx']['error']}."
    name = f"`{where}`" if where else "The body"
    if first["type"] == "missing":
        return f"{name} is missing." if where else "The body is missing; send a JSON object."
    given = first["input"]
    found = kind(given) if not isinstance(given, str | int | float) else repr(given)
    return f"{name} is to be {_asked(first)}; found {found if len(found) <= 60 else f'{found[:57]}...'}."


def kind(value: Any) -> str:
    """What a value of JSON is, in plain words.

    >>> kind(None), kind([1]), kind("a")
    ('null', 'a list', 'a text')
    """
    words = {"NoneType": "null", "bool": "a truth value", "int": "a number", "float": "a number", "str": "a text",
             "list": "a list", "dict": "an object"}  # fmt: skip
    return words.get(type(value).__name__, "something else")


_ASKED = {
    "int": "a whole number",
    "greater": "at least {ge}",
    "less": "at most {le}",
    "string_type": "a text",
    "string_too_short": "a text of at least {min_length} letter",
    "string_too_long": "a text of at most {max_length} letters",
    "timezone": "a time with its zone, as 2026-05-01T13:00:00Z",
    "datetime": "a time with its zone, as 2026-05-01T13:00:00Z",
    "bool": "true or false",
    "literal": "{expected}",
    "model": "an object of names and values",
    "dict": "an object of names and values",
}


def _asked(error: Any) -> str:
    """What is asked for, in our words for what pydantic tells."""
    for beginning, said in _ASKED.items():
        if error["type"].startswith(beginning):
            return said.format(**error.get("ctx", {}))
    found: str = error["msg"]
    return found
