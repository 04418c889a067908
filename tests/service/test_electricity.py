"""A year of a real market as the reference, the rest streamed day by day over HTTP, outcomes a day late."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.service.conftest import serving

from shelflife import plan
from shelflife.drafting import draft
from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.workspace import Settings

DAY = timedelta(days=1)
A_DAY = 48  # rows
START = datetime(1996, 5, 7, tzinfo=UTC)
YEAR, DAYS = 365, 40


@pytest.fixture(scope="module")
def market(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[plan.Written, list[dict[str, Any]], list[str]]:
    """The plan that is drafted from the first year, all rows with what a model says of them, and the truth."""
    folder = Path(os.environ.get("SHELFLIFE_DATA", root.parent / "shared" / "data"))
    if not (folder / "electricity.parquet").is_file():
        pytest.skip(f"electricity.parquet is not in {folder}; set SHELFLIFE_DATA to the folder that has it")
    table = pq.read_table(folder / "electricity.parquet").slice(0, (YEAR + DAYS) * A_DAY)
    first = tmp_path_factory.mktemp("market") / "electricity.parquet"
    pq.write_table(table.slice(0, YEAR * A_DAY), first)
    written = plan.parse(draft(first, time="ts", target="price_up", origins=6).text)
    inputs = list(written.plan.model.inputs)
    x = np.column_stack([table[name].to_numpy() for name in inputs])
    y = table["price_up"].to_numpy()
    learnt = slice(0, 120 * A_DAY)
    said = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[learnt], y[learnt]).predict(x)
    times = table["ts"].to_pylist()
    rows = [
        {"id": str(n), "time": f"{times[n].isoformat()}Z", "prediction": str(said[n]),
         "inputs": dict(zip(inputs, x[n].tolist(), strict=True))}
        for n in range(len(table))
    ]  # fmt: skip
    return written, rows, [str(one) for one in y]


def stream(market: Any, home: Path, *, restart: int | None = None) -> list[tuple[str, date | None, date]]:
    """Every finding: what, since when, and when it was opened."""
    written, rows, truth = market
    name = written.plan.system
    clock = ManualClock(START + YEAR * DAY)
    system = System(Settings(home=home), clock)
    system.apply(written, by="lead", because="drafted")
    secret, _ = system.tokens.make("market", ["observe", "read"], by="lead")

    def posted(server: Any, url: str, days: range) -> None:
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=60) as client:

            def send(kind: str, some: list[dict[str, Any]]) -> None:
                answer = client.post(f"/api/v1/systems/{name}/{kind}", json=some)
                assert (answer.status_code, answer.json()["accepted"]) == (200, len(some))

            def outcomes(start: int, end: int) -> None:
                send("outcomes", [{"id": str(n), "outcome": truth[n]} for n in range(start, end)])

            if days.start == YEAR:
                reference = range(120 * A_DAY, YEAR * A_DAY)
                send("predictions", rows[reference.start : reference.stop])
                outcomes(reference.start, reference.stop)
                server.config.app.state.intake.drain()
                system.watching.take_reference(name, end=clock.now(), by="lead")
            for day in days:
                clock.advance(DAY)
                send("predictions", rows[day * A_DAY : (day + 1) * A_DAY])
                if day > YEAR:
                    outcomes((day - 1) * A_DAY, day * A_DAY)
                server.config.app.state.intake.drain()
                system.watching.look(name)

    cuts = [YEAR, *([] if restart is None else [YEAR + restart]), YEAR + DAYS]
    for start, end in itertools.pairwise(cuts):
        with serving(system) as (server, url):
            posted(server, url, range(start, end))
        system.close()
        system = System(system.settings, clock)
    found = system.watching.findings(ended=True)
    assert system.ledger.verify().broken is None
    system.close()
    return [(one.key, one.since and one.since.date(), one.opened.date(), one.recent["also"]) for one in reversed(found)]


def test_the_market_that_came_alive_is_found_and_a_restart_changes_nothing(market: Any, tmp_path: Path) -> None:
    found = stream(market, tmp_path / "one")
    assert stream(market, tmp_path / "two", restart=13) == found
    key, since, opened, also = found[0]
    alive = {f"SL201 {name}" for name in ("transfer", "vicprice", "vicdemand")}
    # They came alive in the last days of the reference, and passed all that it held within a week.
    assert len({key, *also} & alive) >= 2
    assert since is not None
    assert date(1997, 5, 7) <= since <= date(1997, 5, 14)
    assert opened - since <= timedelta(days=2)
