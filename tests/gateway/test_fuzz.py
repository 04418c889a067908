"""Whatever is sent, the answer is an answer or says what is wrong; never that we broke."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gateway.conftest import INPUTS, NAME, Desk, answering, learned, ready

from shelflife import plan
from shelflife.gateway.tensors import DATATYPES
from shelflife.system import System
from shelflife.testing import plans
from shelflife.workspace import Settings

QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
WILD = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda some: st.lists(some, max_size=4) | st.dictionaries(st.text(max_size=8), some, max_size=4), max_leaves=8,
)  # fmt: skip
NAMES = st.sampled_from([*INPUTS, "id", "ids", "key", "time", "rows", "inputs", "parameters", "outputs", "x"])
TENSOR = st.fixed_dictionaries(
    {"name": NAMES | WILD, "datatype": st.sampled_from(DATATYPES) | WILD},
    optional={
        "shape": st.lists(st.integers(0, 3), max_size=3) | WILD, "data": st.lists(WILD, max_size=4) | WILD,
        "parameters": st.dictionaries(st.sampled_from(["binary_data_size"]), st.integers(-1, 20) | WILD) | WILD,
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    system = System(Settings(home=folder / "workspace"))
    said = {"model.inputs": INPUTS, "model.pickle": [NAME]}
    system.apply(plan.parse(plans.text(**said)), by="lead", because="first")
    desk = Desk(system, folder / "artifacts")
    desk.version(1, learned())
    desk.route(1)
    with answering(system.settings) as url, httpx.Client(base_url=url) as opened:
        ready(url)
        yield opened
    rejected = [name for name in desk.kept()["id"] if not 1 <= len(name) <= 200]
    assert rejected == []
    system.close()


def fine(found: httpx.Response) -> None:
    assert found.status_code in (200, 400), found.text
    said = found.json() if "inference-header-content-length" not in found.headers else {}
    assert ("error" in said) == (found.status_code == 400)


@QUICK
@given(st.dictionaries(NAMES, WILD, max_size=6) | WILD)
def test_plain_requests(client: httpx.Client, said: Any) -> None:
    fine(client.post(f"/predict/{NAME}", content=orjson.dumps(said)))


@QUICK
@given(st.fixed_dictionaries({name: WILD if name == "channel" else st.none() | st.floats() for name in INPUTS}))
def test_plain_requests_with_all_inputs(client: httpx.Client, said: Any) -> None:
    fine(client.post(f"/predict/{NAME}", content=orjson.dumps(said)))


@QUICK
@given(
    st.fixed_dictionaries({"inputs": st.lists(TENSOR, max_size=3) | WILD}, optional={
        "id": WILD, "parameters": st.dictionaries(NAMES, WILD, max_size=3) | WILD,
        "outputs": st.lists(st.dictionaries(st.sampled_from(["name", "parameters"]), WILD | st.just("intent"))) | WILD,
    }),
    st.binary(max_size=20), st.sampled_from([None, "0", "5", "1000000", "x", "-1"]),
)  # fmt: skip
def test_requests_of_the_protocol(client: httpx.Client, said: Any, tail: bytes, header: str | None) -> None:
    body = orjson.dumps(said)
    told = {"Inference-Header-Content-Length": str(len(body)) if header is None else header}
    fine(client.post(f"/v2/models/{NAME}/infer", content=body + tail, headers=told))


@QUICK
@given(st.binary(max_size=200))
def test_bytes(client: httpx.Client, body: bytes) -> None:
    for path in (f"/predict/{NAME}", f"/v2/models/{NAME}/infer"):
        fine(client.post(path, content=body))


@QUICK
@given(st.lists(st.sampled_from(["v2", "models", NAME, "versions", "1", "ready", "health", "", "%00", "%ff", "é"])))
def test_paths(client: httpx.Client, parts: list[str]) -> None:
    found = client.get(f"{client.base_url}/{'/'.join(parts)}")  # what begins with two slashes is no address alone
    assert found.status_code in (200, 404, 405), found.text
