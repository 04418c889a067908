"""The JSON Schema of a plan, by which editors complete and check it while it is written."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from shelflife.plan.spec import Plan


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a plan as plain values.

    Examples
    --------
    >>> schema()["required"]
    ['shelflife', 'system', 'title', 'objective', 'model', 'watch']
    """
    made = Plan.model_json_schema(by_alias=True)
    return {"$schema": GenerateJsonSchema.schema_dialect, **made, "title": "Shelflife plan"}
