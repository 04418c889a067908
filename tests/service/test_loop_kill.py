"""The loop is killed at random moments, and another goes on: each bucket, finding and event is there, once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import select
from tests.service.living import DAY, REFERENCE, START, SYSTEMS, Days, live

from shelflife import plan
from shelflife.observe.keep import keep
from shelflife.observe.rows import from_arrow
from shelflife.store.schema import profiles, references
from shelflife.system import System
from shelflife.testing import streams
from shelflife.testing.clock import ManualClock
from shelflife.watch import state
from shelflife.workspace import Settings

PROGRAM = Path(__file__).with_name("living.py")
# `SHELFLIFE_KILLS=300 pytest tests/service/test_loop_kill.py` is the whole trial.
KILLS = int(os.environ.get("SHELFLIFE_KILLS", "4"))
DAYS = REFERENCE + max(14, KILLS)
ROWS = 160
LATE = 3  # days until an outcome is known
NULLS, TURNED = range(3, 6), range(2, DAYS)  # days of watching on which a country is missing, and half turns out so
PLAN: dict[str, Any] = {
    "shelflife": 1, "objective": {"why": "Refuse stolen cards", "owner": "lead"},
    "people": {"lead": {"name": "Lead", "role": "owner", "email": "lead@example.com"}},
    "feeds": {"cards": {"fresh_within": "2d", "owner": "lead"}}, "review": {"every": "5d", "by": "lead"},
    "watch": {
        "bucket": "1d", "false_alarms": {"at_most": 1, "per": "180d"}, "quality": {"nulls": {"within": 0.01}},
        "drift": {"tolerance": 0.05}, "performance": {"metric": "accuracy", "at_least": 0.75},
    },
}  # fmt: skip


def workspace(settings: Settings) -> Settings:
    """One whose systems have their references, and all rows that will be taken day by day."""
    clock = ManualClock(START + REFERENCE * DAY)
    system = System(settings, clock)
    for name in SYSTEMS:
        model = {
            "name": name, "task": "classification", "prediction": "fraud", "score": "score",
            "inputs": {"amount": "numeric", "country": "category"}, "outcome": {"name": "charged_back", "within": "3d"},
        }  # fmt: skip
        written = plan.parse(json.dumps({**PLAN, "system": name, "title": name, "model": model}))
        system.apply(written, by="lead", because="first")
        send(system, name, streams.steady(days=REFERENCE, rows=ROWS, seed=1), 0)
        clock.advance(LATE * DAY)
        system.watching.take_reference(name, end=START + REFERENCE * DAY, by="lead")
        clock.advance(-LATE * DAY)
    clock.advance(DAYS * DAY)
    for day in range(DAYS - REFERENCE):
        given: dict[str, Any] = {"days": 1, "rows": ROWS, "seed": 100 + day}
        given["start"] = (START + (REFERENCE + day) * DAY).replace(tzinfo=None)
        send(system, "card", streams.shifted(**given, change="nulls", after=0 if day in NULLS else 1), REFERENCE + day)
        send(system, "shop", streams.steady(**given), REFERENCE + day, turned=day in TURNED)
    system.close()
    return settings


def send(system: System, name: str, rows: pa.Table, day: int, *, turned: bool = False) -> None:
    """Predictions, and their outcomes of some days later; every other one the opposite where they are `turned`."""
    times = rows["ts"].cast(pa.timestamp("us", "UTC"))
    ids = pa.array([f"{day}-{place}" for place in range(len(rows))])
    known = pa.array(times.cast(pa.int64()).to_numpy() + LATE * 86_400_000_000, pa.timestamp("us", "UTC"))
    made = rows.append_column("id", ids).append_column("time", times)
    made = made.append_column("prediction", rows["fraud"].cast(pa.string()))
    truth = rows["charged_back"].to_numpy() ^ (turned & (np.arange(len(rows)) % 2))
    true = pa.table({"id": ids, "time": known, "outcome": truth.astype(str)})
    for kind, table in (("predictions", made), ("outcomes", true)):
        read = from_arrow(table, system.shape(name, kind), now=system.clock.now() + LATE * DAY)
        assert not read.rejected
        keep(system.database, system.tables, source=f"{name} {day}", system=name, kind=kind, rows=read.table,
             now=system.clock.now())  # fmt: skip


def seen(settings: Settings) -> dict[str, Any]:
    """All that watching left behind, but for the time of day at which it did."""
    system = System(settings, ManualClock(START + (DAYS + 1) * DAY))
    assert system.ledger.verify().broken is None
    with system.database.reading() as connection:
        rows = select(references.c.system, profiles.c.of, profiles.c.bucket, profiles.c.rows).join(references)
        counts = sorted(tuple(row) for row in connection.execute(rows))
        watches = {name: state.watch_of(connection, name) for name in SYSTEMS}
    found = {
        "buckets": counts,
        "reach": {name: (one.reach, one.detector.buckets) for name, one in watches.items() if one},
        "evidence": {name: np.nan_to_num(one.detector.log_s, neginf=-99) for name, one in watches.items() if one},
        "findings": sorted(
            (
                one.system,
                one.key,
                one.state,
                str(one.since),
                str(one.opened.date()),
                str(one.ended and one.ended.date()),
            )
            for one in system.watching.findings(ended=True)
        ),
        # Which of two systems is looked at first on a day depends on where the kill was. Files are made few beside
        # the database, so that their event tells what was found to be done.
        "events": [
            (one.kind, {key: value for key, value in one.body.items() if key != "finding"})
            for name in (*SYSTEMS, None)
            for one in system.ledger.entries()
            if one.system == name and one.kind != "tables.compacted"
        ],
    }
    system.close()
    return found


def assert_same(found: dict[str, Any], undisturbed: dict[str, Any]) -> None:
    for name, evidence in found.pop("evidence").items():
        np.testing.assert_allclose(evidence, undisturbed["evidence"][name], atol=1e-9)
    for part, value in found.items():
        assert value == undisturbed[part]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is there when nobody is killed."""
    settings = workspace(Settings(home=tmp_path_factory.mktemp("undisturbed") / "workspace"))
    clock = Days(time.time())
    system = System(settings, clock)
    live(system, clock, DAYS)
    system.close()
    found = seen(settings)
    opened = {(system, key.split()[0]) for system, key, *_ in found["findings"]}
    assert opened >= {("card", "SL101"), ("shop", "SL303"), ("card", "SL601"), ("shop", "SL601")}
    assert ("card", "SL101 country", "resolved") in {one[:3] for one in found["findings"]}
    assert len(found["buckets"]) == 2 * 2 * (DAYS - REFERENCE) - 2 * LATE
    return found


