"""A finding is dated by when it began, whether somebody looked every day, once after months, or files came late."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shelflife import plan
from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.views.detail import detail
from shelflife.views.lifeline import lifeline
from shelflife.views.status import statuses
from shelflife.web import picture
from shelflife.workspace import Settings

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
REFERENCE, AFTER, LIVE = 28, 20, 36  # days; of watching, that after which something changes, and all
ROWS = 100
MODEL = {"name": "shop", "task": "classification", "prediction": "said", "score": "score",
         "inputs": {"amount": "numeric"}, "outcome": {"name": "true", "within": "3d"}}  # fmt: skip
PRICES = {"name": "shop", "task": "regression", "prediction": "said", "inputs": {"amount": "numeric"},
          "outcome": {"name": "true", "within": "3d"}}  # fmt: skip


class Shop:
    """A shop of which something changes on a known day."""

    def __init__(self, home: Path, *, change: str = "", model: dict[str, Any] = MODEL, **performance: Any) -> None:
        self.home, self.change, self.model = home, change, model
        home.mkdir(exist_ok=True)
        self.rng = np.random.default_rng(3)
        self.system = System(Settings(home=home / "workspace"), ManualClock(START))
        self.apply(performance or {"metric": "accuracy", "at_least": 0.77})

    def apply(self, performance: dict[str, Any], **changed: Any) -> None:
        self.system.apply(plan.parse(json.dumps({
            "shelflife": 1, "system": "shop", "title": "Shop", "objective": {"why": "Test", "owner": "lead"},
            "people": {"lead": {"name": "Lead", "role": "owner", "email": "lead@example.com"}},
            "model": {**self.model, **changed},
            "feeds": {"rows": {"fresh_within": "2d", "owner": "lead"}},
            "watch": {"bucket": "1d", "false_alarms": {"at_most": 1, "per": "180d"}, "drift": {"tolerance": 0.05},
                      "performance": performance, "adoption": {"overrides": {"at_most": 0.1}}},
        })), by="lead", because="test")  # fmt: skip

    @property
    def began(self) -> datetime:
        return START + (REFERENCE + AFTER) * DAY

    def advance(self, days: float) -> None:
        assert isinstance(self.system.clock, ManualClock)
        self.system.clock.advance(days * DAY)

    def day(self, day: int) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Predictions of a day, what turns out true of them, and what people say."""
        rng, changed = self.rng, day >= REFERENCE + AFTER
        score, amount = rng.random(ROWS), rng.normal(10, 2, ROWS)
        score = 0.2 + 0.6 * score if changed and self.change == "unsure" else score
        ids = [f"{day}-{place}" for place in range(ROWS)]
        first = np.datetime64((START + day * DAY).replace(tzinfo=None), "us")
        times = pa.array(first + np.arange(ROWS) * np.timedelta64(600, "s"), pa.timestamp("us", "UTC"))
        made = {"id": ids, "time": times, "amount": amount}
        if self.model is PRICES:
            off = rng.normal(0, 1, ROWS) * (3 if changed and self.change == "wrong" else 1)
            if changed and self.change == "one":
                off[0] = 1000.0
            made["prediction"], true = amount, pa.array(amount + off)
        else:
            missed = rng.random(ROWS) < 4 * (0.4 if changed and self.change == "wrong" else 0.2) * np.minimum(
                score, 1 - score
            )
            yes = score > 0.5
            made |= {"score": score, "prediction": np.where(yes, "yes", "no")}
            true = pa.array(np.where(yes ^ missed, "yes", "no"))
        share = 0.3 if changed and self.change == "overridden" else 0.05
        some = [one for one, drawn in zip(ids, rng.random(ROWS), strict=True) if drawn < share]
        next_day = pa.array([START + (day + 1) * DAY] * len(some), pa.timestamp("us", "UTC"))
        said = pa.table({"id": some, "prediction_id": some, "what": ["override"] * len(some), "time": next_day})
        return pa.table(made), pa.table({"id": ids, "outcome": true}), said

    def send(self, kind: Any, *rows: pa.Table) -> None:
        pq.write_table(pa.concat_tables(rows), self.home / "rows.parquet")
        assert not self.system.observe("shop", kind, self.home / "rows.parquet", by="tests").rejected

    def refer(self) -> None:
        self.system.watching.take_reference("shop", end=START + REFERENCE * DAY, by="lead")

    def by_files(self, days: int = REFERENCE + LIVE) -> None:
        """All at once, as a first-time user does it: predictions, then outcomes without a time."""
        made, true, said = zip(*(self.day(day) for day in range(days)), strict=True)
        self.advance(days)
        self.send("predictions", *made)
        self.send("outcomes", *true)
        self.send("feedback", *said)
        self.refer()

    def day_by_day(self) -> None:
        """Some days of watching by file, then a look every day; outcomes are known the day after."""
        first = REFERENCE + 3
        self.by_files(first)
        before: list[pa.Table] = []
        for day in range(first, REFERENCE + LIVE):
            made, true, said = self.day(day)
            self.advance(1)
            self.send("predictions", made)
            if before:
                self.send("outcomes", *before)
            self.send("feedback", said)
            before = [true]
            self.system.watching.look("shop")

    def found(self) -> dict[str, datetime | None]:
        return {one.code: one.since for one in self.system.watching.findings("shop", ended=True)}


