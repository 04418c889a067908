"""What people are told: everybody whom the plan names, once, in words for their role."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from shelflife import brief, plan
from shelflife.brief import Happened, Occasion
from shelflife.plan import Plan
from shelflife.testing import plans

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
OCCASIONS = get_args(Occasion)
ROLES = ("owner", "approver", "analyst", "engineer", "affected", "leader")


def written(*told: dict[str, Any]) -> Plan:
    """A plan with one person of each role, called by it, which the first approves."""
    raw = json.loads(plans.text())
    raw["people"] = {role: {"name": role.title(), "role": role, "email": f"{role}@example.com"} for role in ROLES}
    raw["objective"]["owner"] = "owner"
    raw.pop("review", None)
    raw["renew"] = {"when": ["performance"], "approve": {"by": "owner", "within": "3d"}}
    raw["brief"] = list(told)
    return plan.parse(json.dumps(raw)).plan


@pytest.mark.parametrize("occasion", OCCASIONS)
def test_whom_the_plan_names_is_told_and_nobody_else(occasion: Occasion) -> None:
    others = [one for one in OCCASIONS if one != occasion]
    asked = written(
        {"to": "leader", "on": [occasion]}, {"to": "analyst", "on": others}, {"to": "affected", "on": OCCASIONS}
    )
    happened = Happened(occasion, 7, version=4, other=3, because=["it was slow."], what="a tariff", at=NOW)
    told = brief.compose(asked, happened, NOW)
    assert [one.to for one in told] == ["leader", "affected"]
    for one in told:
        assert one.why == "It was slow."
        for said in (one.what, one.means, one.do):
            assert said[0].isupper()
            assert said.endswith(".")
            assert "None" not in said


@pytest.mark.parametrize("occasion", OCCASIONS)
@pytest.mark.parametrize("other", [None, 3])
def test_each_role_has_something_to_read(occasion: Occasion, other: int | None) -> None:
    asked = written(*({"to": role, "on": [occasion]} for role in ROLES))
    happened = Happened(occasion, 7, version=4, other=other, because=["a"], what="b", at=NOW)
    told = brief.compose(asked, happened, NOW)
    assert [one.to for one in told] == list(ROLES)
    for one in told:
        assert one.means
        assert one.do
        assert "None" not in "".join((one.what, one.why, one.means, one.do))


def test_a_change_is_told_with_what_it_means_for_the_model() -> None:
    asked = written({"to": "affected", "on": ["change"]})
    happened = Happened("change", what="the tariff changes.", at=NOW, because=[""])
    (told,) = brief.compose(asked, happened, NOW)
    assert told.what == "The tariff changes, from 2026-05-01 12:00 UTC on."
    assert told.why == "No reason was given."
    assert told.means.endswith("is from before; no renewal begins by itself.")


def test_that_a_change_does_not_come_is_told_too() -> None:
    asked = written({"to": "affected", "on": ["change"]})
    at = datetime(2026, 6, 1, tzinfo=UTC)
    happened = Happened("change", what="the tariff changes", at=at, because=["put off"], withdrawn=True)
    (told,) = brief.compose(asked, happened, NOW)
    assert told.what == "The tariff changes: this does not come on 2026-06-01."
    assert told.why == "Put off."


def test_who_started_it_is_not_asked_to_approve_it() -> None:
    asked = written({"to": "owner", "on": ["approval_needed"]})
    happened = Happened("approval_needed", 7, version=4, because=["b"], started_by="owner")
    (told,) = brief.compose(asked, happened, NOW)
    assert told.do.startswith("You started this: somebody else has to approve it")


def test_of_two_sections_for_one_person_what_is_to_be_read_counts() -> None:
    plain = {"to": "affected", "on": ["promoted"]}
    reads = {**plain, "acknowledge": {"share": 0.8, "within": "3d"}}
    for told in ([reads, plain], [plain, reads]):
        (one,) = brief.compose(written(*told), Happened("promoted", 7, version=4, because=["c"]), NOW)
        assert one.until == NOW + timedelta(days=3)


def test_only_who_may_decide_is_asked_to_by_when_it_is_due() -> None:
    asked = written({"to": "owner", "on": ["approval_needed"]}, {"to": "leader", "on": ["approval_needed"]})
    due = NOW + timedelta(days=3)
    owner, leader = brief.compose(asked, Happened("approval_needed", 7, version=4, at=due, because=["b"]), NOW)
    assert "approve or reject" in owner.do
    assert owner.until == due
    assert (leader.do, leader.until) == ("Nothing.", None)


def test_what_is_to_be_acknowledged_is_read_in_the_time_that_the_plan_gives() -> None:
    asked = written({"to": "affected", "on": ["promoted"], "acknowledge": {"share": 0.8, "within": "3d"}})
    (told,) = brief.compose(asked, Happened("promoted", 7, version=4, other=3, because=["c"], differ=0.064), NOW)
    assert told.until == NOW + timedelta(days=3)
    assert told.do.endswith("Read this.")
    assert told.means.endswith("6.4 % of recent rows get another answer.")
