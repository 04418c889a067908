"""What a renewal that comes to nothing leaves: the champion that was there before it, and nobody beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.renew.living import DESK, written

from shelflife import plan
from shelflife.errors import BadInput
from shelflife.loop import Loop
from shelflife.renew import registry, rollout, run
from shelflife.renew.mlflows import Registry
from shelflife.renew.registry import Version
from shelflife.renew.run import Renewal
from shelflife.routes import Routes, current
from shelflife.store.schema import renewals
from shelflife.system import System
from shelflife.testing import plans
from shelflife.views.versions import serving

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture
def system(system: System, register: Callable[..., Version]) -> System:
    """A desk that renews, and that has had two champions."""
    system.apply(written(), by="lead", because="it renews")
    for number in (1, 2):
        register(number)
        promote(system, number)
    return system


def promote(system: System, number: int) -> None:
    with system.database.writing() as connection:
        rollout.promote(connection, DESK, number, beside=False, because="x", now=system.clock.now(), by="lead")


def started(system: System, challenger: int) -> Renewal:
    """A renewal that has come so far as to have a challenger."""
    made = system.renewing.start(DESK, because="x", by="analyst")
    with system.database.writing() as connection:
        connection.execute(renewals.update().values(challenger=challenger))
        registry.point(connection, DESK, "challenger", challenger, by="renew", because="x", now=system.clock.now())
    return made


def routed(system: System) -> Routes:
    with system.database.reading() as connection:
        found = current(connection)[DESK]
        pointed = registry.pointer(connection, DESK, "champion")
        assert pointed is not None
        assert pointed.version == found.champion
        assert registry.pointer(connection, DESK, "challenger") is None
    return found


def test_going_back_twice_is_no_way_to_what_one_went_back_from(
    system: System, register: Callable[..., Version]
) -> None:  # fmt: skip
    register(3)
    promote(system, 3)
    for before in (2, 1):
        assert serving(system, DESK).earlier == before
        assert system.renewing.roll_back(DESK, reason="worse", by="lead") == before
    assert serving(system, DESK).earlier is None
    with pytest.raises(BadInput, match="has had no champion before version 1"):
        system.renewing.roll_back(DESK, reason="worse", by="lead")
    assert system.renewing.roll_back(DESK, 3, reason="it was the feed", by="lead") == 3


def test_going_back_is_no_way_around_gates_and_approval(system: System, register: Callable[..., Version]) -> None:
    register(3)
    with pytest.raises(BadInput, match="Version 3 of 'support-desk' never was champion; only a renewal lets it answer"):
        system.renewing.roll_back(DESK, 3, reason="I like it", by="lead")
    assert routed(system).champion == 2


def test_going_back_to_what_answers_already_ends_no_renewal(system: System) -> None:
    made = system.renewing.start(DESK, because="x", by="analyst")
    with pytest.raises(BadInput, match="Version 2 of 'support-desk' answers all requests already; there is nothing to"):
        system.renewing.roll_back(DESK, 2, reason="worse", by="lead")
    assert system.renewing.renewal(made.number)[0].state == "running"
    assert routed(system).champion == 2


def test_who_is_asked_about_a_challenger_hears_that_it_is_over_when_somebody_goes_back(
    system: System, register: Callable[..., Version]
) -> None:  # fmt: skip
    register(3)
    made = started(system, 3)
    assert system.renewing.roll_back(DESK, reason="worse since Monday", by="lead") == 1
    assert system.renewing.renewal(made.number)[0].state == "rolled_back"
    briefs = [one.body for one in system.ledger.entries(system=DESK, kind="brief.written")]
    told = {(one["to"], one["occasion"], one["renewal"]): one["what"] for one in briefs}
    of = {occasion: {to for to, one, _ in told if one == occasion} for _, occasion, _ in told}
    assert of["rejected"] == {"lead", "analyst"}
    assert of["rolled_back"] == {"lead", "agents", "analyst"}
    assert "Version 3 " in told["lead", "rejected", made.number]
    assert "Version 2 " in told["lead", "rolled_back", None]  # which was of another renewal
    assert {one["why"] for one in briefs if one["occasion"] != "renewal_started"} == {"Worse since Monday."}


@pytest.mark.parametrize("step", ["canary 30 %", "bake"])
@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_the_champion_before_it_answers_again(
    system: System, register: Callable[..., Version], step: str, how: str
) -> None:  # fmt: skip
    register(3)
    made = started(system, 3)
    with system.database.writing() as connection:
        if step == "bake":
            rollout.promote(connection, DESK, 3, beside=True, because="x", now=system.clock.now(), by="renew")
        else:
            rollout.change(
                connection, DESK, champion=2, canary=3, share=0.3, because="x", now=system.clock.now(), by="renew"
            )
    if how == "cancelled":
        system.renewing.cancel(made.number, reason="enough", by="lead")
    else:
        place = [one.name for one in system.renewing.planned(made.number)].index(step)

        def fails(going: Any) -> Any:
            raise RuntimeError(going.step.name)

        rooms = system.renewing._renewer._rooms
        assert run.do(rooms, {"canary": fails, "bake": fails}, made.name, place) == "over"
    assert system.renewing.renewal(made.number)[0].state == how
    found = routed(system)
    assert (found.champion, found.canary, found.shadow) == (2, None, None)


def test_a_renewal_goes_on_though_the_newest_plan_renews_no_more(system: System) -> None:
    made = system.renewing.start(DESK, because="x", by="analyst")
    system.apply(plan.parse(plans.text()), by="lead", because="renewed by hand from now on")
    assert "renew" in {one.verb for one in Loop(system).tick()}
    system.renewing.join()
    assert system.renewing.renewal(made.number)[0].state == "held"  # it has no rows to learn from


def test_aliases_follow_also_where_nothing_is_renewed(system: System) -> None:
    system.apply(plan.parse(plans.text()), by="lead", because="renewed by hand from now on")
    system.renewing.tend(DESK)
    number = system.versions.one(DESK, 2).registered
    assert Registry(system.settings).alias(system.versions.one(DESK, 2).model, "champion") == number
