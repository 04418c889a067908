"""``GET /api``: the description of the API, for people."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse

from shelflife.rights import Unknown
from shelflife.web.session import base, shown, visitor

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Operation:
    """One thing that a program can ask for."""

    method: str
    path: str
    summary: str
    about: str
    asks: tuple[tuple[str, str, str], ...]
    answers: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, str, str], ...]
    token: bool


@router.get("/api")
async def api(request: Request) -> HTMLResponse:
    """What programs can ask for, by the same description that they read."""
    try:
        who = await visitor(request)
    except Unknown:
        who = None
    return shown(request, "api.html", who, operations=_operations(request.app), base=base(request))


@functools.lru_cache(maxsize=2)
def _operations(app: FastAPI) -> tuple[Operation, ...]:
    spec = app.openapi()
    return tuple(
        _operation(spec, method, path, told)
        for path, methods in spec["paths"].items()
        for method, told in methods.items()
    )


def _operation(spec: dict[str, Any], method: str, path: str, told: dict[str, Any]) -> Operation:
    asks = [(one["name"], _type(spec, one["schema"]), one.get("description", "")) for one in told.get("parameters", ())]
    body = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        asks += _fields(spec, body)
    answer = told["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    answers = tuple((status, one["description"]) for status, one in sorted(told["responses"].items()))
    return Operation(
        method.upper(), path, told.get("summary", ""), told.get("description", ""), tuple(asks), answers,
        tuple(_fields(spec, answer)), bool(told.get("security")),
    )  # fmt: skip


def _fields(spec: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of what an object has; of a list, of what each of it has."""
    schema = _followed(spec, schema)
    if schema.get("type") == "array":
        schema = _followed(spec, schema["items"])
    for name, one in schema.get("properties", {}).items():
        yield name, _type(spec, one), _followed(spec, one).get("description", "")


def _type(spec: dict[str, Any], schema: dict[str, Any]) -> str:
    schema = _followed(spec, schema)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(spec, one) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(str(one) for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(spec, schema.get('items', {}))}"
    kind = schema.get("type", "any")
    return str(schema.get("format") or (", ".join(kind) if isinstance(kind, list) else kind))


def _followed(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema
