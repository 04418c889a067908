"""What does not go on by itself, and what to do about it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.renew.living import DESK, written

from shelflife.durable import Durable, Ended, legs
from shelflife.errors import BadInput
from shelflife.loop import Loop, tasks_of
from shelflife.renew import approval, run
from shelflife.renew.stuck import Stuck
from shelflife.store.schema import tasks
from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.workspace import Settings

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


def test_what_stopped_a_leg_is_told_until_the_run_has_gone_on(settings: Settings) -> None:
    url = f"sqlite:///{settings.home}/legs.db"
    broken = [True]

    def do(run: str, place: int) -> Ended:
        if broken.pop() if broken else False:
            raise OSError("the disk is full")
        return "over"

    durable = Durable(url, do, lambda run: True)
    try:
        for told in (["renewal-1"], []):
            assert durable.go("renewal-1", 0)
            durable.join()
            found = legs(url)
            assert [leg.run for leg in found] == told
            assert all("the disk is full" in str(leg.error) for leg in found)
    finally:
        durable.close()


def test_a_decision_of_the_last_moment_stands(system: System, clock: ManualClock) -> None:
    made = system.renewing.start(DESK, because="x", by="analyst")
    with system.database.writing() as connection:
        approval.ask(
            connection, system.plan(DESK).plan, made.plan, renewal=made.number, digest="a", report="b",
            now=clock.now(), by="renew",
        )  # fmt: skip
    system.renewing.decide(made.number, approve=True, person="lead", reason="")
    with (
        system.database.writing() as connection,
        pytest.raises(BadInput, match="was decided on in the last moment"),
    ):
        approval.expire(connection, DESK, made.number, now=clock.now(), by="renew")


def test_each_reason_is_told_once(system: System) -> None:
    made = system.renewing.start(DESK, because="complaints", by="analyst")
    for _ in range(2):
        system.renewing.start(DESK, because="a new price", by="lead")
    reasons = system.renewing.renewal(made.number)[0].reasons
    assert [(one.says, one.late) for one in reasons] == [("complaints", False), ("a new price", True)]
    (told,) = system.ledger.entries(system=DESK, kind="renewal.joined")
    assert (told.body["reasons"], told.by) == (["a new price"], "lead")


def test_what_speaks_against_a_renewal_is_told_once(system: System, clock: ManualClock) -> None:
    for says in ('finding 1: "größe" is missing', 'finding 1: "größe" is missing', 'finding 1: "größe" is miss'):
        system.renewing._renewer._hold(DESK, says, clock.now())
    assert len(list(system.ledger.entries(system=DESK, kind="renewal.held"))) == 2
