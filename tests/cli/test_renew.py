"""Renewals by their commands: explained, started, shown, decided on, and gone back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert
from tests.cli.commands import run
from tests.renew.living import DESK, written

from shelflife.cli.workspace import somebody
from shelflife.loop import Loop
from shelflife.renew import approval
from shelflife.store.schema import findings
from shelflife.system import System
from shelflife.workspace import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a desk that renews."""
    system = System(Settings(home=tmp_path / ".shelflife"))
    system.apply(written(when=[], challenger=None), by="lead", because="first")
    system.close()
    return tmp_path


@pytest.fixture
def system(folder: Path) -> Iterator[System]:
    """The same, opened."""
    opened = System(Settings(home=folder / ".shelflife"))
    yield opened
    opened.close()


def asked(system: System, number: int) -> None:
    """A renewal asks for a decision."""
    with system.database.writing() as connection:
        approval.ask(
            connection, system.plan(DESK).plan, 1, renewal=number, digest="a" * 64, report="b" * 64,
            now=system.clock.now(), by="renew",
        )  # fmt: skip


def test_explained_and_nothing_is_done(folder: Path, system: System) -> None:
    done = run(folder, "renew", DESK, "--explain")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert [line.split(": ")[0].split(". ")[1] for line in lines] == [
        one.name for one in system.renewing.explain(DESK)
    ]  # fmt: skip
    assert lines[0] == " 1. snapshot: fix the predictions whose outcome is due and known; keep the newest 4d apart"
    assert run(folder, "renewals").stdout == "Nothing was renewed yet.\n"


def test_what_speaks_against_it_is_explained(folder: Path, system: System) -> None:
    with system.database.writing() as connection:
        now = system.clock.now()
        connection.execute(
            insert(findings).values(
                system=DESK, code="SL601", key="feed tickets", severity="page", kind="freshness", state="open",
                opened=now, seen=now, says="No rows since Monday", promised="2h", plan=1, estimated=False, evidence={},
                recent=[],
            )
        )  # fmt: skip
    lines = run(folder, "renew", DESK, "--explain").stdout.splitlines()
    assert lines[-1] == "! A renewal would not help before the feed is repaired (finding 1: No rows since Monday)."


def test_started_listed_and_shown(folder: Path) -> None:
    done = run(folder, "renew", DESK, "--because", "complaints", "--by", "analyst")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"✓ Renewal 1 of {DESK}. `shelflife up` carries it on")
    every = run(folder, "renewals")
    assert every.exit_code == 0
    assert every.stdout.startswith(f"   1  {DESK}  ")
    (told,) = json.loads(run(folder, "renewals", "--json").stdout)
    assert (told["number"], told["by"]) == (1, "analyst")
    assert [one["says"] for one in told["reasons"]] == ["complaints"]
    shown = run(folder, "renewals", "show", "1").stdout
    assert shown.startswith(f"Renewal 1 of {DESK}: running.")
    assert "  because complaints\n" in shown
    assert "  ·  snapshot\n" in shown
    assert json.loads(run(folder, "renewals", "show", "1", "--json").stdout)["steps"] == []
    again = run(folder, "renew", DESK, "--because", "more complaints", "--by", "lead")  # of one system one at a time
    assert again.stdout.startswith(f"✓ Renewal 1 of {DESK} was under way already (begun); your reason is added to it.")
    assert run(folder, "renew", DESK, "--because", "more complaints").exit_code == 0  # said once
    shown = run(folder, "renewals", "show", "1").stdout
    assert "  because complaints\n  because more complaints (came later)\n  ·" in shown
    (told,) = run(folder, "ledger", "show", "--kind", "renewal.joined").stdout.splitlines()
    assert '"reasons": ["more complaints"]' in told
    missing = run(folder, "renewals", "show", "9")
    assert missing.exit_code == 2
    assert "There is no renewal 9; `shelflife renewals` shows all." in missing.output
    assert run(folder, "renew", "nobody").exit_code == 2
    assert run(folder, "renewals", "--system", "nobody").exit_code == 2


def test_decided_on_by_who_may(folder: Path, system: System) -> None:
    run(folder, "renew", DESK, "--by", "deputy")
    assert "has not asked for a decision" in run(folder, "renewals", "approve", "1", "--as", "lead").output
    asked(system, 1)
    for person, says in (("analyst", "the plan asks owner"), ("deputy", "asks for somebody else to approve it")):
        done = run(folder, "renewals", "approve", "1", "--as", person)
        assert done.exit_code == 2
        assert says in " ".join(done.output.split())
    done = run(folder, "renewals", "approve", "1", "--as", "lead")
    assert (done.exit_code, done.stdout) == (0, "✓ lead approved renewal 1. `shelflife up` rolls it out.\n")
    (given,) = system.ledger.entries(kind="approval.given")
    assert given.by == "lead"
    # Before the loop has gone on with it nobody is told that it is waited for.
    every = run(folder, "renewals")
    assert every.exit_code == 0
    assert "running: lead approved version" in every.stdout
    assert "stands still" not in run(folder, "doctor").stdout


def test_a_login_that_started_it_does_not_approve_it_as_somebody(folder: Path, system: System) -> None:
    run(folder, "renew", DESK)  # by the login
    asked(system, 1)
    done = run(folder, "renewals", "approve", "1", "--as", "lead")
    assert done.exit_code == 2
    assert f"'lead' decides here as {somebody(None)!r}, who started this renewal" in " ".join(done.output.split())
    assert run(folder, "renewals", "reject", "1", "--as", "lead", "--reason", "not yet").exit_code == 0


def test_rejected_with_a_reason(folder: Path, system: System) -> None:
    run(folder, "renew", DESK, "--by", "analyst")
    asked(system, 1)
    assert run(folder, "renewals", "reject", "1", "--as", "lead").exit_code == 2
    assert run(folder, "renewals", "reject", "1", "--as", "lead", "--reason", " ").exit_code == 2
    assert run(folder, "renewals", "reject", "1", "--as", "lead", "--reason", "not yet").exit_code == 0
    (told,) = system.ledger.entries(kind="approval.rejected")
    assert told.body["reason"] == "not yet"


def test_cancelled_once(folder: Path, system: System) -> None:
    run(folder, "renew", DESK)
    done = run(folder, "renewals", "cancel", "1", "--reason", "after Easter", "--by", "lead")
    assert (done.exit_code, done.stdout) == (0, "✓ Renewal 1 is over.\n")
    again = run(folder, "renewals", "cancel", "1", "--reason", "again")
    assert again.exit_code == 2
    assert "Renewal 1 is over (cancelled)" in again.output
    assert len(list(system.ledger.entries(kind="renewal.ended"))) == 1


def test_going_back_where_nothing_answers(folder: Path) -> None:
    done = run(folder, "rollback", DESK, "--because", "complaints")
    assert done.exit_code == 2
    assert f"No version of '{DESK}' answers requests" in done.output
    assert run(folder, "rollback", DESK).exit_code == 2  # why?


def test_the_doctor_says_what_is_stuck(folder: Path, system: System) -> None:
    done = run(folder, "doctor")
    assert done.exit_code == 1
    assert done.stdout == "The loop: Nobody does what is due.\n  Start `shelflife up`.\n"
    Loop(system).tick()
    done = run(folder, "doctor")
    assert (done.exit_code, done.stdout) == (0, "Nothing is stuck.\n")
    run(folder, "renew", DESK, "--by", "analyst")
    asked(system, 1)
    done = run(folder, "doctor")
    assert done.exit_code == 1
    assert "shelflife renewals show 1, then approve or reject it." in done.stdout
