"""A canary goes back on evidence, and hardly ever without reason, however often it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shelflife.observe.keep import keep
from shelflife.observe.rows import from_arrow
from shelflife.plan.spec import AbortIf, WorseBy
from shelflife.renew.live import LEVEL, Live, abort, differences, evidence, seen
from shelflife.system import System

TRIALS = 200


def stream(draw: np.random.Generator, share: float, ours: float, theirs: float, rows: int) -> np.ndarray:
    own = draw.random(rows) < share
    wrong = draw.random(rows) < np.where(own, ours, theirs)
    return differences(zip(own.tolist(), wrong.astype(float).tolist(), strict=True))


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_one_that_is_worse_by_what_is_allowed_is_aborted_at_most_at_the_level(share: float) -> None:
    draw = np.random.default_rng(int(share * 100))
    # The most that was ever held against it: as if one had looked after each outcome.
    rung = sum(evidence(stream(draw, share, 0.22, 0.20, 3000), 0.02) >= np.log(1 / LEVEL) for _ in range(TRIALS))
    assert rung / TRIALS <= LEVEL + 2 * np.sqrt(LEVEL / TRIALS)


def test_one_that_is_much_worse_is_found_within_some_hundred_answers() -> None:
    draw = np.random.default_rng(0)
    found = [evidence(stream(draw, 0.25, 0.5, 0.2, 1200), 0.02) >= np.log(1 / LEVEL) for _ in range(100)]
    assert np.mean(found) >= 0.95


def test_what_it_could_not_answer_and_what_took_too_long_send_it_back() -> None:
    none = np.empty(0)
    asked = AbortIf(error=WorseBy(worse_by=0.02), latency_p95=timedelta(milliseconds=50))
    assert abort(Live(100, 900, 0, none, none, np.full(100, 10.0)), asked) is None
    slow = np.where(np.arange(200) % 4 == 0, 90.0, 10.0)
    assert abort(Live(200, 900, 0, none, none, slow), asked) == "50 of 200 answers took longer than 50 ms"
    assert abort(Live(5, 9, 1, none, none, none), None) == "it could not answer 1 of 6 requests"
    worse = np.ones(60)
    said = abort(Live(60, 60, 0, worse, none, none), asked)
    assert said == "its error is 100.0 points worse on 60 rows; at most 2 were allowed"


def test_answers_as_slow_as_allowed_send_it_back_at_most_at_the_level_however_often_one_looks() -> None:
    draw, none = np.random.default_rng(0), np.empty(0)
    asked = AbortIf(latency_p95=timedelta(milliseconds=50))
    rung = 0
    for _ in range(TRIALS):
        took = np.where(draw.random(2000) < 0.05, 90.0, 10.0)
        looks = (Live(rows, rows, 0, none, none, took[:rows]) for rows in range(20, 2001, 60))
        rung += any(abort(one, asked) is not None for one in looks)
    assert rung / TRIALS <= LEVEL + 2 * np.sqrt(LEVEL / TRIALS)


Answer = tuple[str, str, str, str | None]  # id, version, route, and what was said or None where it could not


@pytest.fixture
def served(system: System) -> Callable[..., Live]:
    """What is seen of version 2 beside 1 after some answers, all of whose outcomes are known."""
    started = system.clock.now()

    def send(kind: Any, table: pa.Table) -> None:
        read = from_arrow(table, system.shape("support-desk", kind), now=system.clock.now())
        assert not read.rejected
        keep(system.database, system.tables, source=kind, system="support-desk", kind=kind, rows=read.table,
             now=system.clock.now())  # fmt: skip

    def make(*answers: Answer) -> Live:
        parts: dict[str, list[dict[str, Any]]] = {"predictions": [], "shadows": [], "outcomes": []}
        for name, version, route, said in answers:
            unheard = said is None or route == "shadow"
            row = {"id": name, "time": started, "version": version, "route": route, "prediction": said}
            row |= {"error": "ValueError" if said is None else None} if unheard else {"latency": 5.0}
            parts["shadows" if unheard else "predictions"].append(row)
        parts["outcomes"] = [{"id": name, "outcome": "a"} for name in sorted({one[0] for one in answers})]
        for kind, rows in parts.items():
            if rows:
                send(kind, pa.Table.from_pylist(rows))
        now = started + timedelta(hours=1)
        return seen(system.tables, system.plan("support-desk").plan, version=2, beside=1, since=started, now=now)

    return make


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_was_asked_past_the_routes_counts_for_nothing(served: Callable[..., Live]) -> None:
    found = served(
        ("1", "2", "canary", "a"), ("2", "1", "champion", "b"), ("3", "2", "direct", "b"), ("4", "2", "direct", None)
    )
    assert (found.rows, found.others, found.crashed, found.known) == (1, 1, 0, 1)
    assert found.errors.tolist() == [-1.0]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_neither_version_can_answer_is_the_fault_of_the_request(served: Callable[..., Live]) -> None:
    found = served(
        ("1", "2", "canary", None),
        ("1", "1", "fallback", None),
        ("2", "2", "canary", None),
        ("2", "1", "fallback", "a"),
    )
    assert found.crashed == 1


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_champion_before_it_is_heard_beside(served: Callable[..., Live]) -> None:
    found = served(("1", "2", "champion", "a"), ("1", "1", "shadow", "b"), ("2", "2", "champion", "a"))
    assert (found.rows, found.known) == (2, 2)
    assert found.errors.tolist() == [-1.0]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_several_versions_say_of_an_erased_request_is_not_kept(
    system: System, served: Callable[..., Live]
) -> None:  # fmt: skip
    served(("1", "2", "canary", None), ("1", "1", "fallback", None), ("2", "2", "canary", None))
    assert system.erase("support-desk", "1", by="lead") == 3  # with its outcome
    read = from_arrow(
        pa.table({"id": ["1"], "time": [system.clock.now()], "version": ["3"], "error": ["ValueError"]}),
        system.shape("support-desk", "shadows"), now=system.clock.now(),
    )  # fmt: skip
    assert not read.rejected
    kept = keep(system.database, system.tables, source="late", system="support-desk", kind="shadows", rows=read.table,
                now=system.clock.now())  # fmt: skip
    assert kept.rows == 0
