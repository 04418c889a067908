"""What is due is done, once, by one of several, and what fails is told once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from shelflife import plan
from shelflife.loop import Loop, Task, due, tasks_of
from shelflife.system import System
from shelflife.testing import plans
from shelflife.testing.clock import ManualClock

NAME = "support-desk"
HOUR = timedelta(hours=1)


def written(table: Path, **more: Any) -> plan.Written:
    """A plan that fetches outcomes from a file every hour."""
    pull = {
        "rows": "outcomes",
        "table": str(table),
        "mark": "at",
        "every": "1h",
        "columns": {"id": "ticket", "time": "at"},
    }
    feeds = {"tickets": {"fresh_within": "2h", "owner": "lead", "pull": pull}}
    return plan.parse(json.dumps({**json.loads(plans.text()), "feeds": feeds, **more}))


def write(table: Path, *names: str) -> None:
    at = pa.array([datetime(2026, 4, 1, tzinfo=UTC)] * len(names), pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"ticket": list(names), "at": at, "outcome": ["x"] * len(names)}), table)


def kept(system: System) -> list[str]:
    found = system.tables.open(NAME, "outcomes")
    return sorted(found.to_pyarrow_table()["id"].to_pylist()) if found is not None else []


def clock(system: System) -> ManualClock:
    assert isinstance(system.clock, ManualClock)
    return system.clock


def names(done: list[Task]) -> list[str]:
    return [task.name for task in done if task.system == NAME]


def test_each_thing_is_done_as_often_as_the_plan_asks(system: System, tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", "a")
    system.apply(written(tmp_path / "t.parquet", keep="400d"), by="lead", because="a feed")
    loop = Loop(system)
    assert names(loop.tick()) == ["pull tickets", "watch", "renew", "expire", "compact"]
    assert names(loop.tick()) == []
    write(tmp_path / "t.parquet", "a", "b")
    clock(system).advance(HOUR - timedelta(seconds=1))
    assert names(loop.tick()) == ["watch", "renew"]
    clock(system).advance(timedelta(seconds=1))
    assert names(loop.tick()) == ["pull tickets"]
    assert kept(system) == ["a", "b"]
    # After days of rest each is done once, not once for every time that was missed.
    clock(system).advance(timedelta(days=9))
    assert names(loop.tick()) == ["pull tickets", "watch", "renew", "expire", "compact"]
    assert names(loop.tick()) == []


def test_what_fails_is_told_when_it_begins_and_when_it_is_over(system: System, tmp_path: Path) -> None:
    system.apply(written(tmp_path / "t.parquet"), by="lead", because="a feed")
    loop = Loop(system)
    for _ in range(3):
        assert "pull tickets" in names(loop.tick())
        clock(system).advance(HOUR)
    write(tmp_path / "t.parquet", "a")
    loop.tick()
    (failed,) = system.ledger.entries(kind="task.failed", system=NAME)
    (recovered,) = system.ledger.entries(kind="task.recovered", system=NAME)
    assert "There is no file" in failed.body["says"]
    assert recovered.body == {"system": NAME, "task": "pull tickets"}
    assert failed.number < recovered.number
    assert kept(system) == ["a"]


def test_one_of_two_does_it_and_the_other_takes_over(system: System, tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", "a")
    system.apply(written(tmp_path / "t.parquet"), by="lead", because="a feed")
    other = System(system.settings, system.clock)
    first, second = Loop(system), Loop(other)
    assert names(first.tick())
    clock(system).advance(timedelta(seconds=20))
    assert not second.tick()
    # The first is gone without a word.
    clock(system).advance(HOUR)
    assert names(second.tick()) == ["pull tickets", "watch", "renew"]
    assert not first.tick()
    # The second says that it goes.
    second.resign()
    clock(system).advance(timedelta(0))
    write(tmp_path / "t.parquet", "a", "b")
    system.apply(written(tmp_path / "t.parquet", title="Renamed"), by="lead", because="a name")
    clock(system).advance(HOUR)
    assert names(first.tick()) == ["pull tickets", "watch", "renew"]
    other.close()
    assert kept(system) == ["a", "b"]


def test_a_loop_that_is_told_to_stop_stops_between_two_tasks(system: System, tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", "a")
    system.apply(written(tmp_path / "t.parquet"), by="lead", because="a feed")
    stop = threading.Event()
    stop.set()
    assert Loop(system).tick(stop) == []


def test_two_processes_on_one_workspace_fetch_each_row_once(tmp_path: Path) -> None:
    """Real processes, both started as a user starts them; each does what is due until it is told to stop."""
    write(tmp_path / "t.parquet", *map(str, range(1000)))
    (tmp_path / "plan.yaml").write_text(written(tmp_path / "t.parquet").text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHELFLIFE")}
    command = [sys.executable, "-m", "shelflife"]
    given_ = {"cwd": tmp_path, "env": environment}
    subprocess.run([*command, "plan", "apply", "plan.yaml"], check=True, capture_output=True, **given_)
    started = [
        subprocess.Popen([*command, "up", *words], stderr=subprocess.PIPE, text=True, **given_)
        for words in (["--role", "loop"], ["--port", "0", "--gateway-port", "0"])
    ]
    for process in started:
        assert process.stderr is not None
        assert "Ctrl-C stops it" in next(line for line in process.stderr if "answers at" not in line)
    pull = subprocess.run([*command, "pull", NAME], capture_output=True, text=True, check=False, **given_)
    assert pull.returncode == 0
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        assert process.wait(60) == 0
        assert process.stderr is not None
        said = process.stderr.read().splitlines()
        process.stderr.close()
        assert [line for line in said if not line.startswith("Nobody can sign in yet")] == []
    told = subprocess.run([*command, "ledger", "verify"], capture_output=True, text=True, check=False, **given_)
    assert told.returncode == 0
    from shelflife.workspace import Settings

    system = System(Settings(home=tmp_path / ".shelflife"))
    assert kept(system) == sorted(map(str, range(1000)))
    system.close()


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 100)), max_size=6),
    st.lists(st.integers(0, 300), max_size=6), st.integers(0, 300),
)  # fmt: skip
def test_due_is_what_was_never_done_or_long_ago(wanted: list[tuple[str, int]], ago: list[int], now: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    tasks = [Task(system, "pull", str(place), timedelta(hours=hours)) for place, (system, hours) in enumerate(wanted)]
    last = {(task.system, task.name): start + timedelta(hours=at) for task, at in zip(tasks, ago, strict=False)}
    found = due(tasks, last, start + timedelta(hours=now))
    for task in tasks:
        at = last.get((task.system, task.name))
        assert (task in found) == (at is None or at + task.every <= start + timedelta(hours=now))


def test_a_plan_without_feeds_or_keep_still_keeps_its_tables_in_order() -> None:
    assert [task.name for task in tasks_of(plans.minimal())] == ["watch", "renew", "compact"]
