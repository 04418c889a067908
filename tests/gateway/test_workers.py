"""`shelflife up --role gateway`, as a user starts it: workers, tokens, figures, how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.gateway.conftest import NAME, Deadly, Desk, answering, ready, up, wait

from shelflife.errors import BadInput
from shelflife.gateway.access import Guard
from shelflife.store.database import Database

ROW: dict[str, Any] = {"channel": "mail", "age": 20.0, "weight": 60.5}


def children(pid: int) -> list[int]:
    """The processes that one has started."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(one) for one in found.stdout.split()]


def test_a_worker_that_dies_is_replaced_and_a_stop_finishes_requests(desk: Desk) -> None:
    with up(desk, "--workers", "2") as (process, url):
        first = children(process.pid)
        os.kill(first[0], signal.SIGKILL)
        wait(lambda: len(set(children(process.pid)) - set(first)) == 1)
        ready(url)
        stop, told = threading.Event(), []

        def ask(place: int) -> None:
            while not stop.is_set():
                name = f"{place}-{len(told)}"
                try:
                    found = httpx.post(f"{url}/predict/{NAME}", json={**ROW, "id": name}, timeout=30)
                except httpx.ConnectError:
                    return  # it listens no more
                except httpx.TransportError:
                    continue  # was closed before it was asked
                told.append((name, found.status_code))

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(3)]
        for thread in threads:
            thread.start()
        wait(lambda: len(told) > 60)
        figures = httpx.get(f"{url}/metrics").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        stop.set()
        for thread in threads:
            thread.join()
    assert {status for _, status in told} == {200}
    # All workers' figures are one.
    found = {
        sample.name: sample.value for family in text_string_to_metric_families(figures) for sample in family.samples
        if sample.name == "shelflife_gateway_requests_total"
    }  # fmt: skip
    assert found["shelflife_gateway_requests_total"] > 50
    # What it was told to stop with is in the table, without anybody else.
    kept = desk.system.tables.open(NAME, "predictions").to_pyarrow_table(columns=["id"])["id"].to_pylist()
    assert {name for name, _ in told} <= set(kept)
    assert list(desk.system.settings.served_folder.glob("*/*.log")) == []


@pytest.mark.parametrize("route", ["canary", "shadow"])
def test_a_model_that_ends_its_process_is_unready_and_counts_as_crashed(desk: Desk, route: str) -> None:
    desk.version(2, Deadly("x"))
    desk.route(1, **({"canary": 2, "share": 1.0} if route == "canary" else {"shadow": 2}))
    with up(desk) as (process, url):
        (first,) = children(process.pid)

        def ask(age: float = 20) -> dict[str, Any]:
            with contextlib.suppress(httpx.TransportError):  # the worker may be gone before it was answered
                return httpx.post(f"{url}/predict/{NAME}", json={**ROW, "age": age}, timeout=30).json()
            return {}

        assert ask()["version"] == (2 if route == "canary" else 1)
        ask(120)
        wait(lambda: first not in children(process.pid))
        ready(url)
        (second,) = wait(lambda: children(process.pid))
        assert httpx.get(f"{url}/v2/models/{NAME}/versions/2/ready").status_code == 503
        assert [ask(age).get("version") for age in (20, 120, 20)] == [1, 1, 1]  # nobody asks it any more
        assert children(process.pid) == [second]
        process.terminate()
        process.wait(60)
        assert process.stderr is not None
        said = process.stderr.read()
    assert "with version 2 of support-desk at work" in said
    assert "Fatal Python error: Segmentation fault" in said  # and where, for whoever made the model
    failed = desk.kept("shadows").dropna(subset="error").to_dict("records")
    assert [(one["version"], one["route"], one["error"]) for one in failed] == [
        ("2", route, "its process ended by SIGSEGV while it answered")
    ]  # fmt: skip


