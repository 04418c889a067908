"""A plan that renews by the date until which its champion is good: that is measured, told, and comes once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.renew.living import DAY, DESK, Desk

from shelflife.renew.registry import Version
from shelflife.views.versions import serving

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
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
    assert serving(here.system, DESK).best_before == until
    here.live(4)
    (reason,) = here.newest.reasons
    assert reason.says == f"the champion was best before {until:%Y-%m-%d}"
    here.system.renewing.cancel(here.newest.number, reason="not now", by="lead")
    here.live(2)
    assert len(here.system.renewing.renewals(DESK)) == 2


def test_models_that_do_not_age_have_no_such_date(desk: Callable[..., Desk]) -> None:
    version = first(desk(**PLAN), 24)
    assert version.best_before is None
    assert version.lasts.startswith("No expiry seen in ")


def test_a_history_that_is_too_short_is_told_and_no_challenger_fails_for_it(desk: Callable[..., Desk]) -> None:
    version = first(desk(**PLAN), 7)
    assert version.best_before is None
    assert version.lasts.startswith("Until when it is good could not be measured: ")
