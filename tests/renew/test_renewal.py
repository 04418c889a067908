"""Renewals from their reasons to their end, on each database, with real trainings and a clock that is moved by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from tests.renew.living import DESK, Desk, written

from shelflife.errors import BadInput
from shelflife.renew import registry, run, tending
from shelflife.rights import Denied
from shelflife.routes import current
from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.workspace import Settings

# What no database has a part in.
ON_ONE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
ON_SERVER = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)


def champion(desk: Desk) -> int | None:
    with desk.system.database.reading() as connection:
        found = registry.pointer(connection, DESK, "champion")
        routed = current(connection).get(DESK)
    assert (found and found.version) == (routed and routed.champion)
    return found.version if found else None


def events(desk: Desk, kind: str) -> list[dict[str, Any]]:
    return [one.body for one in desk.system.ledger.entries(system=DESK, kind=kind)]


def test_a_relation_that_turned_is_learnt_anew_asked_for_canaried_and_promoted(desk: Callable[..., Desk]) -> None:
    here = desk(turns=17, challenger={"every": "4d", "better_by": 0.02})
    here.first()
    assert champion(here) == 1
    assert here.system.renewing.renewals(DESK)[-1].state == "promoted"
    good = here.wrong[-1]
    here.live(13)  # the relation turns; challengers are trained every fourth day
    waits = here.newest
    assert waits.state == "waiting"
    version = waits.challenger
    assert waits.says == f"Waits for owner to approve version {version}"
    bad = here.wrong[-1]
    assert bad > good + 0.1
    assert champion(here) == 1  # nothing is promoted without a person
    _, done = here.system.renewing.renewal(waits.number)
    verdicts = next(one for one in done if one.name == "gates").evidence["verdicts"]
    assert {one["state"] for one in verdicts} == {"pass"}
    (asked,) = [one for one in events(here, "approval.asked") if one["renewal"] == waits.number]
    waits_until = datetime.fromisoformat(asked["expires"])
    here.system.renewing.decide(waits.number, approve=True, person="deputy", reason="the figures are clear")
    here.tend()
    with here.system.database.reading() as connection:
        routed = current(connection)[DESK]
    assert (routed.champion, routed.canary, routed.share) == (1, version, 0.3)
    here.live(4)
    assert here.system.renewing.renewal(waits.number)[0].state == "promoted"
    assert champion(here) == version
    assert here.wrong[-1] < good + 0.05
    (given,) = [one for one in events(here, "approval.given") if one["renewal"] == waits.number]
    assert given["digest"] == here.system.versions.one(DESK, version).digest
    assert [one.version for one in here.system.versions.pointers(DESK) if one.alias == "champion"] == [1, version]
    told = {(one.to, one.occasion): one for one in here.system.renewing.briefs(waits.number)}
    assert list(told) == [
        ("lead", "renewal_started"), ("lead", "approval_needed"), ("lead", "promoted"), ("agents", "promoted"),
    ]  # fmt: skip
    assert told["lead", "approval_needed"].until == waits_until
    agents = told["agents", "promoted"]
    (moved,) = [one.since for one in here.system.versions.pointers(DESK) if one.alias == "champion" and one.version > 1]
    since = f"{moved:%Y-%m-%d %H:%M} UTC"
    assert (
        agents.what
        == f"Version {version} of {here.plan.title} answers all requests in place of version 1 since {since}."
    )
    assert agents.why.startswith("Challengers are trained every 4d; accuracy ")
    assert "% of recent rows get another answer" in agents.means
    assert agents.until is not None


@ON_ONE
def test_a_challenger_that_is_no_better_is_kept_in_the_wings(desk: Callable[..., Desk]) -> None:
    here = desk(challenger={"every": "3d", "better_by": 0.02})
    here.first()
    before = len(here.system.renewing.renewals(DESK))
    here.live(4)
    found = here.system.renewing.renewals(DESK)
    assert len(found) > before
    assert {one.state for one in found[: len(found) - before]} == {"kept"}
    assert champion(here) == 1
    assert len(here.system.versions.every(DESK)) == 1  # what stays in the wings is not registered


@ON_ONE
def test_who_decides_is_the_plans_to_say(desk: Callable[..., Desk]) -> None:
    here = desk()
    here.live(12, tend=False)
    renewing = here.system.renewing
    made = renewing.start(DESK, because="the first", by="lead")
    with pytest.raises(BadInput, match="has not asked for a decision"):
        renewing.decide(made.number, approve=True, person="deputy", reason="")
    here.tend()
    for person, says in (("analyst", "the plan asks owner"), ("nobody", "the plan asks owner"),
                         ("lead", "asks for somebody else to approve it")):  # fmt: skip
        with pytest.raises(Denied, match=says):
            renewing.decide(made.number, approve=True, person=person, reason="")
    with pytest.raises(BadInput, match="A rejection needs a reason"):
        renewing.decide(made.number, approve=False, person="deputy", reason=" ")
    renewing.decide(made.number, approve=False, person="deputy", reason="not before Easter")
    with pytest.raises(BadInput, match="was rejected by deputy, and ends at the next look"):
        renewing.cancel(made.number, reason="never mind", by="lead")
    with pytest.raises(BadInput, match="was rejected by deputy"):
        renewing.decide(made.number, approve=True, person="deputy", reason="")
    here.tend()
    assert here.newest.state == "rejected"
    assert here.newest.says == "deputy rejected it: not before Easter"
    assert champion(here) is None


@ON_ONE
def test_nobody_who_decides_in_time_is_reminded_and_then_it_is_over(desk: Callable[..., Desk]) -> None:
    here = desk(challenger={"every": "50w"})
    here.live(12, tend=False)
    here.system.renewing.start(DESK, because="the first", by="analyst")
    here.tend()
    here.live(2)
    assert len(events(here, "approval.reminded")) == 1
    here.live(1)
    assert here.newest.state == "expired"
    over = here.system.renewing.briefs(here.newest.number)[-2:]
    assert [(one.to, one.occasion) for one in over] == [("lead", "rejected"), ("analyst", "rejected")]
    assert over[0].why.startswith("Owner did not decide by ")
    with pytest.raises(BadInput, match="was expired"):
        here.system.renewing.decide(here.newest.number, approve=True, person="lead", reason="")
    assert champion(here) is None


@ON_ONE
def test_gates_stop_a_bad_one_and_say_which(desk: Callable[..., Desk]) -> None:
    here = desk(train="tests.renew.apprentices:unseeded")
    here.live(12, tend=False)
    here.system.renewing.start(DESK, because="the first", by="analyst")
    here.tend()
    assert here.newest.state == "rejected"
    assert "reproducible: fail (Trained again, it answers" in here.newest.says
    assert champion(here) is None
    _, lead, analyst = here.system.renewing.briefs(here.newest.number)
    assert (lead.to, lead.occasion, lead.do) == ("lead", "rejected", "Nothing.")
    assert lead.what.endswith("is not rolled out. Nothing answers.")
    assert analyst.do.startswith("Read what was found in renewal 1")


@ON_ONE
def test_one_that_learnt_noise_is_stopped_by_the_gates(desk: Callable[..., Desk]) -> None:
    here = desk(train="tests.renew.apprentices:parrot")
    here.live(12, tend=False)
    here.system.renewing.start(DESK, because="the first", by="analyst")
    here.tend()
    assert here.newest.state == "rejected"
    assert "beats_baseline: " in here.newest.says
    assert champion(here) is None


@ON_ONE
def test_a_trainer_that_raises_fails_its_renewal_alone(desk: Callable[..., Desk]) -> None:
    here = desk(train="tests.renew.apprentices:stubborn")
    here.live(12, tend=False)
    here.system.renewing.start(DESK, because="the first", by="analyst")
    here.tend()
    assert here.newest.state == "failed"
    assert "this trainer never learns" in here.newest.says


@ON_ONE
def test_one_that_is_good_offline_and_bad_live_goes_back(desk: Callable[..., Desk]) -> None:
    here = desk(turns=17, challenger={"every": "4d", "better_by": 0.02})
    here.first()
    here.live(13)
    asked = here.newest
    here.turns = 10**9  # and what it has learnt is true no more
    here.system.renewing.decide(asked.number, approve=True, person="deputy", reason="")
    here.tend()
    here.live(4)
    found, _ = here.system.renewing.renewal(asked.number)
    assert found.state == "rolled_back"
    assert f"Version {asked.challenger} went back: its error is" in found.says
    assert champion(here) == 1
    (told,) = events(here, "version.rolled_back")
    assert (told["version"], told["before"]) == (1, asked.challenger)
    briefs = here.system.renewing.briefs(asked.number)
    assert [one.to for one in briefs if one.occasion == "rolled_back"] == ["lead", "agents", "analyst"]
    assert briefs[-1].why.startswith("Its error is")


@ON_ONE
def test_a_first_version_that_cannot_answer_still_answers_and_is_not_said_to_have_gone_back(
    desk: Callable[..., Desk],
) -> None:
    here = desk()
    here.live(12, tend=False)
    here.system.renewing.start(DESK, because="the first version", by="analyst")
    here.tend()
    here.system.renewing.decide(here.newest.number, approve=True, person="lead", reason="")
    assert (here.newest.state, here.newest.says) == ("running", "lead approved version 1")
    here.tend()
    here.failed("odd", 1)
    here.tend()
    assert here.newest.state == "failed"
    says = "Version 1 still answers, as nothing served before that one could go back to: it could not answer 1 of "
    assert here.newest.says.startswith(says)
    assert champion(here) == 1
    assert events(here, "version.rolled_back") == []
    last = here.system.renewing.briefs(here.newest.number)[-1]
    assert (last.to, last.occasion) == ("agents", "promoted")
    assert last.why.startswith(says)


@ON_ONE
def test_a_first_version_that_answers_stays_when_its_renewal_is_cancelled_and_nobody_is_told_otherwise(
    desk: Callable[..., Desk],
) -> None:
    here = desk()
    here.live(12, tend=False)
    here.system.renewing.start(DESK, because="the first version", by="analyst")
    here.tend()
    here.system.renewing.decide(here.newest.number, approve=True, person="lead", reason="")
    here.tend()
    here.system.renewing.cancel(here.newest.number, reason="enough was seen", by="lead")
    assert champion(here) == 1
    last = here.system.renewing.briefs(here.newest.number)[-1]
    assert (last.occasion, last.why) == ("promoted", "Enough was seen.")


@ON_SERVER
def test_by_hand_an_earlier_version_answers_at_once_and_stays(desk: Callable[..., Desk]) -> None:
    here = desk(turns=17, challenger={"every": "4d", "better_by": 0.02})
    here.first()
    with pytest.raises(BadInput, match="has had no champion before version 1"):
        here.system.renewing.roll_back(DESK, reason="no", by="lead")
    here.live(13)
    asked = here.newest
    here.system.renewing.decide(asked.number, approve=True, person="deputy", reason="")
    here.tend()
    here.live(1)
    assert champion(here) == 1  # of what the canary answered no outcome is due yet
    here.live(1)
    assert champion(here) == asked.challenger
    assert here.system.renewing.roll_back(DESK, reason="complaints", by="lead") == 1
    assert champion(here) == 1
    here.tend()
    assert champion(here) == 1
    assert here.system.renewing.renewal(asked.number)[0].state == "rolled_back"
    lead = next(one for one in here.system.renewing.briefs(asked.number) if one.occasion == "rolled_back")
    assert lead.what.endswith("went back. Version 1 answers all requests.")
    assert lead.why == "Complaints."


@ON_ONE
def test_a_freeze_holds_a_rollout(desk: Callable[..., Desk], clock: ManualClock) -> None:
    days = [(clock.now().date()).isoformat(), "2027-01-01"]
    rollout = {"steps": [1.0], "freeze": [{"start": days[0], "end": days[1], "why": "Christmas"}]}
    here = desk(rollout=rollout)
    here.live(12, tend=False)
    here.system.renewing.start(DESK, because="the first", by="analyst")
    here.tend()
    here.system.renewing.decide(here.newest.number, approve=True, person="lead", reason="")
    here.tend()
    assert here.newest.says == "Waits: nothing is rolled out until 2027-01-01 (Christmas)"
    assert champion(here) is None
    here.system.renewing.cancel(here.newest.number, reason="after the holidays", by="lead")
    assert [(one.to, one.why) for one in here.system.renewing.briefs(here.newest.number)][-2:] == [
        ("lead", "After the holidays."), ("analyst", "After the holidays."),
    ]  # fmt: skip
    assert here.newest.state == "cancelled"


@ON_ONE
def test_too_few_rows_are_said_and_nothing_is_trained(desk: Callable[..., Desk]) -> None:
    here = desk()
    here.live(2, tend=False)
    here.system.renewing.start(DESK, because="the first", by="analyst")
    here.tend()
    assert here.newest.state == "held"
    assert here.newest.says.startswith("Insufficient data: ")


@ON_ONE
def test_what_is_explained_is_what_is_done(desk: Callable[..., Desk]) -> None:
    here = desk()
    here.first()
    said = [one.name for one in here.system.renewing.explain(DESK)]
    _, done = here.system.renewing.renewal(1)
    assert [one.name for one in done] == said
    assert said[:4] == ["snapshot", "check", "train 8d", "train all"]
    assert said[4:] == ["choose", "gates", "approve", "canary 30 %", "promote", "bake", "brief", "close"]


@ON_ONE
@pytest.mark.parametrize("asked", [True, False], ids=["asked", "trained"])
def test_a_workspace_that_is_moved_goes_on_with_its_renewal(
    settings: Settings, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:  # fmt: skip
    here = Desk(System(settings, clock), clock)
    here.system.apply(written(), by="lead", because="first")
    here.live(12, tend=False)
    here.system.renewing.start(DESK, because="the first", by="analyst")
    with monkeypatch.context() as patched:
        if not asked:  # the database goes away before one is chosen
            patched.setitem(tending._HANDLERS, "choose", _away)
        here.tend()
    _, done = here.system.renewing.renewal(1)
    assert ("choose" in [one.name for one in done]) == asked
    here.system.close()
    home = shutil.move(settings.home, tmp_path / "elsewhere")
    moved = Desk(System(Settings(home=home), clock), clock)
    moved.day = here.day
    moved.tend()
    assert moved.newest.says == "Waits for owner to approve version 1"
    moved.system.renewing.decide(1, approve=True, person="lead", reason="")
    moved.tend()
    moved.live(2)
    assert moved.newest.state == "promoted"
    assert champion(moved) == 1
    moved.system.close()


def _away(going: run.Going) -> run.Outcome:
    raise OperationalError("", {}, Exception("the database is away"))
