"""Versions are read over HTTP and put side by side."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from tests.renew.conftest import DESK
from tests.service.conftest import running

from shelflife.renew import registry
from shelflife.renew.compare import Difference, compare


@pytest.fixture
def client(system):
    with running(system) as url, httpx.Client(base_url=url) as opened:
        yield opened


@pytest.fixture
def reader(system):
    secret, _ = system.tokens.make("reader", ["read"], by="lead")
    return {"Authorization": f"Bearer {secret}"}


def test_versions(system, register, client, reader):
    register(1, record={"metrics": {"overall": {"accuracy": 0.9}}})
    register(2)
    start, day = system.clock.now(), timedelta(days=1)
    with system.database.writing() as connection:
        for place, number in enumerate((1, 2)):
            registry.point(connection, DESK, "champion", number, by="lead", because="x", now=start + place * day)
    found = client.get(f"/api/v1/systems/{DESK}/versions", headers=reader).json()
    assert [one["number"] for one in found["versions"]] == [1, 2]
    assert [(one["version"], one["until"] is None) for one in found["pointers"]] == [(1, False), (2, True)]
    then = client.get(f"/api/v1/systems/{DESK}/versions", params={"at": start.isoformat()}, headers=reader).json()
    assert [one["number"] for one in then["versions"]] == [1]
    assert [one["version"] for one in then["pointers"]] == [1]
    one = client.get(f"/api/v1/systems/{DESK}/versions/1", headers=reader).json()
    assert one["record"] == {"metrics": {"overall": {"accuracy": 0.9}}}
    assert one.keys() == {
        "system", "number", "model", "registered", "digest", "plan", "snapshot", "record", "at", "by", "because",
    }  # fmt: skip


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_who_may_not_read(system, client, reader):
    secret, _ = system.tokens.make("sender", ["observe"], by="lead")
    address = f"/api/v1/systems/{DESK}/versions"
    assert client.get(address).status_code == 401
    assert client.get(address, headers={"Authorization": f"Bearer {secret}"}).status_code == 403
    assert client.get("/api/v1/systems/nobody/versions", headers=reader).status_code == 404
    assert client.get(f"{address}/1", headers=reader).status_code == 404


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_two_side_by_side(register):
    environment = {"python": "3.11", "packages": ["numpy==2.1", "old==1"]}
    first = register(1, record={"seed": 0, "parameters": {"depth": 3, "rate": 0.1}, "environment": environment,
                                "metrics": {"overall": {"accuracy": 0.9}}})  # fmt: skip
    second = register(2, record={"seed": 0, "parameters": {"depth": 4, "rate": 0.1},
                                 "environment": {"python": "3.11", "packages": ["numpy==2.2"]},
                                 "metrics": {"overall": {"accuracy": 0.9}}})  # fmt: skip
    found = compare(first, second)
    assert Difference("parameters.depth", 3, 4) in found.made
    assert {one.what for one in found.made} == {"because", "digest", "parameters.depth"}
    assert found.metrics == (Difference("overall.accuracy", 0.9, 0.9),)
    assert found.environment == ("numpy 2.1, 2.2", "old 1, not there")
