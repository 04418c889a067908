"""The log of a million rows, as it lies on the disk, is gone through again by the routes of their time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.gateway.conftest import NAME, Constant, Desk

from shelflife import routes
from shelflife.gateway.asked import Asked
from shelflife.gateway.following import Serving
from shelflife.gateway.journal import Journal
from shelflife.gateway.serving import Loaded, Waiting
from shelflife.gateway.split import replayed
from shelflife.models import Model
from shelflife.routes import Routes
from shelflife.store.answers import unpacked
from shelflife.store.log import adopted, records

ROWS = 1_000_000
Line = tuple[str, float, str, str]  # key, revision, version and route of a row


def answered(desk: Desk, history: list[Routes], rows: int) -> None:
    """Have requests of so many rows each chosen for, answered and logged, while the routes change."""
    journal = Journal(desk.system.settings.served_folder)
    journal.start()
    plan = desk.system.plan(NAME).plan
    done = threading.Semaphore(0)
    one, two = (
        Loaded(
            NAME, version, Model({"age": "numeric"}, "classification", Constant("x")), plan, journal,
            delivered=lambda group: done.release(len(group)),
        )
        for version in (1, 2)
    )  # fmt: skip
    by = {1: one, 2: two, None: None}
    columns = {"age": np.full(rows, 20.0)}
    each = ROWS // rows // len(history) // 2
    for part in range(2 * len(history)):
        now = history[part // 2]
        champion = by[now.champion]
        assert champion is not None
        serving = Serving(now, champion, by[now.canary])
        two.broken = "broken" if part == 5 else None  # in the midst of the second canary
        for number in range(part * each, (part + 1) * each):
            # A customer comes again, under other routes too.
            asked = Asked(lambda _: columns, [f"n{number}/{row}" for row in range(rows)], f"c{number % 30_011}", 0)
            route, loaded = serving.choose(asked.key)
            loaded.put(Waiting(asked, columns, route, now.revision, time.perf_counter(), lambda _: None))
        for _ in range(each):
            done.acquire()
    for loaded in (one, two):
        loaded.stop()
        loaded.join()
    journal.close()


def logged(folder: Path) -> Iterator[Line]:
    """The rows of a log as they were written."""
    with adopted(folder) as segments:
        for segment in segments:
            for record in records(segment):
                said = unpacked(record)
                for count, _, key, route, revision, _ in said["requests"]:
                    for _ in range(count):
                        yield key, revision, said["version"], route


def wrong(history: Iterable[Routes], lines: Any) -> int:
    return replayed(history, *zip(*lines, strict=True))


@pytest.fixture
def history(desk: Desk) -> list[Routes]:
    """Routes as the database has them: of a canary that grows and becomes the champion."""
    desk.route(1, canary=2, share=0.05)
    desk.route(1, canary=2, share=0.25)
    desk.route(2)
    with desk.system.database.reading() as connection:
        return routes.history(connection, NAME)


def test_a_log_of_a_million_rows_is_gone_through_again_exactly(desk: Desk, history: list[Routes]) -> None:
    answered(desk, history, 20)
    lines = list(logged(desk.system.settings.served_folder))
    assert len(lines) == ROWS
    assert wrong(history, lines) == 0
    rows = Counter((int(revision), version, route) for _, revision, version, route in lines)
    assert rows[1, "1", "champion"] == rows[4, "2", "champion"] == ROWS / 4
    assert rows[2, "2", "canary"] == pytest.approx(0.05 * ROWS / 4, rel=0.1)
    # Half of those of the canary were the champion's while it was broken.
    assert rows[3, "2", "canary"] == pytest.approx(0.25 * ROWS / 8, rel=0.1)
    assert rows[3, "1", "fallback"] == pytest.approx(0.25 * ROWS / 8, rel=0.1)
    # Each row that another one answered is found, and routes that were others.
    for place in (0, 333_333, 777_777, ROWS - 1):
        key, revision, version, route = lines[place]
        lines[place] = key, revision, "1" if version == "2" else "2", route
    assert wrong(history, lines) == 4
    assert wrong([replace(one, share=one.share + 0.001) for one in history], lines) > 100