def test_a_champion_that_ends_its_process_answers_others_again(desk: Desk) -> None:
    desk.version(2, Deadly("x"))
    desk.route(2)
    with up(desk) as (process, url):
        (first,) = children(process.pid)
        with contextlib.suppress(httpx.TransportError):
            httpx.post(f"{url}/predict/{NAME}", json={**ROW, "age": 120}, timeout=30)
        wait(lambda: first not in children(process.pid))
        ready(url)
        assert httpx.get(f"{url}/v2/models/{NAME}/ready").status_code == 503
        assert httpx.post(f"{url}/predict/{NAME}", json=ROW, timeout=30).json()["version"] == 2
        assert httpx.get(f"{url}/v2/models/{NAME}/ready").status_code == 200
        (second,) = children(process.pid)
        os.kill(second, signal.SIGKILL)  # which is no fault of its
        wait(lambda: second not in children(process.pid))
        ready(url)
        assert httpx.get(f"{url}/v2/models/{NAME}/ready").status_code == 200


def test_who_kills_a_worker_once_says_nothing_of_its_model_and_twice_that_memory_is_short(desk: Desk) -> None:
    desk.version(2, Deadly("x", by=signal.SIGKILL))
    desk.route(1, canary=2, share=1.0)
    with up(desk) as (process, url):
        for answers in (2, 2, 1):
            (worker,) = children(process.pid)
            assert httpx.post(f"{url}/predict/{NAME}", json=ROW, timeout=30).json()["version"] == answers
            with contextlib.suppress(httpx.TransportError):
                httpx.post(f"{url}/predict/{NAME}", json={**ROW, "age": 120}, timeout=30)
            if answers == 2:
                wait(lambda before=worker: before not in children(process.pid))
                ready(url)
        assert children(process.pid) == [worker]
        process.terminate()
        process.wait(60)
    (failed,) = desk.kept("shadows").dropna(subset="error").to_dict("records")
    assert (
        failed["error"]
        == "its process ended by SIGKILL while it answered, like the one before, as where memory is short"
    )


def test_what_is_known_of_a_model_outlives_other_workers_and_ends_with_the_routes(desk: Desk) -> None:
    desk.version(2, Deadly("x"))
    desk.route(1, canary=2, share=1.0)
    with up(desk) as (process, url):
        (first,) = children(process.pid)

        def ask(age: float = 20) -> tuple[int, str] | None:
            with contextlib.suppress(httpx.TransportError):
                said = httpx.post(f"{url}/predict/{NAME}", json={**ROW, "age": age}, timeout=30).json()
                return said["version"], said["route"]
            return None

        def another(before: int) -> int:
            wait(lambda: before not in children(process.pid))
            ready(url)
            return int(wait(lambda: children(process.pid))[0])

        ask(120)
        second = another(first)
        assert ask(120) == (1, "fallback")
        os.kill(second, signal.SIGKILL)
        third = another(second)
        assert ask(120) == (1, "fallback")
        desk.route(2)
        wait(lambda: ask() == (2, "champion"))
        assert httpx.get(f"{url}/v2/models/{NAME}/ready").status_code == 200
        assert children(process.pid) == [third]
        process.terminate()
        process.wait(60)
    assert len(desk.kept("shadows").dropna(subset="error")) == 1  # told once


@pytest.mark.parametrize(
    ("by", "says"), [
        (None, "Its process ended with status 7 while it was loaded."),
        (signal.SIGKILL,
         "Its process ended by SIGKILL while it was loaded, like the one before, as where memory is short."),
    ],
)  # fmt: skip
def test_a_model_that_ends_its_process_as_it_is_loaded_is_refused_until_the_routes_are_others(
    desk: Desk, tmp_path: Path, by: int | None, says: str
) -> None:
    often = tmp_path / "often"
    with up(desk) as (_, url):
        desk.version(2, Deadly("x", by=by, loading=often))
        often.write_text("9")
        desk.route(1, canary=2, share=1.0)
        (told,) = wait(lambda: desk.system.ledger.entries(kind="version.refused"))
        assert told.body["says"] == says
        ready(url)
        said = httpx.post(f"{url}/predict/{NAME}", json=ROW, timeout=30).json()
        assert (said["version"], said["route"]) == (1, "fallback")
        assert int(often.read_text()) == 9 - (1 if by is None else 2)


