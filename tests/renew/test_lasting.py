"""A plan that renews by the date until which its champion is good: that is measured, told, and comes once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.renew import living
from tests.renew.living import DAY, DESK, Desk

from shelflife.renew.lasting import measured, options
from shelflife.renew.registry import Version
from shelflife.renew.training import Job
from shelflife.testing import plans
from shelflife.views.versions import serving

ON_ONE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
APART = 2 * DAY
PLAN: dict[str, Any] = {
    "when": [{"age": "best_before"}], "challenger": None, "data": {"windows": ["5d"], "validate": "2d"},
}  # fmt: skip


def first(here: Desk, days: int) -> Version:
    """Its first version, of so many days, made and approved."""
    here.live(days, tend=False)
    here.system.renewing.start(DESK, because="the first version", by="analyst")
    here.tend()
    here.system.renewing.decide(here.newest.number, approve=True, person="lead", reason="")
    return here.system.versions.one(DESK, 1)


@ON_ONE
def test_a_champion_past_its_best_before_is_renewed_once(desk: Callable[..., Desk]) -> None:
    here = desk(moves=0.03, **PLAN)
    began = here.clock.now() + 28 * DAY
    version = first(here, 28)
    # By 0.03 of a deviation a day they lose a point a day or so.
    until = version.best_before
    assert until is not None
    assert DAY <= until - (began - APART) <= 5 * DAY
    assert version.lasts.startswith("Models of intent last about ")
    _, done = here.system.renewing.renewal(here.newest.number)
    (chosen,) = [one.evidence["says"] for one in done if one.name == "choose"]
    assert f"registered as version 1, best before {until:%Y-%m-%d}" in chosen
    while here.clock.now() < until:
        assert len(here.system.renewing.renewals(DESK)) == 1
        here.live()
    assert serving(here.system, DESK).version == version
    here.live(4)
    (reason,) = here.newest.reasons
    assert reason.says == f"the champion was best before {until:%Y-%m-%d}"
    here.system.renewing.cancel(here.newest.number, reason="not now", by="lead")
    here.live(2)
    assert len(here.system.renewing.renewals(DESK)) == 2


@ON_ONE
def test_models_that_do_not_age_have_no_such_date(desk: Callable[..., Desk]) -> None:
    version = first(desk(**PLAN), 24)
    assert version.best_before is None
    assert version.lasts.startswith("No expiry seen in ")


@ON_ONE
def test_a_history_that_is_too_short_is_told_and_no_challenger_fails_for_it(desk: Callable[..., Desk]) -> None:
    version = first(desk(**PLAN), 7)
    assert version.best_before is None
    assert version.lasts.startswith("Until when it is good could not be measured: ")


@ON_ONE
def test_one_that_is_over_before_it_answers_is_told_and_renewed(desk: Callable[..., Desk]) -> None:
    here = desk(moves=0.05, **{**PLAN, "data": {"windows": ["5d"], "validate": "6d"}})
    version = first(here, 28)
    assert version.best_before is not None
    assert version.best_before < here.clock.now()
    _, done = here.system.renewing.renewal(here.newest.number)
    (chosen,) = [one.evidence["says"] for one in done if one.name == "choose"]
    assert "which is over before it can answer anybody" in chosen
    here.live(4)
    (reason,) = here.newest.reasons
    assert reason.what == "age"


def test_models_that_learn_from_what_cannot_be_measured_are_not_measured_without_it(tmp_path: Path) -> None:
    plan = plans.minimal(**{
        "model.inputs": {"Time": "numeric", "shape": "vector"}, "model.train": "tests.renew.apprentices:sloped",
    })  # fmt: skip
    draw = np.random.default_rng(0)
    ages = draw.normal(size=2000)
    rows = pa.table({
        "time": pa.array(np.datetime64("2026-01-01", "us") + np.arange(2000) * np.timedelta64(1, "h")), "Time": ages,
        "shape": [[1.0, 2.0]] * 2000, "outcome": np.where(ages > 0, "card", "billing"),
    })  # fmt: skip
    job = Job(plan, rows, tmp_path / "job", lasts=options(plan, "accuracy", "14d"))
    found = measured(job, datetime(2026, 5, 1, tzinfo=UTC))
    assert found == {
        "lasts": {"says": "Until when it is good could not be measured: Models were trained without shape."}
    }
    fewer = plans.minimal(**{"model.inputs": {"Time": "numeric"}, "model.train": "tests.renew.apprentices:sloped"})
    found = measured(replace(job, plan=fewer), datetime(2026, 5, 1, tzinfo=UTC))
    assert found["lasts"]["says"].startswith("No expiry seen in ")  # though tables call it as the time


def test_a_plan_that_judges_by_another_measure_is_measured_as_lifespan_does() -> None:
    plan = living.written(challenger={"every": "1w", "better_by": 0.07}).plan
    assert options(plan, "accuracy", "8d")["tolerance"] == 0.07
    assert options(plan, "f1", "8d") == {
        "target": "intent", "window": "8d", "label_delay": "1d", "metric": None, "tolerance": None,
    }  # fmt: skip
