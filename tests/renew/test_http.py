"""Renewals over HTTP: started, read, decided on by who may, and every refusal in one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.renew.living import DESK, written
from tests.service.conftest import running

from shelflife import plan
from shelflife.renew import approval, registry, rollout
from shelflife.renew.registry import Version
from shelflife.rights import Denied
from shelflife.system import System

Client = Callable[..., httpx.Response]
pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture
def system(system: System) -> System:
    """A desk that renews, and a shop beside it."""
    system.apply(written(), by="lead", because="it renews")
    shop = written().text.replace(f'"system": "{DESK}"', '"system": "shop"')
    system.apply(plan.parse(shop), by="lead", because="first")
    return system


@pytest.fixture
def ask(system: System) -> Iterator[Client]:
    """Asks as somebody: who they are, the verb, the rest of the address, and what is sent."""
    secrets: dict[Any, str] = {}
    with running(system) as url, httpx.Client(base_url=url) as client:

        def asked(
            who: str, verb: str, path: str, body: Any = None, *, may: tuple[str, ...] = ("read", "act", "decide"),
            only: tuple[str, ...] | None = None,
        ) -> httpx.Response:  # fmt: skip
            key = (who, may, only)
            if key not in secrets:
                secrets[key], _ = system.tokens.make(who, may, only=only, by="lead")
            headers = {"Authorization": f"Bearer {secrets[key]}"}
            return client.request(verb, f"/api/v1{path}", json=body, headers=headers)

        yield asked


def error(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "says"}
    return answer.status_code, body["error"]["says"]


def waiting(system: System, ask: Client, by: str = "analyst") -> int:
    """A renewal that has asked for a decision."""
    made = ask(by, "POST", f"/systems/{DESK}/renewals", {"because": "complaints"}).json()
    with system.database.writing() as connection:
        approval.ask(
            connection, system.plan(DESK).plan, made["plan"], renewal=made["number"], digest="a" * 64, report="b" * 64,
            now=system.clock.now(), by="renew",
        )  # fmt: skip
    return int(made["number"])


def test_started_listed_and_shown(system: System, ask: Client) -> None:
    answer = ask("analyst", "POST", f"/systems/{DESK}/renewals", {"because": "complaints"})
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in ("number", "system", "state", "by")} == {
        "number": 1, "system": DESK, "state": "running", "by": "analyst",
    }  # fmt: skip
    again = ask("analyst", "POST", f"/systems/{DESK}/renewals", {"because": "complaints"}).json()
    assert again["number"] == 1  # of one system one at a time
    ask("analyst", "POST", "/systems/shop/renewals", {"because": "x"})
    every = ask("reader", "GET", "/renewals", may=("read",)).json()
    assert [one["number"] for one in every["renewals"]] == [2, 1]
    assert every["next"] is None
    first = ask("reader", "GET", "/renewals?limit=1", may=("read",)).json()
    assert ([one["number"] for one in first["renewals"]], first["next"]) == ([2], 2)
    rest = ask("reader", "GET", "/renewals?limit=1&before=2", may=("read",)).json()
    assert ([one["number"] for one in rest["renewals"]], rest["next"]) == ([1], None)
    assert [one["system"] for one in ask("reader", "GET", f"/renewals?system={DESK}").json()["renewals"]] == [DESK]
    shown = ask("reader", "GET", "/renewals/1", may=("read",)).json()
    assert shown["planned"] == [one.name for one in system.renewing.explain(DESK)]
    assert shown["steps"] == []


def test_approved_by_the_person_after_whom_a_token_is_named(system: System, ask: Client) -> None:
    number = waiting(system, ask)
    for who, says in (("program", "the plan asks owner"), ("analyst", "the plan asks owner")):
        status, said = error(ask(who, "POST", f"/renewals/{number}/approve", {}))
        assert status == 403
        assert says in said
    assert ask("deputy", "POST", f"/renewals/{number}/approve", {"reason": "good"}).status_code == 200
    (given,) = system.ledger.entries(kind="approval.given")
    assert (given.by, given.body["digest"], given.body["reason"]) == ("deputy", "a" * 64, "good")
    status, said = error(ask("lead", "POST", f"/renewals/{number}/approve", {}))
    assert status == 422
    assert "was approved by deputy" in said


def test_who_started_it_does_not_approve_alone(system: System, ask: Client) -> None:
    number = waiting(system, ask, by="deputy")
    status, said = error(ask("deputy", "POST", f"/renewals/{number}/approve", {}))
    assert status == 403
    assert "asks for somebody else to approve it" in said
    assert error(ask("deputy", "POST", f"/renewals/{number}/reject", {}))[0] == 422  # without a reason
    assert ask("deputy", "POST", f"/renewals/{number}/reject", {"reason": "not yet"}).status_code == 200


@pytest.mark.parametrize("name", ["anna", "ANNA", "Deputy@example.com"])
def test_nor_under_another_name_of_theirs(system: System, ask: Client, name: str) -> None:
    system.accounts.make("anna", role="viewer", email="DEPUTY@example.com", by="lead")
    number = waiting(system, ask, by=name)
    status, said = error(ask("deputy", "POST", f"/renewals/{number}/approve", {}))
    assert status == 403
    assert f"'deputy' decides here as {name!r}, who started this renewal, and the plan asks for somebody else" in said
    with pytest.raises(Denied, match="who started this renewal"):  # by another address in the plan
        system.renewing.decide(number, approve=True, person="lead", reason="", known_as="anna")
    assert ask("lead", "POST", f"/renewals/{number}/approve", {}).status_code == 200


def test_cancelled_once(system: System, ask: Client) -> None:
    number = waiting(system, ask)
    assert error(ask("lead", "POST", f"/renewals/{number}/cancel", {}))[0] == 422
    over = ask("lead", "POST", f"/renewals/{number}/cancel", {"because": "after Easter"}).json()
    assert (over["state"], over["says"]) == ("cancelled", "after Easter")
    status, said = error(ask("lead", "POST", f"/renewals/{number}/cancel", {"because": "again"}))
    assert (status, said) == (422, f"Renewal {number} is over (cancelled): there is nothing left to cancel.")


def test_rolled_back(system: System, ask: Client, register: Callable[..., Version]) -> None:
    assert error(ask("lead", "POST", f"/systems/{DESK}/rollback", {"because": "x"}))[0] == 422
    register(1), register(2)
    for number in (1, 2):
        with system.database.writing() as connection:
            rollout.promote(connection, DESK, number, beside=False, because="x", now=system.clock.now(), by="lead")
    misspelt = ask("lead", "POST", f"/systems/{DESK}/rollback", {"because": "complaints", "verson": 2})
    assert error(misspelt) == (422, "`verson` is no name that this asks for.")
    odd = ask("lead", "POST", f"/systems/{DESK}/rollback", {"because": "complaints", "version": True})
    assert error(odd)[0] == 422
    assert ask("lead", "POST", f"/systems/{DESK}/rollback", {"because": "complaints"}).json() == {
        "system": DESK, "version": 1,
    }  # fmt: skip
    with system.database.reading() as connection:
        pointed = registry.pointer(connection, DESK, "champion")
    assert pointed is not None
    assert (pointed.version, pointed.because, pointed.by) == (1, "complaints", "lead")


def test_who_may_not_is_told_in_the_one_shape(system: System, ask: Client) -> None:
    number = waiting(system, ask)
    reads = ("read",)
    assert error(ask("r", "POST", f"/systems/{DESK}/renewals", {"because": "x"}, may=reads))[0] == 403
    for verb, word in (("approve", "reason"), ("reject", "reason"), ("cancel", "because")):
        assert error(ask("r", "POST", f"/renewals/{number}/{verb}", {word: "x"}, may=("read", "act")))[0] == 403
    assert error(ask("r", "POST", f"/systems/{DESK}/rollback", {"because": "x"}, may=reads))[0] == 403
    assert error(ask("r", "GET", "/renewals/99", may=reads)) == (
        404, "There is no renewal 99; `shelflife renewals` shows all.",
    )  # fmt: skip
    assert error(ask("r", "GET", "/renewals/0", may=reads))[0] == 422
    assert error(ask("r", "GET", "/renewals/first", may=reads))[0] == 422
    assert error(ask("r", "GET", "/renewals?system=nobody", may=reads))[0] == 404
    assert error(ask("lead", "POST", "/systems/nobody/renewals", {"because": "x"}))[0] == 404
    assert error(ask("lead", "POST", f"/systems/{DESK}/renewals", {"because": ""}))[0] == 422


def test_who_shows_no_token_is_told_of_nothing(system: System) -> None:
    with running(system) as url, httpx.Client(base_url=url) as client:
        assert error(client.get("/api/v1/renewals/1"))[0] == 401
        assert error(client.get("/api/v1/renewals"))[0] == 401


def test_a_token_of_one_system_cannot_tell_whether_others_renew(system: System, ask: Client) -> None:
    ask("lead", "POST", "/systems/shop/renewals", {"because": "x"})
    number = waiting(system, ask)
    only = (DESK,)
    assert [one["number"] for one in ask("desk", "GET", "/renewals", only=only).json()["renewals"]] == [number]
    assert ask("desk", "GET", f"/renewals/{number}", only=only).status_code == 200
    for verb, path, word in (("GET", "", "x"), ("POST", "/approve", "reason"), ("POST", "/cancel", "because")):
        told = [error(ask("desk", verb, f"/renewals/{one}{path}", {word: "x"}, only=only)) for one in (1, 99)]
        assert [status for status, _ in told] == [403, 403]
        assert told[0][1] == told[1][1].replace("99", "1")
