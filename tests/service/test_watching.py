"""Systems are watched bucket by bucket: what changed is found, nothing else is, and each row counts once."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import insert

from shelflife import plan
from shelflife.durations import micros
from shelflife.errors import BadInput
from shelflife.loop import Loop
from shelflife.observe.keep import keep
from shelflife.observe.rows import from_arrow
from shelflife.profile.joint import UNKNOWN, Joint
from shelflife.renew import registry
from shelflife.store.schema import batches, leases, versions
from shelflife.system import System
from shelflife.testing import streams
from shelflife.testing.clock import ManualClock
from shelflife.views.status import statuses
from shelflife.watch import findings, lifeline, state
from shelflife.watch.conditions import Facts, Judged, judged
from shelflife.watch.figures import Figures
from shelflife.watch.findings import Found
from shelflife.workspace import Settings

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
SHOP: dict[str, Any] = {
    "shelflife": 1, "system": "shop", "title": "Shop", "objective": {"why": "Refuse stolen cards", "owner": "lead"},
    "people": {"lead": {"name": "Lead", "role": "owner", "email": "lead@example.com"}},
    "model": {
        "name": "shop", "task": "classification", "prediction": "fraud", "score": "score",
        "inputs": {"amount": "numeric", "items": "numeric", "channel": "category", "country": "category",
                   "gift": "boolean", "note": "text"},
        "outcome": {"name": "charged_back", "within": "2d"},
    },
    "watch": {
        "bucket": "1d", "false_alarms": {"at_most": 1, "per": "180d"}, "quality": {"nulls": {"within": 0.01}},
        "drift": {"tolerance": 0.05}, "performance": {"metric": "accuracy", "at_least": 0.75},
        "adoption": {"overrides": {"at_most": 0.1}},
    },
}  # fmt: skip


class Shop:
    """A shop whose rows come day by day, its outcomes a day late."""

    def __init__(self, system: System, *, rows: int = 200) -> None:
        self.system, self.rows = system, rows
        self.numbers = itertools.count()
        system.apply(plan.parse(json.dumps(SHOP)), by="lead", because="first")
        self.clock.advance(30 * DAY)
        self.send(streams.steady(days=30, rows=rows, seed=1), "r")
        system.watching.take_reference("shop", end=self.clock.now(), by="lead")
        self.day = 0
        self.late: Callable[[], None] = lambda: None

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.system.clock, ManualClock)
        return self.system.clock

    def days(self, count: int, *, look: bool = True, overridden: float = 0.0, **change: Any) -> list[Any]:
        """So many days go by; what each look did."""
        start = (START + (30 + self.day) * DAY).replace(tzinfo=None)
        made = streams.shifted if change else streams.steady
        table = made(days=count, rows=self.rows, seed=100 + self.day, start=start, **change)
        done = []
        for place in range(count):
            part = table.slice(place * self.rows, self.rows)
            name = f"d{self.day}"
            self.clock.advance(DAY)
            self.late()
            self.late = self.send(part, name, outcomes=False)
            if overridden:
                self.feedback(name, round(overridden * self.rows))
            self.day += 1
            if look:
                done.append(self.system.watching.look("shop"))
        return done

    def send(self, table: pa.Table, name: str, *, outcomes: bool = True) -> Callable[[], None]:
        """Predictions at once; what is answered sends their outcomes."""
        ids = [f"{name}-{place}" for place in range(len(table))]
        times = table["ts"].cast(pa.timestamp("us", "UTC"))
        rows = table.append_column("id", pa.array(ids)).append_column("time", times)
        self.keep("predictions", rows.append_column("prediction", table["fraud"].cast(pa.string())))

        def later() -> None:
            self.keep("outcomes", pa.table({"id": ids, "outcome": table["charged_back"].cast(pa.string())}))

        if outcomes:
            later()
        return later

    def feedback(self, name: str, count: int) -> None:
        some = range(count)
        said = {"id": [f"{name}-o{n}" for n in some], "prediction_id": [f"{name}-{n}" for n in some]}
        self.keep("feedback", pa.table({**said, "what": ["override"] * count}))

    def keep(self, kind: Any, rows: pa.Table) -> None:
        read = from_arrow(rows, self.system.shape("shop", kind), now=self.clock.now())
        assert not read.rejected
        here = self.system
        source = f"tests:{next(self.numbers)}"
        keep(here.database, here.tables, source=source, system="shop", kind=kind, rows=read.table, now=self.clock.now())

    def found(self, *, ended: bool = True) -> list[tuple[str, str, date | None]]:
        living = self.system.watching.findings("shop", ended=ended)
        return [(one.key, one.state, one.since.date() if one.since else None) for one in reversed(living)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    system = System(Settings(home=tmp_path / "workspace"), ManualClock(START))
    yield Shop(system)
    assert system.ledger.verify().broken is None
    system.close()


def test_on_each_database_and_object_store(settings: Settings) -> None:
    system = System(settings, ManualClock(START))
    shop = Shop(system, rows=100)
    shop.days(2)
    shop.days(5, change="nulls")
    (found,) = shop.found()
    assert found[0] == "SL101 country"
    assert system.ledger.verify().broken is None
    system.close()


def test_nothing_is_found_while_nothing_changes(shop: Shop) -> None:
    looks = shop.days(25, overridden=0.05)
    assert shop.found() == []
    assert [look.buckets for look in looks] == [1] * 25


@pytest.mark.parametrize(
    ("change", "key", "late"),
    [("mean", "SL201 amount", 0), ("nulls", "SL101 country", 0), ("new", "SL104 country", 0), ("concept", "SL303", 1)],
)
def test_what_changed_is_found_once_with_its_onset_and_is_over_when_it_is_over(
    shop: Shop, change: str, key: str, late: int
) -> None:
    shop.days(5)
    shop.days(12, change=change)
    began = (START + 35 * DAY + late * DAY).date()
    keys = {one[0]: one for one in shop.found()}
    assert keys[key][1] == "open"
    assert abs((keys[key][2] or date.min) - began) <= DAY
    assert len([one for one in shop.system.ledger.entries(kind="finding.opened") if one.body["says"]]) == len(keys)
    shop.days(12)
    assert {state for _, state, _ in shop.found()} == {"resolved"}
    # It can ring again.
    shop.days(8, change=change)
    assert [one for one in shop.found(ended=False) if one[0] == key]


def test_overrides_beyond_what_is_promised_are_found(shop: Shop) -> None:
    shop.days(4, overridden=0.05)
    shop.days(6, overridden=0.4)
    (found,) = shop.found()
    assert found == ("SL402", "open", (START + 34 * DAY).date())


@pytest.mark.parametrize("named", [True, False])
def test_overrides_that_are_said_the_next_day_are_of_the_predictions_they_were_made_of(shop: Shop, named: bool) -> None:
    """A day of few predictions after one of many: what is said on it is of the many."""
    rng = np.random.default_rng(1)
    for day in range(21):
        rows = 200 if day % 7 < 5 else 2
        start = START + (30 + day) * DAY
        table = streams.steady(days=1, rows=rows, seed=500 + day, start=start.replace(tzinfo=None))
        shop.clock.advance(DAY)
        shop.late()
        shop.late = shop.send(table, f"d{day}", outcomes=False)
        some = [str(place) for place in range(rng.binomial(rows, 0.05))]
        said = {"id": [f"d{day}-o{one}" for one in some], "what": ["override"] * len(some)}
        said["prediction_id"] = [f"d{day}-{one}" if named else None for one in some]
        times = pa.array([start + timedelta(hours=36)] * len(some), pa.timestamp("us", "UTC"))
        if some:
            shop.keep("feedback", pa.table({**said, "time": times}))
        shop.system.watching.look("shop")
    assert [one for one in shop.found() if one[0] == "SL402"] == []


def test_overrides_that_name_no_prediction_are_shared_out(shop: Shop) -> None:
    for day in range(8):
        shop.days(1, look=False)
        shop.keep("feedback", pa.table({"id": [f"{day}-{n}" for n in range(80)], "what": ["override"] * 80}))
        shop.system.watching.look("shop")
    assert "SL402" in {one[0] for one in shop.found()}


def test_what_comes_after_it_was_due_is_shown_and_is_no_evidence(shop: Shop) -> None:
    shop.days(6, look=False)
    missing = shop.late
    shop.late = lambda: None
    shop.days(4)
    with shop.system.database.reading() as connection:
        before = state.watch_of(connection, "shop")
        points = lifeline.kept(connection, "shop", start=micros(START + 30 * DAY))
    assert [one.due - one.known for one in points if one.due] == [0, 0, 0, 0, 0, 200, 0, 0]
    missing()
    shop.days(1)
    with shop.system.database.reading() as connection:
        after = state.watch_of(connection, "shop")
        points = lifeline.kept(connection, "shop", start=micros(START + 30 * DAY))
        number = state.reference_number(connection, "shop") or 0
        layout = state.reference_profile(connection, number).layout
        at = micros(START + 35 * DAY)
        known = state.profile_of(connection, layout, number, "known", start=at, end=at + 1)
    assert before is not None
    assert after is not None
    assert [one.due - one.known for one in points if one.bucket == at] == [0]
    part = layout.outcome
    assert isinstance(part, Joint)
    scored, _, _ = part.tables(known.whole().of(part)[0])
    assert scored[..., :UNKNOWN].sum() == 0  # as it was when it was due


@pytest.mark.parametrize(("first", "then"), [("2d", "5d"), ("5d", "2d")])
def test_another_time_for_outcomes_counts_each_once(shop: Shop, first: str, then: str) -> None:
    for within in (first, then):
        model = {**SHOP["model"], "outcome": {"name": "charged_back", "within": within}}
        shop.system.apply(plan.parse(json.dumps({**SHOP, "model": model})), by="lead", because=within)
        shop.days(8)
    with shop.system.database.reading() as connection:
        points = lifeline.kept(connection, "shop", start=micros(START + 30 * DAY))
    waits = int(then[0])
    assert [one.due for one in points] == [200] * (16 - waits) + [0] * waits
    assert [one.known for one in points][: 16 - waits] == [200] * (16 - waits)


def test_outcomes_that_come_months_before_their_predictions_are_counted(tmp_path: Path) -> None:
    system = System(Settings(home=tmp_path / "workspace"), ManualClock(START))
    shop = Shop(system)
    model = {**SHOP["model"], "outcome": {"name": "charged_back", "within": "90d"}}
    system.apply(plan.parse(json.dumps({**SHOP, "model": model})), by="lead", because="chargebacks")
    shop.days(60, look=False)
    rows = streams.steady(days=1, rows=20, seed=3, start=datetime(2026, 2, 5))
    ids = [f"x-{place}" for place in range(20)]
    shop.keep("outcomes", pa.table({"id": ids, "outcome": rows["charged_back"].cast(pa.string())}))
    shop.send(rows, "x", outcomes=False)
    shop.clock.advance(92 * DAY)
    system.watching.look("shop")
    with system.database.reading() as connection:
        points = lifeline.kept(connection, "shop", start=micros(START + 31 * DAY))
    assert points[0].known == 220
    system.close()


def test_a_reference_knows_the_outcomes_that_are_due(shop: Shop) -> None:
    shop.days(10)
    _, made = shop.system.watching.take_reference("shop", start=START + 30 * DAY, by="lead")
    part = made.profile.layout.outcome
    assert isinstance(part, Joint)
    scored, _, _ = part.tables(made.profile.whole().of(part))
    assert scored[..., :UNKNOWN].sum(axis=(1, 2, 3)).tolist() == [200] * 8 + [0] * 2
    with pytest.raises(BadInput, match="is an outcome known that is due: the plan says that it comes within 2d"):
        shop.system.watching.take_reference("shop", start=START + 38 * DAY, by="lead")


def test_what_the_plan_promises_no_more_is_over(shop: Shop) -> None:
    feeds = {**SHOP, "feeds": {"cards": {"fresh_within": "1d", "owner": "lead"}}}
    shop.system.apply(plan.parse(json.dumps(feeds)), by="lead", because="a feed")
    began = shop.clock.now()
    shop.clock.advance(2 * DAY)
    shop.system.watching.look("shop", resumed=began)
    assert shop.found(ended=False)
    shop.system.apply(plan.parse(json.dumps(SHOP)), by="lead", because="no feed any more")
    assert shop.system.watching.look("shop").resolved
    assert shop.found(ended=False) == []


def test_what_is_over_stays_over_while_somebody_acknowledges_it(settings: Settings) -> None:
    system = System(settings, ManualClock(START))
    system.apply(plan.parse(json.dumps(SHOP)), by="lead", because="first")
    with system.database.writing() as connection:
        found = Found("SL301", "SL301", "says", "promised", None, 1)
        (number,) = findings.tell(connection, "shop", [found], plan=1, now=START)
    said: list[str] = []

    def acknowledge() -> None:
        try:
            system.watching.acknowledge(number, by="tom")
        except BadInput as error:
            said.append(str(error))

    other = threading.Thread(target=acknowledge)
    with system.database.writing() as connection:
        findings.resolve(connection, findings.living(connection, number), reason="over", now=START)
        other.start()
        other.join(0.5)  # it waits
        assert other.is_alive()
    other.join()
    assert "is resolved since" in said[0]
    assert system.watching.finding(number).state == "resolved"
    system.close()


def bytes_read() -> int:
    """What this process has read from files so far."""
    io = Path("/proc/self/io")
    if not io.exists():
        pytest.skip("what is read is counted by Linux")
    return int(io.read_text().split("rchar: ")[1].split()[0])


def test_of_figures_only_those_are_read_that_came_since(shop: Shop) -> None:
    kpis = {"objective": {**SHOP["objective"], "kpis": [{"name": "losses", "at_most": 0.02}]}}
    shop.system.apply(plan.parse(json.dumps({**SHOP, **kpis})), by="lead", because="a KPI")
    size = 200_000
    times = pa.array(micros(START) + np.arange(size) * 1_000_000, pa.timestamp("us", "UTC"))
    rows = {"kpi": ["losses"] * size, "time": times, "value": np.linspace(0.0, 0.01, size)}
    shop.keep("kpis", pa.table({"id": [str(n) for n in range(size)], **rows}))
    figures, before = Figures(shop.system.tables), bytes_read()
    assert figures.of("shop")["losses"][0] == 0.01
    whole = bytes_read() - before
    shop.clock.advance(DAY)
    for place, (at, value) in enumerate([(20, 0.03), (10, 0.01), (21, 0.04)]):
        shop.keep("kpis", pa.table({"id": [f"new {place}"], "kpi": ["losses"], "value": [value],
                                    "time": pa.array([START + at * DAY], pa.timestamp("us", "UTC"))}))  # fmt: skip
        before = bytes_read()
        assert figures.of("shop")["losses"][0] == max(0.03, value)
        if place:  # the first is looked for from an hour before the newest that was known
            assert bytes_read() - before < whole / 4
    assert figures.of("shop")["losses"] == (0.04, START + 21 * DAY)


def test_a_model_of_which_nothing_is_known_is_not_called_fresh(shop: Shop) -> None:
    def model() -> tuple[str, str]:
        (found,) = statuses(shop.system, "shop")
        return found.model.state, found.model.reason

    shop.days(4)
    assert model()[0] == "fresh"
    shop.late = lambda: None
    for _ in range(8):
        shop.days(1)
        shop.late = lambda: None
    state_, reason = model()
    assert state_ == "unknown"
    assert reason.startswith("Nobody told what turned out true since")
    for _ in range(60):
        shop.clock.advance(DAY)
        shop.system.watching.look("shop")
    state_, reason = model()
    assert state_ == "unknown"
    assert reason.startswith("No predictions came since")


def test_who_looks_at_systems_is_told_where_one_was_not_looked_at(shop: Shop) -> None:
    shop.days(4)
    shop.clock.advance(5 * DAY)
    asks = "It was not watched since 2026-02-08 00:00: is `shelflife up` running?"
    assert statuses(shop.system, "shop")[0].model.reason == asks
    loop, clock = Loop(shop.system), shop.clock
    with shop.system.database.writing() as connection:
        held = {"name": "loop", "holder": "another", "since": clock.now(), "until": clock.now() + timedelta(seconds=30)}
        connection.execute(insert(leases).values(**held))
    assert loop.tick() == []
    assert statuses(shop.system, "shop")[0].model.reason.endswith(
        ": `shelflife up` runs, and comes to it after others."
    )
    clock.advance(timedelta(minutes=2))
    assert "`shelflife up` ran until" in statuses(shop.system, "shop")[0].model.reason
    clock.advance(timedelta(minutes=20))
    assert statuses(shop.system, "shop")[0].model.reason == asks
    assert not statuses(shop.system, "shop")[0].known
    assert loop.tick()
    assert not statuses(shop.system, "shop")[0].model.reason.startswith("It was not watched")


def test_rows_that_are_long_on_their_way_are_said(shop: Shop) -> None:
    shop.days(4)
    with shop.system.database.writing() as connection:
        connection.execute(insert(batches).values(source="x", system="shop", kind="predictions", rows=1,
                                                  started=shop.clock.now(), done=None))  # fmt: skip
    assert statuses(shop.system, "shop")[0].model.state == "fresh"
    shop.clock.advance(timedelta(minutes=16))
    found = statuses(shop.system, "shop")[0].model
    assert found.state == "unknown"
    assert "are not in their table yet" in found.reason


def test_a_champion_past_its_best_before_is_ageing_though_nothing_departs(shop: Shop) -> None:
    shop.days(4)
    now, until = shop.clock.now(), shop.clock.now() + DAY
    made = {
        "model": "shop",
        "registered": "1",
        "source": "",
        "digest": "",
        "plan": 1,
        "at": now,
        "by": "",
        "because": "",
    }
    records = [{}, {"best_before": until.isoformat()}, {"lasts": {"days": None}}]
    with shop.system.database.writing() as connection:
        for place, record in enumerate(records, 1):
            rows = insert(versions).values(system="shop", number=place, key=str(place), record=record, **made)
            connection.execute(rows)

    def model(champion: int) -> tuple[str, str]:
        with shop.system.database.writing() as connection:
            registry.point(connection, "shop", "champion", champion, by="lead", because="", now=now)
        (found,) = statuses(shop.system, "shop")
        assert statuses(shop.system) == [found]
        return found.model.state, found.model.reason

    assert {model(one)[0] for one in (1, 2, 3)} == {"fresh"}
    shop.days(1)
    assert [model(one)[0] for one in (1, 3)] == ["fresh", "fresh"]
    assert model(2) == (
        "ageing",
        f"It was best before {until:%Y-%m-%d}, and nothing departs yet from what the plan promises of it.",
    )


def test_downtime_is_caught_up_with_bucket_by_bucket(tmp_path: Path) -> None:
    """Whoever looked every day and whoever looked once at the end have seen the same."""
    answers = []
    for often in (True, False):
        system = System(Settings(home=tmp_path / str(often)), ManualClock(START))
        shop = Shop(system)
        shop.days(5, look=often)
        shop.days(8, look=often, change="mean")
        if not often:
            assert system.watching.look("shop").buckets == 13
        assert system.watching.look("shop").buckets == 0
        answers.append([(one[0], one[2]) for one in shop.found()])
        system.close()
    assert answers[0] == answers[1] != []


def test_restarts_change_nothing(tmp_path: Path) -> None:
    answers = []
    for restarts in (False, True):
        system = System(Settings(home=tmp_path / str(restarts)), ManualClock(START))
        shop = Shop(system)
        for day in range(14):
            shop.days(1, **({"change": "mean"} if day >= 6 else {}))
            if restarts:
                system.close()
                system = shop.system = System(system.settings, system.clock)
        with system.database.reading() as connection:
            watch = state.watch_of(connection, "shop")
        assert watch is not None
        answers.append((shop.found(), watch.detector.log_s.tolist(), watch.reach))
        system.close()
    assert answers[0] == answers[1]


@pytest.mark.parametrize("cut", ["add_profile", "keep_watch"])
def test_a_look_that_was_cut_short_did_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch, cut: str) -> None:
    shop.days(2)
    before = shop.system.ledger.entries()
    with shop.system.database.reading() as connection:
        kept = state.watch_of(connection, "shop")
    step = getattr(state, cut)

    def killed(*given: Any, **named: Any) -> None:
        step(*given, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(state, cut, killed)
    with pytest.raises(KeyboardInterrupt):
        shop.days(1, change="nulls")
    monkeypatch.undo()
    with shop.system.database.reading() as connection:
        after = state.watch_of(connection, "shop")
    assert kept is not None
    assert after is not None
    assert after.reach == kept.reach
    assert shop.system.ledger.entries() == before
    assert shop.system.watching.look("shop").buckets == 1


def test_of_two_that_look_at_once_one_does_it(shop: Shop) -> None:
    other = System(shop.system.settings, shop.clock)
    shop.days(3)
    shop.days(1, look=False)
    assert sorted(each.watching.look("shop").buckets for each in (shop.system, other)) == [0, 1]
    other.close()


def test_each_row_counts_once_however_late(shop: Shop) -> None:
    shop.days(3)
    early = streams.steady(days=1, rows=50, seed=9, start=datetime(2026, 2, 4))
    later = shop.send(early, "late", outcomes=False)
    shop.days(1)
    later()
    shop.days(2)
    with shop.system.database.reading() as connection:
        number = state.reference_number(connection, "shop")
        assert number is not None
        layout = state.reference_profile(connection, number).layout
        made, known = (
            state.profile_of(connection, layout, number, of, start=0, end=1 << 62).whole() for of in ("made", "known")
        )
    assert int(made.rows.sum()) == 6 * 200 + 50
    # Those of the last two days are not due yet; those of the last two before the reference's end were not due then.
    assert int(known.rows.sum()) == 6 * 200 + 50
    with shop.system.database.reading() as connection:
        points = lifeline.kept(connection, "shop", start=0)
    assert sum(one.known for one in points) == 6 * 200 + 50  # also those whose outcome came when it was due
    at = int(datetime(2026, 2, 4, tzinfo=UTC).timestamp() * 1_000_000)
    assert int(made.between(at, at + 1).rows[0]) == 250


def test_outcomes_that_come_before_their_predictions_are_counted_with_them(shop: Shop) -> None:
    shop.days(1)
    rows = streams.steady(days=1, rows=20, seed=3, start=datetime(2026, 2, 5))
    ids = [f"x-{place}" for place in range(20)]
    shop.keep("outcomes", pa.table({"id": ids, "outcome": rows["charged_back"].cast(pa.string())}))
    shop.days(2)
    shop.send(rows, "x", outcomes=False)
    shop.days(1)
    with shop.system.database.reading() as connection:
        number = state.reference_number(connection, "shop") or 0
        layout = state.reference_profile(connection, number).layout
        known = state.profile_of(connection, layout, number, "known", start=0, end=1 << 62).whole()
    assert int(known.rows.sum()) == 4 * 200 + 20


def test_a_new_promise_begins_afresh_and_another_owner_does_not(shop: Shop) -> None:
    shop.days(3)
    shop.days(8, change="mean")
    assert shop.found(ended=False)
    renamed = {**SHOP, "title": "The shop"}
    shop.system.apply(plan.parse(json.dumps(renamed)), by="lead", because="a name")
    shop.days(1, change="mean")
    assert shop.found(ended=False)
    wider = {**SHOP, "watch": {**SHOP["watch"], "drift": {"tolerance": 0.6}}}
    shop.system.apply(plan.parse(json.dumps(wider)), by="lead", because="that much is wished")
    shop.days(6, change="mean")
    assert shop.found(ended=False) == []
    (ended,) = shop.system.ledger.entries(kind="finding.resolved")
    assert "watching began afresh" in ended.body["reason"]


def test_people_acknowledge_mute_and_resolve(shop: Shop) -> None:
    shop.days(3)
    shop.days(6, change="nulls")
    watching = shop.system.watching
    (found,) = watching.findings("shop")
    watching.acknowledge(found.number, by="lead")
    assert watching.finding(found.number).state == "acknowledged"
    with pytest.raises(BadInput, match="for a reason"):
        watching.mute(found.number, reason=" ", until=shop.clock.now() + DAY, by="lead")
    with pytest.raises(BadInput, match="a time to come"):
        watching.mute(found.number, reason="known", until=shop.clock.now(), by="lead")
    watching.mute(found.number, reason="a campaign", until=shop.clock.now() + 2 * DAY, by="lead")
    shop.days(1, change="nulls")
    assert watching.finding(found.number).state == "muted"
    shop.days(2, change="nulls")
    assert watching.finding(found.number).state == "open"
    watching.resolve(found.number, reason="repaired", by="lead")
    with pytest.raises(BadInput, match="resolved since"):
        watching.acknowledge(found.number, by="lead")
    with pytest.raises(BadInput, match="There is no finding 99"):
        watching.finding(99)
    said = [entry.kind for entry in shop.system.ledger.entries() if entry.kind.startswith("finding.")]
    assert said == ["finding.opened", "finding.acknowledged", "finding.muted", "finding.resolved"]


def test_a_reference_needs_rows(tmp_path: Path) -> None:
    system = System(Settings(home=tmp_path / "workspace"), ManualClock(START))
    system.apply(plan.parse(json.dumps(SHOP)), by="lead", because="first")
    with pytest.raises(BadInput, match="No predictions of shop were observed yet"):
        system.watching.take_reference("shop", by="lead")
    assert system.watching.look("shop").buckets == 0
    system.close()


# ----------------------------------------------------------------------------------------------------------------------
# Promises of facts


NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def told(changes: dict[str, Any], **facts: Any) -> dict[str, Judged]:
    known = {"newest": {}, "volumes": {}, "kpis": {}, "resumed": NOW - 30 * DAY, "applied": NOW - 30 * DAY, **facts}
    return {one.key: one for one in judged(plan.parse(json.dumps({**SHOP, **changes})).plan, Facts(**known), NOW)}


def test_a_feed_is_as_old_as_its_newest_event() -> None:
    feeds = {"feeds": {"cards": {"fresh_within": "2h", "owner": "lead"}}}
    hour = timedelta(hours=1)
    assert told(feeds, newest={"predictions": NOW - hour})["SL501 cards"].says is None
    stale = told(feeds, newest={"predictions": NOW - 5 * hour})["SL501 cards"]
    assert stale.says == "The newest of cards is 5 hours old (2026-05-04 07:00); promised are 2h."
    assert stale.since == NOW - 3 * hour
    # Of a time in which nobody looked nothing is said, until the feed has had its time again.
    assert told(feeds, newest={"predictions": NOW - 50 * hour}, resumed=NOW - hour) == {}
    assert told(feeds, newest={"predictions": NOW - 50 * hour}, resumed=NOW - 3 * hour)["SL501 cards"].says
    assert told(feeds)["SL501 cards"].says == "Nothing of cards ever came."


def test_volumes_are_of_the_last_stretch_that_is_over() -> None:
    def hours(rows: int) -> dict[str, dict[datetime, int]]:
        return {"predictions": {NOW - n * timedelta(hours=1): rows for n in range(100)}}

    feeds = {"feeds": {"cards": {"fresh_within": "2h", "expect_rows": {"at_least": 200, "at_most": 500, "per": "1d"}}}}
    assert told(feeds, volumes=hours(10))["SL502 cards"].says is None
    few = told(feeds, volumes=hours(3))["SL502 cards"]
    assert few.says == (
        "72 rows of cards came from 2026-05-03 00:00 to 2026-05-04 00:00; promised are at least 200 and at most 500."
    )
    assert told(feeds, volumes=hours(30))["SL502 cards"].observed == 720
    assert "SL502 cards" not in told(feeds, volumes=hours(3), resumed=NOW - DAY)


def test_kpis_and_reviews_are_as_promised_or_not() -> None:
    kpis = {"objective": {**SHOP["objective"], "kpis": [{"name": "losses", "at_most": 0.02}]}}
    assert told(kpis) == {}
    assert told(kpis, kpis={"losses": (0.02, NOW)})["SL401 losses"].says is None
    missed = told(kpis, kpis={"losses": (0.03, NOW)})["SL401 losses"]
    assert missed.says == "losses was 0.03 on 2026-05-04; promised is at most 0.02."
    review = {"review": {"every": "20d", "by": "lead"}}
    assert told(review)["SL601"].since == NOW - 10 * DAY
    assert told({"review": {"every": "20d", "by": "lead", "last": "2026-05-01"}})["SL601"].says is None


def test_a_stale_feed_is_found_and_over_when_rows_come(shop: Shop) -> None:
    feeds = {**SHOP, "feeds": {"cards": {"fresh_within": "1d", "owner": "lead"}}}
    shop.system.apply(plan.parse(json.dumps(feeds)), by="lead", because="a feed")
    began = shop.clock.now()
    shop.clock.advance(2 * DAY)
    shop.system.watching.look("shop", resumed=began)
    ((key, state_, since),) = shop.found()
    assert (key, state_) == ("SL501 cards", "open")
    assert since is not None
    shop.day += 2
    shop.days(1, look=False)
    assert shop.system.watching.look("shop", resumed=began).resolved