def started(settings: Settings, epoch: float, *gate: str) -> subprocess.Popen[str]:
    """A process that goes on with the days."""
    command = [sys.executable, str(PROGRAM), settings.model_dump_json(), str(DAYS), str(epoch), *gate]
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[2])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str]) -> str:
    """What it still said."""
    assert process.stdout is not None
    said = process.stdout.read()
    process.stdout.close()
    process.wait()
    return said


def pass_by(seconds: float) -> None:
    """Some time goes by in the processes."""
    threading.Event().wait(seconds)


@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
def test_a_loop_that_is_killed_again_and_again_does_each_thing_once(
    settings: Settings, undisturbed: dict[str, Any]
) -> None:
    rng = random.Random(os.environ.get("SHELFLIFE_SEED", "0"))
    workspace(settings)
    epoch = time.time()
    for _ in range(KILLS):
        process = started(settings, epoch)
        pass_by(rng.uniform(0.0, 0.3))
        process.kill()
        assert ended(process) == ""  # it was at work
    assert ended(started(settings, epoch)) == "over\n"
    assert_same(seen(settings), undisturbed)


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_of_two_loops_one_works_and_the_other_takes_over_when_it_is_gone(
    settings: Settings, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """Both are killed in turn; or halted so long that the other takes over, and then go on where they were."""
    rng = random.Random(os.environ.get("SHELFLIFE_SEED", "0"))
    workspace(settings)
    epoch = time.time()
    gate = tmp_path / "days"

    def until(day: int) -> None:
        gate.with_suffix(".new").write_text(str(day))
        gate.with_suffix(".new").replace(gate)

    until(REFERENCE)
    both = [started(settings, epoch, str(gate)) for _ in range(2)]
    for turn in range(KILLS):
        one = turn % 2
        # Some days begin; whichever of the two leads by then, each is disturbed in turn.
        until(REFERENCE + (turn + 1) * (DAYS - REFERENCE) // (KILLS + 1))
        pass_by(rng.uniform(0.0, 0.3))
        if rng.random() < 0.5:
            both[one].kill()
            assert ended(both[one]) == ""
            both[one] = started(settings, epoch, str(gate))
        else:
            both[one].send_signal(signal.SIGSTOP)
            pass_by(1.2)
            both[one].send_signal(signal.SIGCONT)
    until(DAYS)
    assert [ended(process) for process in both] == ["over\n", "over\n"]
    assert_same(seen(settings), undisturbed)
