"""The ledger tells of every change, and of every change to itself."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from shelflife import events, ledger
from shelflife.errors import BadInput
from shelflife.events import TokenRevoked
from shelflife.store.schema import heads
from shelflife.store.schema import ledger as table
from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.workspace import Settings


def filled(system: System, count: int = 10) -> None:
    for number in range(count):
        with system.database.writing() as connection:
            ledger.append(connection, TokenRevoked(f"t{number}"), at=system.clock.now(), by="lead")


def test_a_ledger_that_nobody_touched_is_whole(system: System) -> None:
    filled(system)
    found = system.ledger.verify()
    assert (found.events, found.broken) == (12, None)
    assert system.ledger.verify(head=found.head).broken is None
    filled(system, 3)
    assert system.ledger.verify(head=found.head).broken is None
    assert not system.ledger.verify(head="0" * 63 + "1").whole


def test_a_whole_ledger_is_whole_beside_a_writer(system: System) -> None:
    with system.database.reading() as connection:
        before = ledger.latest(connection)
        system.tokens.make("meanwhile", ["read"], by="lead")
        verified = ledger.verify(connection)
        assert (verified.events, verified.broken) == (before, None)
        assert connection.execute(select(heads.c.number)).scalar() == before
    assert system.ledger.verify().events == before + 1


def test_who_reads_it_writes_to_it_in_the_same_transaction(system: System) -> None:
    with system.database.writing() as connection:
        for _ in range(2):
            assert not any(one.kind == "token.made" for one in ledger.entries(connection))
            assert ledger.verify(connection).whole
            ledger.append(connection, TokenRevoked("t"), at=system.clock.now(), by="lead")
    assert system.ledger.verify().events == 4


def test_processes_that_begin_at_once_make_one_workspace(settings: Settings, clock: ManualClock) -> None:
    at_once = threading.Barrier(4)

    def begin(_: int) -> None:
        at_once.wait(30)
        System(settings, clock).close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(begin, range(4)))
    opened = System(settings, clock)
    assert [entry.kind for entry in opened.ledger.entries()] == ["workspace.made"]
    opened.close()


@pytest.mark.parametrize("column", ["body", "by", "kind", "system", "at", "hash", "previous"])
def test_any_edit_is_found_where_it_is(system: System, column: str) -> None:
    filled(system)
    changed = {"at": system.clock.now() + timedelta(microseconds=1)}.get(column, "e" * 64 if column == "hash" else "x")
    with system.database.writing() as connection:
        connection.execute(update(table).where(table.c.number == 5).values({column: changed}))
    assert system.ledger.verify().broken in {5, 6}


@pytest.mark.parametrize("gone", [[1], [5], [5, 6], [12], [11, 12], list(range(1, 13))])
def test_what_was_taken_out_is_missed(system: System, gone: list[int]) -> None:
    filled(system)
    with system.database.writing() as connection:
        connection.execute(delete(table).where(table.c.number.in_(gone)))
    assert system.ledger.verify().broken == gone[0]


def test_what_was_put_elsewhere_is_found(system: System) -> None:
    filled(system)
    with system.database.writing() as connection:
        for old, new in ((5, 100), (6, 5), (100, 6)):
            connection.execute(update(table).where(table.c.number == old).values(number=new))
    assert system.ledger.verify().broken == 5


def test_what_was_added_by_another_hand_is_found(system: System) -> None:
    filled(system)
    with system.database.writing() as connection:
        last = connection.execute(select(table).order_by(table.c.number.desc())).first()
        assert last is not None
        again = dict(last._mapping) | {"number": last.number + 1, "previous": last.hash}
        again["hash"] = ledger._hash(
            again["number"], again["at"], again["kind"], None, again["by"], again["body"], last.hash
        )
        connection.execute(insert(table).values(again))
    assert "not written by Shelflife" in system.ledger.verify().says


def test_a_change_that_fails_leaves_no_event(system: System) -> None:
    before = system.ledger.verify()

    def fails() -> None:
        with system.database.writing() as connection:
            ledger.append(connection, TokenRevoked("t"), at=system.clock.now(), by="lead")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert system.ledger.verify() == before


def test_many_writers_make_one_chain(system: System) -> None:
    def write(_: int) -> None:
        with system.database.writing() as connection:
            ledger.append(connection, TokenRevoked("t"), at=system.clock.now(), by="lead")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(64)))
    assert (system.ledger.verify().events, system.ledger.verify().broken) == (66, None)


def test_events_are_chosen_and_written_as_cloudevents(system: System, clock: ManualClock) -> None:
    clock.advance(timedelta(days=1))
    filled(system, 2)
    assert [entry.kind for entry in system.ledger.entries(system="parcel-delay")] == ["plan.applied"]
    assert len(system.ledger.entries(since=clock.now())) == 2
    (applied,) = system.ledger.entries(kind="plan.applied")
    event = json.loads(json.dumps(applied.to_cloudevent()))
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "shelflife.plan.applied", "parcel-delay")
    assert event["data"]["number"] == 1
    assert all(name.isalnum() and name.islower() for name in event)


def test_every_event_has_a_name_of_its_own() -> None:
    kinds = [event.kind for event in events.Event.__subclasses__()]
    assert len(kinds) == len(set(kinds)) == len(events.kinds())


def test_the_head_is_in_one_row(system: System) -> None:
    filled(system)
    with system.database.reading() as connection:
        assert [row.number for row in connection.execute(select(heads))] == [12]


def test_plans_are_numbered_immutable_and_recorded(system: System, written, clock: ManualClock) -> None:
    from shelflife import plan

    assert system.apply(written, by="lead", because="again") == (1, False)
    stricter = plan.parse(written.text.replace("at_least: 0.85", "at_least: 0.9"))
    clock.advance(timedelta(days=1))
    assert system.apply(stricter, by="deputy", because="agreed") == (2, True)
    assert system.plan("parcel-delay").sha256 == stricter.sha256
    assert system.plan("parcel-delay", 1).text == written.text
    assert system.newest("parcel-delay")[:2] == (2, clock.now())
    last = system.ledger.entries(kind="plan.applied")[-1]
    assert (last.by, last.body["because"], last.body["number"]) == ("deputy", "agreed", 2)
    with pytest.raises(BadInput, match=r"There is no system 'parcel-dely'. Did you mean 'parcel-delay'\?"):
        system.plan("parcel-dely")
    with pytest.raises(BadInput, match="There is no plan 7 of 'parcel-delay'"):
        system.plan("parcel-delay", 7)


def test_tokens_count_until_they_are_revoked_or_expire(system: System, clock: ManualClock) -> None:
    secret, token = system.tokens.make("ci", ["observe"], only=["parcel-delay"], lasts=timedelta(days=1), by="lead")
    found = system.tokens.find(secret)
    assert found == token
    assert found.allows("observe", "parcel-delay")
    assert not found.allows("observe", "other")
    assert not found.allows("read", "parcel-delay")
    assert system.tokens.find(secret[:-1]) is None
    with system.database.reading() as connection:
        assert secret.split("_", 2)[2] not in str(connection.execute(select(table.c.body)).all())
    clock.advance(timedelta(days=1))
    assert system.tokens.find(secret) is None
    other, token = system.tokens.make("ci", ["read", "observe"], by="lead")
    system.tokens.revoke(token.id, by="lead")
    assert system.tokens.find(other) is None
    with pytest.raises(BadInput, match=r"no token .* that still counts"):
        system.tokens.revoke(token.id, by="lead")
    with pytest.raises(BadInput, match="What a token may: observe, read, act, decide; found 'rule'"):
        system.tokens.make("ci", ["rule"], by="lead")
    with pytest.raises(BadInput, match="There is no system 'parcel'"):
        system.tokens.make("ci", ["read"], only=["parcel"], by="lead")
