"""Who answers: routes that change under load, canaries, shadows, versions that are refused or crash."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateway.conftest import NAME, Breaking, Constant, Desk, Raising, Slow, SlowRaising, answering, ready, wait

from shelflife import models
from shelflife.gateway.split import replayed, split
from shelflife.routes import Routes

ROW: dict[str, Any] = {"channel": "mail", "age": 20.0, "weight": 60.0}


@contextmanager
def load(url: str, connections: int = 4) -> Iterator[list[tuple[float, int, Any]]]:
    """Requests without a pause meanwhile: when each was answered, its status and its answer."""
    stop, found = threading.Event(), []

    def ask(number: int) -> None:
        with httpx.Client(base_url=url) as client:
            while not stop.is_set():
                number += connections
                answer = client.post(f"/predict/{NAME}", json={**ROW, "key": f"customer {number}"})
                found.append((time.monotonic(), answer.status_code, answer.json()))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_routes_change_under_load_within_two_seconds_and_no_request_fails(desk: Desk) -> None:
    for number in (2, 3, 4):
        desk.version(number, Constant(f"says {number}"))
    with answering(desk.system.settings) as url:
        ready(url)
        with load(url) as found:
            wait(lambda: len(found) > 50)
            for number in (2, 3, 4, 1, 3):
                desk.route(number)
                changed = time.monotonic()
                wait(lambda number=number: any(one[2].get("version") == number for one in found[-8:]))
                assert time.monotonic() - changed < 2.0
        assert Counter(status for _, status, _ in found) == {200: len(found)}
        # Once a route counts nobody is answered by the one before.
        revisions = [said["revision"] for _, _, said in found]
        assert set(revisions) == set(range(1, 7))
        assert {(said["revision"], said["version"]) for _, _, said in found} == {
            (1, 1), (2, 2), (3, 3), (4, 4), (5, 1), (6, 3),
        }  # fmt: skip


def test_a_canary_answers_its_share_of_keys_and_the_same_ones_again(desk: Desk) -> None:
    desk.version(2, Constant("canary"))
    desk.route(1, canary=2, share=0.25)
    wanted = Routes(NAME, 2, champion=1, canary=2, share=0.25)
    with answering(desk.system.settings) as url, httpx.Client(base_url=url) as client:
        ready(url)
        for _ in range(2):
            for number in range(200):
                said = client.post(f"/predict/{NAME}", json={**ROW, "key": f"k{number}"}).json()
                assert said["version"] == wanted.version(f"k{number}")
                assert said["route"] == ("canary" if said["version"] == 2 else "champion")
    kept = desk.kept()
    assert replayed([Routes(NAME, 1, 1), wanted], kept["key"], kept["revision"], kept["version"], kept["route"]) == 0
    measured = {(one.version, one.route): one.rows for one in split(desk.system.tables, NAME)}
    canary = 2 * sum(wanted.version(f"k{number}") == 2 for number in range(200))
    assert measured == {("2", "canary"): canary, ("1", "champion"): 400 - canary}


def test_a_tampered_artifact_is_refused_and_the_old_routes_go_on(desk: Desk) -> None:
    folder = desk.version(2, Constant("evil"))
    next(folder.glob("*.pkl")).write_bytes(b"something else")
    with answering(desk.system.settings) as url:
        ready(url)
        desk.route(2)
        (told,) = wait(lambda: desk.system.ledger.entries(kind="version.refused"))
        assert (told.system, told.by, told.body["version"], told.body["revision"]) == (NAME, "gateway", 2, 2)
        assert "is not what was registered" in told.body["says"]
        said = httpx.post(f"{url}/predict/{NAME}", json=ROW).json()
        assert (said["version"], said["revision"]) == (1, 1)
        assert httpx.get(f"{url}/v2/models/{NAME}/versions/2/ready").status_code == 404
        # What comes next counts again.
        desk.version(3, Constant("good"))
        desk.route(3)
        wait(lambda: httpx.post(f"{url}/predict/{NAME}", json=ROW).json()["version"] == 3)
    assert len(desk.system.ledger.entries(kind="version.refused")) == 1


def test_what_cannot_be_loaded_is_refused_as_well(desk: Desk) -> None:
    folder = desk.folder / "empty"
    folder.mkdir()
    (folder / "MLmodel").write_text("nonsense")
    real = desk.version(2, Constant("x"), digest=models.digest(folder))
    shutil.rmtree(real)
    folder.rename(real)
    desk.route(2)
    with answering(desk.system.settings) as url:
        (told,) = wait(lambda: desk.system.ledger.entries(kind="version.refused"))
        assert "is no MLflow model" in told.body["says"]
        assert httpx.get(f"{url}/v2/health/ready").status_code == 503
        told = httpx.post(f"{url}/predict/{NAME}", json=ROW)
        says = f"Version 2 of {NAME} is to answer and was refused: the ledger says why. Nothing else answers."
        assert (told.status_code, told.json()["error"]) == (503, {"code": "refused", "says": says})
        assert httpx.get(f"{url}/v2/models/{NAME}/ready").status_code == 503
        assert httpx.post(f"{url}/predict/other", json=ROW).status_code == 404


def test_a_canary_that_crashes_is_unready_and_the_champion_falls_in(desk: Desk) -> None:
    desk.version(2, Raising("canary"))
    desk.route(1, canary=2, share=1.0)
    with answering(desk.system.settings) as url:
        ready(url)

        def ask(**more: Any) -> Any:
            return httpx.post(f"{url}/predict/{NAME}", json={**ROW, **more}).json()

        assert (ask(id="a")["version"], ask(id="b")["route"]) == (2, "canary")
        said = ask(id="c", age=120)
        assert (said["version"], said["route"], said["prediction"]) == (1, "fallback", "billing")
        told = httpx.get(f"{url}/v2/models/{NAME}/versions/2/ready")
        assert (told.status_code, told.json()["error"]) == (503, "Version 2 answers no more; the log says why.")
        assert httpx.get(f"{url}/v2/models/{NAME}/ready").status_code == 200
        assert ask(id="d")["route"] == "fallback"
    kept = desk.kept().set_index("id")
    assert kept["route"].to_dict() == {"a": "canary", "b": "canary", "c": "fallback", "d": "fallback"}
    (failed,) = desk.kept("shadows").to_dict("records")
    assert (failed["id"], failed["version"], failed["route"]) == ("c", "2", "canary")
    assert failed["error"] == "The model raised RuntimeError"  # it was asked with what is private, and may quote it
    assert {(one.version, one.route): (one.rows, one.failed) for one in split(desk.system.tables, NAME)} == {
        ("2", "canary"): (2, 1), ("1", "fallback"): (2, 0),
    }  # fmt: skip


@pytest.mark.parametrize("answered", [True, False])
def test_a_champion_that_crashes_is_unready_until_it_answers_again(
    desk: Desk, tmp_path: Path, answered: bool
) -> None:  # fmt: skip
    gate = tmp_path / "gate"
    desk.version(2, Breaking("x", gate))
    desk.route(2)
    with answering(desk.system.settings) as url:
        ready(url)

        def ask(age: float = 20) -> int:
            return httpx.post(f"{url}/predict/{NAME}", json={**ROW, "age": age}).status_code

        def states() -> set[int]:
            return {httpx.get(f"{url}/v2/models/{NAME}{path}/ready").status_code for path in ("", "/versions/2")}

        assert ask() == 200 if answered else True
        assert (ask(120), states()) == (503, {200})  # the row's fault, as far as is known
        gate.touch()
        assert [ask() for _ in range(2)] == [503] * 2
        assert states() == {503}
        assert httpx.get(f"{url}/v2/health/ready").status_code == 200
        gate.unlink()
        assert (ask(), states()) == (200, {200})


def test_a_canary_that_was_tampered_with_keeps_its_routes_from_counting(desk: Desk) -> None:
    next(desk.version(2, Constant("evil")).glob("*.pkl")).write_bytes(b"something else")
    with answering(desk.system.settings) as url:
        ready(url)
        desk.route(1, canary=2, share=1.0)
        wait(lambda: desk.system.ledger.entries(kind="version.refused"))
        said = httpx.post(f"{url}/predict/{NAME}", json=ROW).json()
        assert (said["version"], said["revision"], said["route"]) == (1, 1, "champion")


def test_a_shadow_that_was_tampered_with_is_left_out(desk: Desk) -> None:
    next(desk.version(2, Constant("evil")).glob("*.pkl")).write_bytes(b"something else")
    desk.version(3, Constant("next"))
    with answering(desk.system.settings) as url:
        ready(url)
        desk.route(3, shadow=2)
        wait(lambda: httpx.post(f"{url}/predict/{NAME}", json=ROW).json()["version"] == 3)
        assert httpx.get(f"{url}/v2/models/{NAME}/versions/2/ready").status_code == 404
    (told,) = desk.system.ledger.entries(kind="version.refused")
    assert (told.body["version"], desk.kept("shadows").empty) == (2, True)


def test_a_row_that_nobody_can_answer_is_no_fault_of_the_canary(desk: Desk) -> None:
    desk.version(3, Raising("champion"))
    desk.version(2, Raising("canary"))
    desk.route(3, canary=2, share=1.0)
    with answering(desk.system.settings) as url:
        ready(url)
        found = httpx.post(f"{url}/predict/{NAME}", json={**ROW, "age": 120})
        assert (found.status_code, found.json()["error"]["code"]) == (503, "model_failed")
        assert found.json()["error"]["says"] == (
            "Version 3 of support-desk cannot answer this: The model raised RuntimeError"
        )
        assert httpx.get(f"{url}/v2/models/{NAME}/versions/2/ready").status_code == 200


def test_one_bad_row_fails_nobody_else(desk: Desk, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    desk.version(2, SlowRaising("x", gate))
    desk.route(2)
    answers: dict[int, int] = {}
    with answering(desk.system.settings) as url:
        ready(url)

        def ask(number: int) -> None:
            age = 120.0 if number == 3 else 1.0
            answers[number] = httpx.post(f"{url}/predict/{NAME}", json={**ROW, "age": age}, timeout=30).status_code

        first = threading.Thread(target=ask, args=(0,))
        first.start()
        others = [threading.Thread(target=ask, args=(number,)) for number in range(1, 8)]
        for other in others:
            other.start()
        gate.touch()
        for thread in [first, *others]:
            thread.join()
    assert answers == {number: 503 if number == 3 else 200 for number in range(8)}


@pytest.mark.parametrize("kind", ["raising", "slow"])
def test_a_shadow_delays_and_fails_nothing(desk: Desk, tmp_path: Path, kind: str) -> None:
    gate = tmp_path / "gate"
    desk.version(2, Raising("shadow") if kind == "raising" else Slow("shadow", gate))
    desk.route(1, shadow=2)
    with answering(desk.system.settings) as url, httpx.Client(base_url=url) as client:
        ready(url)
        for number in range(40):
            age = 120 if number % 2 else 30
            found = client.post(f"/predict/{NAME}", json={**ROW, "age": age, "id": f"n{number}"})
            assert (found.status_code, found.json()["version"]) == (200, 1)
        many = client.post(f"/predict/{NAME}", json={"rows": [{**ROW, "age": 30}] * 2_000})
        assert many.status_code == 200
        text = client.get("/metrics").text
        gate.touch()
    assert desk.kept()["version"].tolist().count("1") == 2_040
    shadows = desk.kept("shadows").set_index("id")
    assert set(shadows["version"]) == {"2"}
    assert set(shadows["route"]) == {"shadow"}
    if kind == "raising":
        assert shadows.loc["n1", "error"] == "The model raised RuntimeError"
        assert (shadows.loc["n0", "prediction"], shadows.loc["n0", "score"]) == ("shadow", 0.75)
    else:
        assert 'became="dropped",system="support-desk",version="2"' in text
        assert len(shadows) == 40