def test_a_champion_that_was_killed_as_it_was_loaded_is_loaded_again(desk: Desk, tmp_path: Path) -> None:
    often = tmp_path / "often"
    often.write_text("0")
    desk.version(2, Deadly("x", by=signal.SIGKILL, loading=often))
    often.write_text("2")
    desk.route(2)
    with up(desk) as (_, url):
        assert httpx.post(f"{url}/predict/{NAME}", json=ROW, timeout=30).json()["version"] == 2
    assert often.read_text() == "0"
    assert desk.system.ledger.entries(kind="version.refused") == []


def test_whoever_is_left_alone_ends(desk: Desk) -> None:
    with up(desk) as (process, _):
        (worker,) = children(process.pid)
        process.kill()
        process.wait()

        def gone() -> bool:
            state = Path(f"/proc/{worker}/stat")
            return not state.exists() or state.read_text().split()[2] == "Z"

        wait(gone)


def test_where_tokens_are_asked_for_only_they_come_in(desk: Desk) -> None:
    system = desk.system
    secret, token = system.tokens.make("shop", ["observe"], only=[NAME], by="lead")
    reader, _ = system.tokens.make("reader", ["read"], by="lead")
    with answering(system.settings, guarded=True) as url:
        ready(url)
        path = f"{url}/predict/{NAME}"
        for given in (None, "Bearer no", f"Bearer {reader}", "x"):
            found = httpx.post(path, json=ROW, headers={} if given is None else {"Authorization": given})
            assert (found.status_code, found.json()["error"]["code"]) == (401, "no_token")
        known = {"Authorization": f"Bearer {secret}"}
        for _ in range(2):
            assert httpx.post(path, json=ROW, headers=known).status_code == 200
        assert httpx.post(f"{url}/predict/other", json=ROW, headers=known).status_code == 401
    system.tokens.revoke(token.id, by="lead")
    with answering(system.settings, guarded=True) as url:
        ready(url)
        found = httpx.post(f"{url}/predict/{NAME}", json=ROW, headers={"Authorization": f"Bearer {secret}"})
        assert found.status_code == 401


def test_while_the_database_is_away_a_known_token_is_looked_at_once_in_a_while(desk: Desk) -> None:
    secret, _ = desk.system.tokens.make("shop", ["observe"], by="lead")
    away, looks = [False], [0]

    def database() -> Database:
        looks[0] += 1
        if away[0]:
            raise BadInput("The database is away.")
        return desk.system.database

    following: Any = SimpleNamespace(database=database, away=False, tokens={})  # it has not noticed yet
    guard = Guard(following, desk.system.clock)

    async def asks() -> list[bool]:
        return [await guard.allows(f"Bearer {secret}".encode(), NAME) for _ in range(5)]

    assert asyncio.run(asks()) == [True] * 5
    away[0], looks[0] = True, 0
    guard._known = {known: (token, at - 60.0) for known, (token, at) in guard._known.items()}
    assert asyncio.run(asks()) == [True] * 5
    assert looks[0] == 1


def test_prometheus_is_told_who_answered_and_how(gateway: str) -> None:
    for body in (ROW, ROW, {**ROW, "age": "x"}):
        httpx.post(f"{gateway}/predict/{NAME}", json=body)
    found = {
        (sample.name, *dict(sorted(sample.labels.items())).values()): sample.value
        for family in text_string_to_metric_families(httpx.get(f"{gateway}/metrics").text)
        for sample in family.samples
    }
    assert found["shelflife_gateway_requests_total", "champion", "200", NAME, "1"] == 2
    assert found["shelflife_gateway_requests_total", "champion", "400", NAME, "1"] == 1
    assert found["shelflife_gateway_seconds_count", "champion", NAME, "1"] == 3


def test_without_a_route_it_is_there_and_not_ready(desk: Desk) -> None:
    from shelflife.store.schema import routes

    with desk.system.database.writing() as connection:
        connection.execute(routes.delete())
    with answering(desk.system.settings) as url:
        assert httpx.get(f"{url}/v2/health/live").status_code == 200
        assert httpx.get(f"{url}/v2/health/ready").status_code == 503
        assert httpx.post(f"{url}/predict/{NAME}", json=ROW).status_code == 404
