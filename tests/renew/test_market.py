"""Weeks of a real market around the day when it came alive: noticed, renewed, approved, canaried, promoted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.renew.market import DAY, NAME, START, Market, data, measured
from tests.renew.market import WEEKS as ALL

from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.workspace import Settings

BEGIN, HISTORY, WEEKS = 46, 8, 7
TRAINER = "tests.renew.apprentices:trees"


@pytest.fixture
def path() -> Path:
    found = data()
    if found is None:
        pytest.skip("electricity.parquet is not there; set SHELFLIFE_DATA to the folder that has it")
    return found


@pytest.fixture
def market(path: Path, tmp_path: Path, mlflow_file: Path) -> Iterator[Market]:
    """The market on the first day after its history, open."""
    clock = ManualClock(START + (BEGIN + HISTORY) * 7 * DAY)
    system = System(Settings(home=tmp_path / "workspace"), clock)
    shutil.copy(mlflow_file, system.settings.home)
    table = pq.read_table(path).slice(BEGIN * 7 * 48, (HISTORY + WEEKS + 2) * 7 * 48)
    made = Market(
        system, table, clock, history=HISTORY, train=TRAINER, when=["performance", "relation", "drift"],
        challenger=None, data={"windows": ["4w"], "validate": "1w"},
    )  # fmt: skip
    with made.open():
        yield made
    assert system.ledger.verify().broken is None
    system.close()


def test_the_market_is_renewed_by_its_plan_and_a_person(path: Path, market: Market) -> None:
    bad, first = market.first()
    assert (bad.state, "beats_baseline: fail" in bad.says) == ("rejected", True)
    assert (first.state, first.challenger) == ("waiting", 2)  # it answers everybody, and is watched
    while market.day < 7 * (HISTORY + WEEKS):  # nothing starts a renewal but what is found
        market.live()
    first, *noticed = reversed([one for one in market.renewals if one.number >= first.number])
    assert first.state == "promoted"
    assert all(reason.finding is not None for one in noticed for reason in one.reasons)
    promoted = [one for one in noticed if one.state == "promoted"]
    assert promoted
    bold = market.dare()
    assert (bold.state, "its error is" in bold.says) == ("rolled_back", True), bold.says
    given = {one.body["renewal"] for one in market.system.ledger.entries(system=NAME, kind="approval.given")}
    assert given == set(market.approved) >= {one.number for one in (first, bold, *promoted)}
    rows = market.system.tables.open(NAME, "predictions").to_pandas()
    asked = rows[rows["route"].notna()]
    assert len(asked) == len(market.wrong)  # each answer of the gateway, once
    assert set(asked.loc[asked["version"] == str(bold.challenger), "route"]) == {"canary"}
    for one in promoted:
        assert set(asked.loc[asked["version"] == str(one.challenger), "route"]) == {"canary", "champion"}


def test_most_of_the_loss_is_recovered_with_few_promotions(full: bool, path: Path) -> None:
    if not full:
        pytest.skip("two years take an hour: SHELFLIFE_GUARANTEES=full pytest tests/renew/test_market.py")
    found, others = measured(path, ALL, print)
    assert others.recovered(found.wrong) >= 0.7
    assert found.promotions <= 40
    assert found.wrong < others.best(found.promotions)
