"""What starts a renewal, from what is known at a moment alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from tests.renew.living import DESK, written

from shelflife.observe.keep import keep
from shelflife.observe.rows import from_arrow
from shelflife.renew.tending import known_of
from shelflife.renew.triggers import Due, Known, causes, due
from shelflife.system import System
from shelflife.testing.clock import ManualClock

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Found:
    number: int
    kind: str
    says: str = "says"
    state: str = "open"


NOTHING = Known(
    findings=(), champion=NOW - 100 * DAY, learnt=NOW - 120 * DAY, best_before=None, renewed=NOW - 50 * DAY,
    asked=None, answered=frozenset(), challenged=None, outcomes=0,
)  # fmt: skip


def asked(known: Known, *when: Any, now: datetime = NOW, **renew: Any) -> Due:
    given: dict[str, Any] = {"challenger": None, **renew}
    return due(written(when=list(when), **given).plan, known, now)


def whats(found: Due) -> list[tuple[str, int | None]]:
    return [(one.what, one.finding) for one in found.reasons]


@pytest.mark.parametrize(
    ("word", "kind"),
    [("performance", "performance"), ("drift", "drift"), ("quality", "integrity"), ("kpi", "kpi"),
     ("relation", "relation"), ("knowledge", "knowledge"), ("performance", "relation")],
)  # fmt: skip
def test_a_finding_of_a_kind_that_the_plan_names(word: str, kind: str) -> None:
    known = replace(NOTHING, findings=[Found(3, kind)])
    assert whats(asked(known, word)) == [("relation" if kind == "relation" else word, 3)]
    assert asked(known, *({"drift", "kpi"} - {word})) == Due()


@dataclass(frozen=True)
class Changed:
    number: int
    effective: datetime
    what: str = "A new tariff"


def test_a_change_starts_one_renewal_when_it_takes_effect() -> None:
    known = replace(NOTHING, changes=[Changed(1, NOW - 120 * DAY), Changed(2, NOW), Changed(3, NOW + DAY)])
    (reason,) = asked(known, "change").reasons
    assert (reason.what, reason.change, reason.finding) == ("change", 2, None)
    assert reason.says == "A new tariff (since 2026-05-01)"
    assert [one.change for one in asked(known, "change", now=NOW + DAY).reasons] == [2, 3]
    assert asked(replace(known, begun=frozenset({2})), "change") == Due()
    assert asked(known, "drift") == Due()
    assert asked(replace(known, findings=[Found(7, "integrity")]), "change").holds


def test_a_change_between_learning_and_promotion_is_one_that_the_champion_does_not_know() -> None:
    known = replace(NOTHING, changes=[Changed(1, NOW - 110 * DAY)])
    assert [one.change for one in asked(known, "change").reasons] == [1]


def test_where_nothing_serves_yet_any_change_is_a_reason() -> None:
    known = replace(NOTHING, champion=None, learnt=None, renewed=None, changes=[Changed(1, NOW - 200 * DAY)])
    assert [one.change for one in asked(known, "change").reasons] == [1]


def test_a_finding_starts_one_renewal_and_one_that_is_muted_none() -> None:
    known = replace(NOTHING, findings=[Found(3, "drift"), Found(4, "drift"), Found(5, "drift", state="muted")])
    assert whats(asked(known, "drift")) == [("drift", 3), ("drift", 4)]
    assert whats(asked(replace(known, answered=frozenset({3})), "drift")) == [("drift", 4)]
    assert asked(replace(known, answered=frozenset({3, 4})), "drift") == Due()


def test_reasons_of_one_moment_are_of_one_renewal() -> None:
    known = replace(NOTHING, findings=[Found(3, "drift"), Found(4, "performance")], outcomes=900)
    found = asked(known, "performance", "drift", {"outcomes": 500}, {"every": "4w"}, challenger={"every": "1w"})
    assert whats(found) == [
        ("drift", 3), ("performance", 4), ("outcomes", None), ("every", None), ("challenger", None),
    ]  # fmt: skip
    assert found.reasons[2].says == "900 new outcomes are known"


@pytest.mark.parametrize(("kind", "when"), [("integrity", "drift"), ("freshness", "drift")])
def test_what_a_broken_feed_did_is_not_taught(kind: str, when: str) -> None:
    known = replace(NOTHING, findings=[Found(3, "drift"), Found(4, kind, "weight is missing in 30 % of rows")])
    found = asked(known, when)
    assert not found.reasons
    assert found.holds == (
        "A renewal would not help before the feed is repaired (finding 4: weight is missing in 30 % of rows)",
    )
    # A plan that renews for the sake of quality has said that it would.
    assert whats(asked(replace(NOTHING, findings=[Found(4, "integrity")]), "quality")) == [("quality", 4)]


def test_people_are_not_asked_again_within_the_cooldown() -> None:
    known = replace(NOTHING, findings=[Found(3, "drift")], asked=NOW - 3 * DAY)
    found = asked(known, "drift", cooldown="7d")
    assert not found.reasons
    assert found.holds == ("The last renewal began at 2026-04-28 00:00; the next one not before 2026-05-05 00:00",)
    assert whats(asked(known, "drift", cooldown="7d", now=NOW + 4 * DAY)) == [("drift", 3)]
    assert whats(asked(known, "drift", cooldown="3d")) == [("drift", 3)]


def test_age_is_asked_about_once_when_it_has_come() -> None:
    known = replace(NOTHING, renewed=None)
    assert whats(asked(known, {"age": "100d"})) == [("age", None)]
    assert asked(known, {"age": "101d"}) == Due()
    assert asked(replace(known, renewed=NOW), {"age": "100d"}) == Due()  # and it kept the champion
    assert asked(known, {"age": "best_before"}) == Due()
    best = replace(known, best_before=NOW - DAY)
    (reason,) = asked(best, {"age": "best_before"}).reasons
    assert reason.says == "the champion was best before 2026-04-30"
    assert asked(replace(best, champion=None), {"age": "best_before"}) == Due()
    # Over before it became champion: asked of each champion once, and not because of the renewal that made it.
    over = replace(best, best_before=NOW - 60 * DAY, champion=NOW - 50 * DAY, renewed=NOW - 52 * DAY)
    assert whats(asked(over, {"age": "best_before"})) == [("age", None)]
    assert asked(replace(over, renewed=NOW - 49 * DAY), {"age": "best_before"}) == Due()


def test_schedules_count_from_the_last_renewal_or_the_champion_or_begin_at_once() -> None:
    assert whats(asked(NOTHING, {"every": "50d"})) == [("every", None)]
    assert asked(NOTHING, {"every": "51d"}) == Due()
    assert asked(replace(NOTHING, renewed=None), {"every": "101d"}) == Due()
    assert whats(asked(replace(NOTHING, renewed=None, champion=None), {"every": "101d"})) == [("every", None)]


def test_challengers_have_their_own_cadence() -> None:
    assert whats(asked(NOTHING, challenger={"every": "1w"})) == [("challenger", None)]
    known = replace(NOTHING, challenged=NOW - 7 * DAY)
    assert whats(asked(known, challenger={"every": "1w"})) == [("challenger", None)]
    assert asked(known, challenger={"every": "8d"}) == Due()


def test_outcomes_are_counted() -> None:
    assert asked(replace(NOTHING, outcomes=499), {"outcomes": 500}) == Due()
    assert whats(asked(replace(NOTHING, outcomes=500), {"outcomes": 500})) == [("outcomes", None)]


def test_a_plan_that_does_not_renew_is_never_due() -> None:
    plan = written().plan
    assert due(plan.model_copy(update={"renew": None}), replace(NOTHING, outcomes=9), NOW) == Due()


def test_why_it_got_worse_is_said_from_findings() -> None:
    found = [Found(3, "drift"), Found(4, "relation", "Wrong more often than scores say"), Found(5, "freshness", "late")]
    known = replace(NOTHING, findings=found)
    assert causes(written(when=["drift"]).plan, known) == (
        "A renewal would not help before the feed is repaired (finding 5: late)",
        "The relation has changed (finding 4: Wrong more often than scores say): what was before teaches the wrong"
        " thing, and rows since then the right one",
    )
    assert causes(written(when=["quality"]).plan, replace(known, findings=found[2:])) == ()


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_outcomes_of_all_batches_since_the_last_renewal_are_counted(system: System, clock: ManualClock) -> None:
    plan = written(when=[{"outcomes": 100}]).plan
    system.apply(written(when=[{"outcomes": 100}]), by="lead", because="it renews")

    def known() -> int:
        with system.database.reading() as connection:
            return known_of(connection, system.tables, plan).outcomes

    def send(*names: str) -> None:
        clock.advance(timedelta(minutes=1))
        read = from_arrow(pa.table({"id": names, "outcome": ["a"] * len(names)}), system.shape(DESK, "outcomes"),
                          now=clock.now())  # fmt: skip
        keep(system.database, system.tables, source=names[0], system=DESK, kind="outcomes", rows=read.table,
             now=clock.now())  # fmt: skip

    assert known() == 0
    send("1", "2", "3"), send("4"), send("5", "6")
    assert known() == 6
    clock.advance(timedelta(minutes=1))
    made = system.renewing.start(DESK, because="x", by="analyst")
    system.renewing.cancel(made.number, reason="x", by="lead")
    assert known() == 0
    send("7")
    assert known() == 1
