"""After it was promoted a version is compared with the one before it, which answers beside, unheard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.renew.living import DESK, Desk

from shelflife.routes import Routes, current

NEVER = 10**9
# What it does to the database is asked of both elsewhere.
pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def routes(desk: Desk) -> Routes:
    with desk.system.database.reading() as connection:
        return current(connection)[DESK]


def bake(desk: Desk) -> dict[str, Any]:
    _, done = desk.system.renewing.renewal(desk.newest.number)
    return next(one.evidence for one in done if one.name == "bake")


@pytest.fixture
def baking(desk: Callable[..., Desk]) -> Desk:
    """A desk whose second version was good in the canary, and answers everybody since today."""
    here = desk(turns=15, challenger={"every": "50w", "better_by": 0.02}, gates=["beats_baseline"],
                data={"windows": ["5d"], "validate": "4d"})  # fmt: skip
    here.first()
    here.live(11, tend=False)
    here.system.renewing.start(DESK, because="the relation turned", by="analyst")
    here.tend()
    here.system.renewing.decide(here.newest.number, approve=True, person="lead", reason="")
    here.tend()
    here.live(2)  # the canary, of whose answers outcomes are due a day later
    found = routes(here)
    assert (found.champion, found.canary, found.shadow) == (2, None, 1)
    assert here.newest.says == "Version 2 is watched closely"
    return here


def test_one_that_was_good_in_the_canary_and_turns_bad_goes_back(baking: Desk) -> None:
    baking.turns = NEVER  # what it has learnt is true no more, and what the one before it knows is true again
    baking.live(1)
    assert routes(baking).champion == 2  # no outcome of what both answered is due yet
    baking.live(1)
    assert baking.newest.state == "rolled_back"
    assert baking.newest.says.startswith("Version 2 went back: its error is")
    found = routes(baking)
    assert (found.champion, found.shadow) == (1, None)
    evidence = bake(baking)
    assert evidence["worse_by"] > 0.1
    assert evidence["others"] == 600  # of two days, each answered by both


def test_one_that_stays_good_stays(baking: Desk) -> None:
    baking.live(2)
    assert baking.newest.state == "promoted"
    found = routes(baking)
    assert (found.champion, found.shadow) == (2, None)
    evidence = bake(baking)
    assert evidence["worse_by"] < -0.1  # the one before it errs more, as its answers beside show
    assert (evidence["rows"], evidence["others"], evidence["outcomes"]) == (600, 600, 300)
    assert evidence["says"] == "Version 2 answered 600 requests, and nothing says that it is worse"


def test_with_nothing_beside_it_nothing_was_compared_and_that_is_said(baking: Desk) -> None:
    baking.beside = lambda rows: None  # type: ignore[method-assign] # of a gateway that is not ours
    baking.live(2)
    assert baking.newest.state == "promoted"
    evidence = bake(baking)
    assert (evidence["others"], evidence["worse_by"]) == (0, None)
    assert evidence["says"] == (
        "Version 2 answered 600 requests; version 1 answered none beside it that its errors could be compared with"
    )
