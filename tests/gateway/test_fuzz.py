"""Whatever is sent, the answer is an answer or says what is wrong; never that we broke."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
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


# What may be wrong is beside the inputs alone, so that most are answered.
SHORT = st.text(max_size=3) | WILD
MOMENTS = st.datetimes(datetime(1890, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)).map(datetime.isoformat)
BESIDE = {"key": SHORT, "time": MOMENTS | WILD, "binary_data_output": st.booleans()}


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, Any]:
    """A request of the protocol with all inputs."""
    rows = draw(st.integers(1, 3))
    ids = st.lists(st.text(max_size=3), min_size=rows, max_size=rows)
    names = {**BESIDE, "ids": ids | ids.map(json.dumps) | WILD}
    numbers, texts = st.none() | st.integers(-9, 9) | st.floats(width=16), st.none() | st.text(max_size=4)
    said: dict[str, Any] = draw(st.fixed_dictionaries({}, optional={"id": SHORT}))
    if some := draw(st.fixed_dictionaries({}, optional=names)):
        said["parameters"] = some
    said["inputs"] = [
        {"name": name, "shape": [rows], "datatype": "BYTES" if kind == "category" else "FP64",
         "data": draw(st.lists(texts if kind == "category" else numbers, min_size=rows, max_size=rows))}
        for name, kind in INPUTS.items()
    ]  # fmt: skip
    return said


class Asking(httpx.Client):
    """A client that knows which rows it was answered."""

    answered: set[str]


def told(asked: Any, found: httpx.Response) -> list[str]:
    """The ids of the rows of an answer: as it tells them, or else as they were asked for."""
    if "inference-header-content-length" in found.headers:
        said = orjson.loads(found.content[: int(found.headers["inference-header-content-length"])])
    else:
        said = found.json()
    if "outputs" not in said:
        return [one["id"] for one in said.get("rows", [said])]
    rows = said["outputs"][0]["shape"][0] if said["outputs"] else asked["inputs"][0]["shape"][0]
    name, ids = asked.get("id"), (asked.get("parameters") or {}).get("ids")
    if ids is None and "ids" in said["parameters"]:
        made = said["parameters"]["ids"]
        return orjson.loads(made) if rows > 1 else [made]
    if ids is None:
        return [name] if rows == 1 else [f"{name}/{row}" for row in range(rows)]
    return orjson.loads(ids) if isinstance(ids, str) else ids


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    system = System(Settings(home=folder / "workspace"))
    said = {"model.inputs": INPUTS, "model.pickle": [NAME]}
    system.apply(plan.parse(plans.text(**said)), by="lead", because="first")
    desk = Desk(system, folder / "artifacts")
    desk.version(1, learned())
    desk.route(1)
    with answering(system.settings) as url, Asking(base_url=url) as opened:
        opened.answered = set()
        ready(url)
        yield opened
    kept = desk.kept()  # without a column where nothing was answered
    assert set(kept.get("id", [])) == opened.answered
    assert all(1 <= len(name) <= 200 for name in opened.answered)
    system.close()


def fine(client: Asking, path: str, said: Any = None, *, body: bytes | None = None, **more: Any) -> None:
    found = client.post(path, content=orjson.dumps(said) if body is None else body, **more)
    assert found.status_code in (200, 400), found.text
    if found.status_code == 400:
        assert "error" in found.json()
    else:
        client.answered.update(told(said, found))


@QUICK
@given(said=st.dictionaries(NAMES, WILD, max_size=6) | WILD)
def test_plain_requests(client: Asking, said: Any) -> None:
    fine(client, f"/predict/{NAME}", said)


def test_plain_requests_with_all_inputs(client: Asking) -> None:
    inputs = {name: WILD if name == "channel" else st.none() | st.floats() for name in INPUTS}
    before = len(client.answered)

    @QUICK
    @given(said=st.fixed_dictionaries(inputs, optional={"id": SHORT, "key": SHORT, "time": MOMENTS | WILD}))
    def ask(said: Any) -> None:
        fine(client, f"/predict/{NAME}", said)

    ask()
    assert len(client.answered) > before


@QUICK
@given(
    said=st.fixed_dictionaries({"inputs": st.lists(TENSOR, max_size=3) | WILD}, optional={
        "id": WILD, "parameters": st.dictionaries(NAMES, WILD, max_size=3) | WILD,
        "outputs": st.lists(st.dictionaries(st.sampled_from(["name", "parameters"]), WILD | st.just("intent"))) | WILD,
    }),
    tail=st.binary(max_size=20), header=st.sampled_from([None, "0", "5", "1000000", "x", "-1"]),
)  # fmt: skip
def test_requests_of_the_protocol(client: Asking, said: Any, tail: bytes, header: str | None) -> None:
    body = orjson.dumps(said)
    length = {"Inference-Header-Content-Length": str(len(body)) if header is None else header}
    fine(client, f"/v2/models/{NAME}/infer", said, body=body + tail, headers=length)


def test_requests_of_the_protocol_with_all_inputs(client: Asking) -> None:
    before = len(client.answered)

    @QUICK
    @given(said=tensors())
    def ask(said: Any) -> None:
        fine(client, f"/v2/models/{NAME}/infer", said)

    ask()
    assert len(client.answered) > before


@QUICK
@given(body=st.binary(max_size=200))
def test_bytes(client: Asking, body: bytes) -> None:
    for path in (f"/predict/{NAME}", f"/v2/models/{NAME}/infer"):
        fine(client, path, body=body)


@QUICK
@given(
    parts=st.lists(st.sampled_from(["v2", "models", NAME, "versions", "1", "ready", "health", "", "%00", "%ff", "é"]))
)
def test_paths(client: Asking, parts: list[str]) -> None:
    found = client.get(f"{client.base_url}/{'/'.join(parts)}")  # what begins with two slashes is no address alone
    assert found.status_code in (200, 404, 405), found.text
