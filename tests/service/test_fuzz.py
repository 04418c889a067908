"""Requests that nobody thought of, made from the API's own description: none breaks the server."""

from __future__ import annotations

import os

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from schemathesis import openapi
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

# `SHELFLIFE_FUZZ=5000 pytest tests/service/test_fuzz.py` looks longer.
EXAMPLES = int(os.environ.get("SHELFLIFE_FUZZ", "20"))
ASKED = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_request_breaks_the_server(service: tuple[str, str], mode: GenerationMode) -> None:
    url, secret = service
    described = httpx.get(f"{url}/api/v1/openapi.json").json()
    for path in described["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "system" and mode is GenerationMode.POSITIVE:
                    parameter["schema"] = {"enum": ["parcel-delay"]}
    schema = openapi.from_dict(described)
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case) -> None:
            case.call_and_validate(base_url=url, headers={"Authorization": f"Bearer {secret}"}, checks=ASKED)

        if mode is GenerationMode.POSITIVE or operation.body:  # what is asked nothing cannot be asked it wrongly
            check()
    assert httpx.get(f"{url}/health/ready").json() == {"status": "ok"}
