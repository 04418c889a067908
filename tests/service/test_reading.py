"""What is known of systems, over HTTP and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from shelflife import ledger, plan
from shelflife.events import FindingAcknowledged
from shelflife.store.schema import findings as table
from shelflife.system import System
from shelflife.testing import plans
from shelflife.views.record import PAGE, record
from shelflife.views.status import statuses
from shelflife.watch import findings
from shelflife.watch.findings import Found
from shelflife.watch.freshness import Freshness

NAME = "parcel-delay"


@pytest.fixture
def told(system: System) -> list[int]:
    """Three findings of one system, and one of another."""
    system.apply(plan.parse(plans.text()), by="lead", because="another")
    now = system.clock.now()
    with system.database.writing() as connection:
        mine = findings.tell(
            connection, NAME,
            [Found(key[:5], key, f"It is {key[:5]} <b>.", "at most 5 %", now, 7)
             for key in ("SL301", "SL201", "SL501 scans")],
            plan=1, now=now,
        )  # fmt: skip
        return [
            *mine,
            *findings.tell(connection, "support-desk", [Found("SL101", "SL101", "x", "", now, 1)], plan=1, now=now),
        ]


@pytest.fixture
def client(service: tuple[str, str], system: System) -> Iterator[httpx.Client]:
    secret, _ = system.tokens.make("reader", ["read", "act", "decide"], by="lead")
    with httpx.Client(base_url=service[0], headers={"Authorization": f"Bearer {secret}"}) as found:
        yield found


def test_findings_are_read_a_page_at_a_time(client: httpx.Client, told: list[int]) -> None:
    first = client.get("/api/v1/findings", params={"limit": 2}).json()
    assert [one["number"] for one in first["findings"]] == [told[3], told[2]]
    second = client.get("/api/v1/findings", params={"limit": 2, "before": first["next"]}).json()
    assert [one["number"] for one in second["findings"]] == [told[1], told[0]]
    assert second["next"] is None
    only = client.get("/api/v1/findings", params={"system": NAME}).json()["findings"]
    assert {one["system"] for one in only} == {NAME}
    assert client.get("/api/v1/findings", params={"system": "none"}).status_code == 404
    assert client.get("/api/v1/findings", params={"limit": 0}).status_code == 422
    assert client.get("/api/v1/findings/99").status_code == 404


def test_people_decide_over_http(client: httpx.Client, told: list[int], system: System) -> None:
    at = f"/api/v1/findings/{told[0]}"
    assert client.post(f"{at}/acknowledge").json()["state"] == "acknowledged"
    until = (system.clock.now() + timedelta(days=2)).isoformat()
    assert client.post(f"{at}/mute", json={"reason": "a campaign", "until": until}).json()["state"] == "muted"
    assert client.post(f"{at}/mute", json={"reason": "", "until": until}).status_code == 422
    assert client.post(f"{at}/mute", json={"reason": "x", "until": "2026-05-03T00:00:00"}).status_code == 422
    assert client.post(f"{at}/resolve", json={"reason": "repaired"}).json()["state"] == "resolved"
    assert client.post(f"{at}/acknowledge").status_code == 422
    by = {entry.by for entry in system.ledger.entries() if entry.kind in {"finding.acknowledged", "finding.muted"}}
    assert by == {"token reader"}


def test_a_token_sees_its_systems_only(service: tuple[str, str], told: list[int], system: System) -> None:
    url, observing = service
    secret, _ = system.tokens.make("narrow", ["read", "act"], only=[NAME], by="lead")
    narrow = {"Authorization": f"Bearer {secret}"}
    assert {one["system"] for one in httpx.get(f"{url}/api/v1/systems", headers=narrow).json()} == {NAME}
    assert len(httpx.get(f"{url}/api/v1/findings", headers=narrow).json()["findings"]) == 3
    for path in ("systems/support-desk", f"findings/{told[3]}", "findings?system=support-desk"):
        assert httpx.get(f"{url}/api/v1/{path}", headers=narrow).status_code == 403
    assert httpx.post(f"{url}/api/v1/findings/{told[3]}/acknowledge", headers=narrow).status_code == 403
    there, missing = (httpx.get(f"{url}/api/v1/findings/{number}", headers=narrow) for number in (told[3], 99))
    assert missing.status_code == 403
    assert missing.text == there.text.replace(f"finding {told[3]}", "finding 99")
    others = {"Authorization": f"Bearer {observing}"}
    for path in ("systems", f"systems/{NAME}", "findings", f"findings/{told[0]}"):
        assert httpx.get(f"{url}/api/v1/{path}", headers=others).status_code == 403
        assert httpx.get(f"{url}/api/v1/{path}").status_code == 401


def test_the_worst_comes_first_and_says_why(client: httpx.Client, told: list[int]) -> None:
    found = client.get("/api/v1/systems").json()
    assert [one["system"] for one in found] == [NAME, "support-desk"]
    worst = found[0]
    assert (worst["pages"], worst["notes"]) == (2, 1)
    assert worst["feeds"] == {"state": "stale", "reason": "It is SL501 <b>."}
    assert worst["model"]["state"] == "unknown"  # there is no reference
    assert client.get(f"/api/v1/systems/{NAME}").json() == worst
    picture = client.get(f"/badge/{NAME}.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "unknown" in picture.text
    assert "Parcel" not in picture.text
    missing = client.get("/badge/none.svg")
    assert (missing.status_code, NAME in missing.text) == (404, False)
    del told


def test_the_history_of_a_finding_is_its_own(system: System, told: list[int]) -> None:
    now = system.clock.now()
    with system.database.writing() as connection:
        for number in range(10):
            key = f"key-{number}"
            findings.tell(connection, NAME, [Found("SL201", key, "x", "", now, 1)], plan=1, now=now)
    for _ in range(PAGE + 1):  # so many of others would fill the page
        with system.database.writing() as connection:
            ledger.append(connection, FindingAcknowledged(NAME, 10), at=now, by="lead")
    assert [one.finding for one in record(system, name=NAME, finding=1).done] == [1]
    del told


def test_a_thousand_systems_cost_a_handful_of_queries(system: System) -> None:
    from sqlalchemy import event

    raw = json.loads(plans.text())
    for number in range(20):
        system.apply(plan.parse(json.dumps({**raw, "system": f"s-{number}"})), by="lead", because="many")
    asked: list[str] = []

    def note(*given: Any) -> None:
        asked.append(given[2])

    event.listen(system.database.engine, "before_cursor_execute", note)
    assert len(statuses(system)) == 21
    few = len(asked)
    asked.clear()
    for number in range(20, 40):
        system.apply(plan.parse(json.dumps({**raw, "system": f"s-{number}"})), by="lead", because="many")
    asked.clear()
    assert len(statuses(system)) == 41
    assert len(asked) == few
    event.remove(system.database.engine, "before_cursor_execute", note)


def test_freshness_follows_from_findings(system: System, told: list[int]) -> None:
    assert statuses(system, NAME)[0].knowledge == Freshness("unknown", "Documents are not looked at yet.")
    with system.database.reading() as connection:
        assert len(list(connection.execute(select(table)))) == len(told)
