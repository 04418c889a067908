"""What was answered is kept: once, though processes are killed, private columns hidden, within bounds."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.gateway.answering import process
from tests.gateway.conftest import NAME, Breaking, Constant, Desk, Slow, answering, learned, ready, wait

from shelflife.observe.keep import check_fits
from shelflife.observe.rows import from_json
from shelflife.store.log import Log, adopted, records

# `SHELFLIFE_KILLS=300 pytest tests/gateway/test_log.py` is the whole trial.
KILLS = int(os.environ.get("SHELFLIFE_KILLS", "4"))
ROW: dict[str, Any] = {"channel": "mail", "age": 20.0, "weight": 60.5}


def test_a_process_that_is_killed_loses_no_answer(desk: Desk) -> None:
    rng = random.Random(os.environ.get("SHELFLIFE_SEED", "0"))
    answered: list[str] = []
    for kill in range(KILLS):
        with process(desk.system.settings) as (running, url):
            ready(url)

            def ask(place: int, kill: int = kill, url: str = url) -> None:
                with httpx.Client(base_url=url) as client:
                    for number in range(10_000):
                        name = f"{kill}-{place}-{number}"
                        try:
                            client.post(f"/predict/{NAME}", json={**ROW, "id": name}).raise_for_status()
                        except httpx.HTTPError:
                            return
                        answered.append(name)

            threads = [threading.Thread(target=ask, args=(place,)) for place in range(4)]
            enough = len(answered) + rng.randint(5, 400)
            for thread in threads:
                thread.start()
            wait(lambda enough=enough: len(answered) > enough)
            running.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
    found = Counter(desk.kept()["id"])
    assert set(answered) - found.keys() == set()
    assert [one for one, times in found.items() if times > 1] == []
    assert list(desk.system.settings.served_folder.glob("*/*.log")) == []
    assert desk.system.served().take() == 0


def test_an_answer_is_kept_with_all_that_is_known_of_it(desk: Desk) -> None:
    with answering(desk.system.settings) as url:
        ready(url)
        given = {**ROW, "id": "a", "key": "customer 7", "time": "2026-05-01T10:00:00Z"}
        said = httpx.post(f"{url}/predict/{NAME}", json=given).json()
        # What is handed over is taken while the gateway lives.
        wait(lambda: desk.kept().shape[0] == 1)
        httpx.post(f"{url}/predict/{NAME}", json={**ROW, "id": "b", "age": None, "weight": None})
        wait(lambda: desk.kept().shape[0] == 2)
    one, two = desk.kept().sort_values("id").to_dict("records")
    assert (one["id"], one["key"], one["version"], one["route"]) == ("a", "customer 7", "1", "champion")
    assert (one["revision"], one["prediction"], one["score"]) == (1, said["prediction"], said["score"])
    assert f"{one['time']:%F %H}" == "2026-05-01 10"
    assert 0 < one["latency"] < 10_000
    assert one["inputs"] == {"age": 20.0, "channel": "mail", "weight": hashlib.sha256(b"60.5").hexdigest()[:32]}
    assert (two["key"], two["inputs"]) == ("b", {"age": None, "channel": "mail", "weight": None})


def test_what_is_private_is_never_written(desk: Desk) -> None:
    with answering(desk.system.settings) as url:
        ready(url)
        httpx.post(f"{url}/predict/{NAME}", json={**ROW, "weight": 71.25}).raise_for_status()
        folder = desk.system.settings.served_folder
        written = b"".join(record for path in folder.glob("*/*.*") for record in records(path))
    assert np.float64(20).tobytes() in written
    assert np.float64(71.25).tobytes() not in written
    assert b"71.25" not in written
    assert hashlib.sha256(b"71.25").hexdigest()[:32].encode() in written


def test_what_is_private_is_in_no_error(desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gate = tmp_path / "gate"
    desk.version(2, Breaking("x", gate))
    desk.route(1, canary=2, share=1.0)
    with answering(desk.system.settings) as url:
        ready(url)
        gate.touch()
        httpx.post(f"{url}/predict/{NAME}", json={**ROW, "weight": 71.25}).raise_for_status()
        direct = {"inputs": [
            {"name": "channel", "datatype": "BYTES", "shape": [1], "data": ["mail"]},
            *({"name": name, "datatype": "FP64", "shape": [1], "data": [71.25]} for name in ("age", "weight")),
        ]}  # fmt: skip
        said = httpx.post(f"{url}/v2/models/{NAME}/versions/2/infer", json=direct)
        assert said.status_code == 503
        said = httpx.get(f"{url}/v2/models/{NAME}/versions/2/ready")
        assert (said.status_code, "71.25" in said.text) == (503, False)
    failed = desk.kept("shadows")["error"]
    assert len(failed) == 2
    assert not failed.str.contains("71.25", regex=False).any()
    assert "71.25" not in caplog.text


class Scoring(Constant):
    """A model whose scores are chances but for rounding, or none at all."""

    def predict_proba(self, rows: Any) -> Any:
        return np.array([[{20.0: 1 + 4e-16, 21.0: 3.0}.get(age, 0.75), 0.0] for age in rows["age"]])


def test_an_answer_is_kept_whatever_its_score(desk: Desk) -> None:
    desk.version(2, Scoring("sure"))
    desk.route(2)
    with answering(desk.system.settings) as url:
        ready(url)
        ages = {"rounded": 20.0, "strange": 21.0, "plain": 22.0}
        rows = [{**ROW, "age": age} for age in ages.values()]
        said = httpx.post(f"{url}/predict/{NAME}", json={"rows": rows, "ids": list(ages)}).json()["rows"]
        assert [one["score"] for one in said] == [1 + 4e-16, 3.0, 0.75]
    kept = desk.kept().set_index("id")["score"]
    assert kept.loc[["rounded", "plain"]].to_dict() == {"rounded": 1.0, "plain": 0.75}
    assert np.isnan(kept["strange"])


def test_rows_of_before_stay_beside_those_of_a_gateway(desk: Desk) -> None:
    """A table that was made without the columns of a gateway takes its rows, and is read as before."""
    system = desk.system
    shape = system.shape(NAME, "predictions")
    given = {"id": "old", "time": "2026-05-01T10:00:00Z", "inputs": {"age": 3}}
    old = from_json([given], shape, now=system.clock.now()).table.drop_columns(["key", "route", "revision", "latency"])
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", old).result()
    check_fits(system.tables, system.plan(NAME).plan)
    with answering(system.settings) as url:
        ready(url)
        httpx.post(f"{url}/predict/{NAME}", json={**ROW, "id": "new"}).raise_for_status()
    found = desk.kept().set_index("id")
    assert found["route"].fillna("none").to_dict() == {"old": "none", "new": "champion"}


def test_past_its_bounds_it_says_come_again(desk: Desk, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    desk.version(2, Slow("slow", gate))
    desk.route(2)
    with answering(desk.system.settings, most_waiting=3) as url:
        ready(url)
        found: list[httpx.Response] = []

        def ask() -> None:
            found.append(httpx.post(f"{url}/predict/{NAME}", json=ROW, timeout=30))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        wait(lambda: len(found) == 5)
        assert {(one.status_code, one.json()["error"]["code"], one.headers["retry-after"]) for one in found} == {
            (503, "busy", "1")
        }
        gate.touch()
        for thread in threads:
            thread.join()
        assert Counter(one.status_code for one in found) == {503: 5, 200: 3}


def test_a_full_log_answers_nothing_until_it_was_taken(desk: Desk) -> None:
    with answering(desk.system.settings, most_bytes=2_000) as url, httpx.Client(base_url=url) as client:
        ready(url)

        def ask() -> httpx.Response:
            return client.post(f"/predict/{NAME}", json=ROW)

        wait(lambda: ask().status_code == 503)
        said = ask()
        assert (said.json()["error"]["code"], said.headers["retry-after"]) == ("log_full", "5")
        wait(lambda: desk.kept().shape[0] > 0)
        wait(lambda: ask().status_code == 200)


def test_one_process_at_a_time_takes_what_the_living_hand_over(tmp_path: Path) -> None:
    living, gone = Log(tmp_path), Log(tmp_path)
    for number in range(3):
        living.write([b"handed over %d" % number])
        hand_over = living.turn()
        assert hand_over is not None
        hand_over()
    living.write([b"open"])
    gone.write([b"left"])
    os.close(gone._lock)  # as the system does for a process that is gone
    with adopted(tmp_path, living=True) as mine, adopted(tmp_path, living=True) as theirs:
        assert theirs == []
        found = [record for segment in mine for record in records(segment)]
    assert sorted(found) == [b"handed over 0", b"handed over 1", b"handed over 2", b"left"]
    assert living.turn() is not None
    os.close(gone._file)
    living.close()


def test_shadows_are_sent_by_nobody(desk: Desk) -> None:
    from tests.service.conftest import running

    secret, _ = desk.system.tokens.make("tests", ["observe"], by="lead")
    with running(desk.system) as url:
        found = httpx.post(
            f"{url}/api/v1/systems/{NAME}/shadows", json=[{"id": "a"}], headers={"Authorization": f"Bearer {secret}"}
        )
    assert found.status_code == 422


@pytest.mark.parametrize("rows", [1, 500])
def test_a_table_of_answers_is_the_same_for_one_row_and_for_many(desk: Desk, rows: int) -> None:
    model = learned()
    given = [{"age": float(n % 60), "channel": ["mail", "phone"][n % 2], "weight": None} for n in range(rows)]
    with answering(desk.system.settings) as url:
        ready(url)
        said = httpx.post(f"{url}/predict/{NAME}", json={"rows": given}).json()["rows"]
    import pandas as pd

    frame = pd.DataFrame(given).assign(weight=float("nan"))
    assert [one["prediction"] for one in said] == model.predict(frame).tolist()
    kept = desk.kept().set_index("id")["prediction"].to_dict()
    assert kept == {one["id"]: one["prediction"] for one in said}
