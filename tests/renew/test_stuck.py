"""What does not go on by itself, and what to do about it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.renew.living import DESK, written

from shelflife.loop import Loop, tasks_of
from shelflife.renew import approval, run
from shelflife.renew.stuck import Stuck
from shelflife.store.schema import tasks
from shelflife.system import System
from shelflife.testing.clock import ManualClock

MINUTE = timedelta(minutes=1)
pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture
def system(system: System) -> System:
    """A desk that renews, and that somebody looks after; it has no rows yet."""
    system.apply(written(when=[], challenger=None), by="lead", because="it renews")
    Loop(system).tick()
    return system


def stuck(system: System) -> list[tuple[str, str, str]]:
    return [(one.what, one.says, one.do) for one in system.renewing.stuck()]


def test_nothing_is(system: System) -> None:
    assert system.renewing.stuck() == []
    system.renewing.start(DESK, because="x", by="lead")
    assert system.renewing.stuck() == []  # it has just begun


def test_nobody_leads(system: System, clock: ManualClock) -> None:
    clock.advance(11 * MINUTE)
    assert system.renewing.stuck() == [
        Stuck("The loop", "Nobody does what is due since 2026-05-01 12:00.", "Start `shelflife up`.")
    ]


def test_a_task_fails(system: System) -> None:
    with system.database.writing() as connection:
        connection.execute(tasks.update().where(tasks.c.name == "watch").values(failed="The disk is full."))
    ((what, says, _),) = stuck(system)
    assert (what, says) == (f"{DESK}: watch", "It fails: The disk is full.")


def test_it_waits_for_people(system: System, clock: ManualClock) -> None:
    made = system.renewing.start(DESK, because="x", by="analyst")
    plan = system.plan(DESK).plan
    with system.database.writing() as connection:
        approval.ask(
            connection, plan, made.plan, renewal=made.number, digest="a", report="b", now=clock.now(), by="renew"
        )
    ((what, says, do),) = stuck(system)
    assert what == f"Renewal 1 of {DESK}"
    assert says.endswith(", until 2026-05-04 12:00.")
    assert do == "shelflife renewals show 1, then approve or reject it."
    system.renewing.decide(1, approve=True, person="lead", reason="")
    assert stuck(system) == []


def test_it_stands_still(system: System, clock: ManualClock) -> None:
    made = system.renewing.start(DESK, because="x", by="analyst")
    clock.advance(11 * MINUTE)
    standing = (f"Renewal 1 of {DESK}", "It stands still since 2026-05-01 12:00.")
    assert standing in {one[:2] for one in stuck(system)}
    with system.database.writing() as connection:
        run.end(connection, made, "cancelled", "x", now=clock.now(), by="lead")
    assert {one[0] for one in stuck(system)} == {"The loop"}


def test_renewals_are_tended_by_the_loop(system: System, clock: ManualClock) -> None:
    plan = system.plan(DESK).plan
    assert ("renew", MINUTE) in {(one.verb, one.every) for one in tasks_of(plan)}
    system.renewing.start(DESK, because="x", by="analyst")
    clock.advance(MINUTE)
    assert "renew" in {one.verb for one in Loop(system).tick()}
    system.renewing.join()
    assert system.renewing.renewals(DESK)[0].state == "held"  # it has no rows to learn from
