"""What a run that was killed has left: its rows come again and are kept once, and nobody waits for it for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shelflife.errors import BadInput
from shelflife.observe import files, left
from shelflife.store.tables import Tables
from shelflife.system import System
from shelflife.testing.clock import ManualClock

NAME = "parcel-delay"
DAY_BEFORE = pa.scalar("2026-04-30T10:00:00Z").cast(pa.timestamp("us", "UTC"))


def write(path: Path, *names: str) -> Path:
    pq.write_table(pa.table({"id": list(names), "time": pa.repeat(DAY_BEFORE, len(names))}), path)
    return path


def kept(system: System) -> list[str]:
    found = system.tables.dataset(NAME, "predictions")
    return [] if found is None else sorted(found.to_table(columns=["id"])["id"].to_pylist())


def killed(monkeypatch: pytest.MonkeyPatch, of: Any, name: str, *, after: bool, act: Callable[[], Any]) -> None:
    """Do something, and be gone where a step begins or ends."""
    step = getattr(of, name)

    def cut(*given: Any, **named: Any) -> None:
        if after:
            step(*given, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(of, name, cut)
        with pytest.raises(KeyboardInterrupt):
            act()


def observe(system: System, path: Path) -> Any:
    return system.observe(NAME, "predictions", path, by="lead")


def wait(system: System) -> None:
    assert isinstance(system.clock, ManualClock)
    system.clock.advance(left.GONE + timedelta(seconds=1))


@pytest.mark.parametrize("after", [False, True], ids=["before it was written", "after it was written"])
def test_rows_of_a_run_that_was_killed_are_kept_once(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    first, more = write(tmp_path / "a.parquet", "a", "b"), write(tmp_path / "b.parquet", "b", "c")
    killed(monkeypatch, Tables, "append", after=after, act=lambda: observe(system, first))
    monkeypatch.setattr(left, "_PATIENCE", 0.0)
    # It may be at work still: what it has claimed is neither known nor new.
    with pytest.raises(BadInput, match="being written by another run, or were by one that was killed"):
        observe(system, more)
    wait(system)
    assert observe(system, more).accepted == (1 if after else 2)
    assert observe(system, first).accepted == (0 if after else 1)
    assert kept(system) == ["a", "b", "c"]


def test_watching_does_not_wait_for_a_run_that_is_gone(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(monkeypatch, Tables, "append", after=False, act=lambda: observe(system, write(tmp_path / "a.parquet", "a")))
    wait(system)
    system.watching.look(NAME)
    assert left.finish(system.database, system.tables, NAME, now=system.clock.now()) == 0


def test_whoever_was_given_up_and_comes_back_takes_its_rows_away_again(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Tables.append

    def late(*given: Any) -> None:
        wait(system)
        left.finish(system.database, system.tables, NAME, now=system.clock.now())
        append(*given)

    path = write(tmp_path / "a.parquet", "a", "b")
    with monkeypatch.context() as patched:
        patched.setattr(Tables, "append", late)
        with pytest.raises(BadInput, match="given up"):
            observe(system, path)
    assert kept(system) == []
    assert observe(system, path).accepted == 2
    assert kept(system) == ["a", "b"]


def test_whoever_comes_back_after_its_rows_were_counted_leaves_them(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Tables.append

    def slow(*given: Any) -> None:
        append(*given)
        wait(system)
        left.finish(system.database, system.tables, NAME, now=system.clock.now())

    with monkeypatch.context() as patched:
        patched.setattr(Tables, "append", slow)
        assert observe(system, write(tmp_path / "a.parquet", "a", "b")).accepted == 2
    assert kept(system) == ["a", "b"]


def test_a_run_that_takes_long_is_not_given_up(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_ROWS", 2)
    append = Tables.append

    def slow(*given: Any) -> None:
        left.finish(system.database, system.tables, NAME, now=system.clock.now())  # as each look does
        append(*given)
        wait(system)

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": list("abcdef"), "time": pa.repeat(DAY_BEFORE, 6)}), path, row_group_size=2)
    with monkeypatch.context() as patched:
        patched.setattr(Tables, "append", slow)
        patched.setattr(files, "_AT_ONCE", 1)
        assert observe(system, path).accepted == 6


def test_whoever_tells_that_it_is_at_work_is_not_given_up(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left, "_TELLS", 0.001)
    renew, append, told = left.renew, Tables.append, threading.Event()

    def telling(*given: Any, now: datetime) -> None:
        renew(*given, now=now)
        if now == system.clock.now() and moved.is_set():
            told.set()

    moved = threading.Event()

    def slow(*given: Any) -> None:
        wait(system)
        moved.set()
        assert told.wait(30)
        left.finish(system.database, system.tables, NAME, now=system.clock.now())
        append(*given)

    monkeypatch.setattr(left, "renew", telling)
    monkeypatch.setattr(Tables, "append", slow)
    assert observe(system, write(tmp_path / "a.parquet", "a", "b")).accepted == 2


def test_what_was_kept_is_told_though_the_run_ends_early(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, calls = Tables.append, iter(range(9))
    monkeypatch.setattr(files, "_ROWS", 2)
    monkeypatch.setattr(files, "_AT_ONCE", 1)

    def second_fails(*given: Any) -> None:
        if next(calls):
            raise OSError("object store away")
        append(*given)

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": list("abcd"), "time": pa.repeat(DAY_BEFORE, 4)}), path, row_group_size=2)
    monkeypatch.setattr(Tables, "append", second_fails)
    with pytest.raises(OSError, match="away"):
        observe(system, path)
    assert [entry.body["accepted"] for entry in system.ledger.entries(kind="rows.observed")] == [2]