@pytest.mark.parametrize("often", [True, False], ids=["every day", "once"])
@pytest.mark.parametrize(
    ("change", "codes"), [("wrong", {"SL301", "SL303"}), ("unsure", {"SL302"}), ("overridden", {"SL402"})]
)
def test_what_began_months_ago_is_dated_by_when_it_began(
    tmp_path: Path, change: str, codes: set[str], often: bool
) -> None:
    shop = Shop(tmp_path / "a", change=change)
    if often:
        shop.day_by_day()
    else:
        shop.by_files()
        assert shop.system.watching.look("shop").buckets == LIVE
    found = shop.found()
    assert codes <= found.keys() | ({"SL302"} if "SL301" in found and change == "unsure" else set())
    for code in codes & found.keys():
        assert abs((found[code] or START) - shop.began) <= 3 * DAY, (code, found[code])
    shop.system.close()


def test_outcomes_in_a_file_without_times_are_evidence_when_they_were_due(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "a", change="wrong", model=PRICES, metric="mae", at_most=1.2)
    shop.by_files()
    shop.system.watching.look("shop")
    found = shop.found()
    assert abs((found["SL301"] or START) - shop.began) <= 3 * DAY
    line = lifeline(shop.system, "shop")
    assert line is not None
    assert line.latest is not None
    assert line.latest.known == ROWS
    # 3 times the mean size of a normal error; nine tenths of all lie below twice the largest of the reference's.
    shown = [one.observed for one in line.points[AFTER:] if one.observed is not None]
    assert np.mean(shown) == pytest.approx(3 * np.sqrt(2 / np.pi), rel=0.05)
    assert {one.promised for one in line.points} == {1.2}
    shop.system.close()


def test_outcomes_that_came_too_late_are_told_and_not_counted(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "a", change="wrong")
    true = []
    for day in range(REFERENCE + 40):
        made, outcomes, _ = shop.day(day)
        shop.advance(1)
        shop.send("predictions", made)
        true.append(outcomes)
        if day == REFERENCE + 3:
            shop.send("outcomes", *true[:REFERENCE])
            shop.refer()
        if day >= REFERENCE + 3:
            shop.system.watching.look("shop")
    shop.send("outcomes", *true[REFERENCE:-5])
    shop.advance(1)
    shop.system.watching.look("shop")
    assert "SL301" not in shop.found()
    (told,) = statuses(shop.system, "shop")
    assert told.model.state == "unknown"
    assert told.model.reason == (
        "3,500 of 3,500 outcomes came after they were due and are no evidence: the plan says that they are known within"
        " 3d."
    )
    # Another reference with the end of the one before counts what is known by now.
    shop.refer()
    shop.system.watching.look("shop")
    assert abs((shop.found()["SL301"] or START) - shop.began) <= 3 * DAY
    shop.system.close()


@pytest.mark.parametrize(
    ("performance", "says"),
    [({"metric": "mae", "at_most": 2.0}, "Mean error is 1"), ({"metric": "rmse", "at_most": 2.0}, "Root mean square")],
)
def test_what_the_picture_shows_and_what_the_row_says_agree(
    tmp_path: Path, performance: dict[str, Any], says: str
) -> None:
    """One error a day of a thousand makes the mean ten times what is promised; as bounded evidence it is nothing."""
    shop = Shop(tmp_path / "a", change="one", model=PRICES, **performance)
    shop.by_files()
    shop.system.watching.look("shop")
    assert "SL301" not in shop.found()
    line = lifeline(shop.system, "shop")
    assert line is not None
    assert line.latest is not None
    assert (line.latest.observed or 0) > 2.0 == line.latest.promised
    assert picture.says(line).startswith(says)
    row = next(one for one in detail(shop.system, "shop").watched if one.what.startswith("Performance"))
    assert (row.seen.state, row.seen.reason) == (
        "ageing", "above it lately, by no more than chance or a few large errors may do",
    )  # fmt: skip
    shop.system.close()


def test_what_the_plan_does_not_promise_is_not_called_promised(tmp_path: Path) -> None:
    """Held to the errors of the reference: the figure is another than that of the plan."""
    shop = Shop(tmp_path / "a", change="wrong", model=PRICES, metric="rmse", at_most=1.5)
    shop.by_files()
    shop.system.watching.look("shop")
    found = next(one for one in shop.system.watching.findings("shop") if one.code == "SL301")
    assert "; the reference allows at most " in found.says
    assert found.promised.endswith(", by the reference")
    line = lifeline(shop.system, "shop")
    assert line is not None
    assert line.latest is not None
    assert line.latest.observed == pytest.approx(3, rel=0.3)
    assert picture.says(line).startswith("Root mean square error is ")
    assert picture.says(line).endswith("; promised is at most 1.5")
    shop.system.close()


def test_a_feed_is_as_new_in_its_row_as_on_the_label(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "a")
    shop.by_files()
    shop.system.watching.look("shop")
    for days, state in ((1.25, "fresh"), (1, "ageing"), (1, "unknown")):
        found = detail(shop.system, "shop")
        row = next(one for one in found.watched if one.what == "Feed: rows")
        assert row.seen.state == found.status.feeds.state == state
        shop.advance(days)
    assert not statuses(shop.system, "shop")[0].known
    shop.system.close()
