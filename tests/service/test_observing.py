"""What was accepted is kept once, whatever happens."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import event, insert

from shelflife import plan
from shelflife.errors import BadInput
from shelflife.observe import ids
from shelflife.observe import intake as taking
from shelflife.observe.intake import Broken, Full
from shelflife.observe.rows import from_json
from shelflife.store.log import Log, adopted, records
from shelflife.store.schema import batches
from shelflife.system import System
from shelflife.testing.clock import ManualClock

NAME = "parcel-delay"


def rows(system: System, ids: list[str], kind: Any = "predictions", **more: Any) -> pa.Table:
    made = [{"id": one, "time": "2026-04-30T10:00:00Z", "outcome": "late", **more} for one in ids]
    return from_json(made, system.shape(NAME, kind), now=system.clock.now()).table


def kept(system: System, kind: str = "predictions") -> list[str]:
    found = system.tables.open(NAME, kind)
    return sorted(found.to_pyarrow_table(columns=["id"])["id"].to_pylist()) if found is not None else []


# ----------------------------------------------------------------------------------------------------------------------
# The log


def test_what_was_appended_is_read_again(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append([b"a", b"", b"c" * 100_000])
    log.append([b"d"])
    sealed = log.seal()
    assert sealed is not None
    assert list(records(sealed)) == [b"a", b"", b"c" * 100_000, b"d"]
    assert log.seal() is None
    log.close()


def test_what_is_half_written_was_not_appended(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append([b"first", b"second"])
    sealed = log.seal()
    assert sealed is not None
    whole = sealed.read_bytes()
    found = set()
    for length in range(len(whole) + 1):
        sealed.write_bytes(whole[:length])
        found.add(tuple(records(sealed)))
    assert found == {(), (b"first",), (b"first", b"second")}
    log.close()


def test_a_living_process_keeps_its_log_and_a_dead_one_leaves_it(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append([b"a"])
    with adopted(tmp_path) as segments:
        assert segments == []
    log.close()
    with adopted(tmp_path) as segments:
        assert [list(records(segment)) for segment in segments] == [[b"a"]]
        for segment in segments:
            segment.unlink()
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path)
    log.append([b"a"])

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(OSError, match="No space left"):
        log.append([b"b"])
    monkeypatch.undo()
    log.append([b"c"])
    sealed = log.seal()
    assert sealed is not None
    assert list(records(sealed)) == [b"a", b"c"]
    log.close()


# ----------------------------------------------------------------------------------------------------------------------
# The way in


def test_each_id_is_kept_once_and_known_at_once(system: System) -> None:
    with system.intake(drain_every=3600) as intake:
        assert intake.submit(NAME, "predictions", rows(system, ["a", "b", "a"])).result().duplicates == (2,)
        assert intake.submit(NAME, "predictions", rows(system, ["b", "c"])).result().duplicates == (0,)
        assert intake.submit(NAME, "outcomes", rows(system, ["b"], "outcomes")).result().duplicates == ()
        assert intake.drain() == 4
        assert intake.submit(NAME, "predictions", rows(system, ["a", "d"])).result().duplicates == (0,)
    assert kept(system) == ["a", "b", "c", "d"]
    assert kept(system, "outcomes") == ["b"]


def test_many_senders_of_the_same_rows_keep_them_once(system: System) -> None:
    tables = [rows(system, [str(n) for n in range(start, start + 50)]) for start in range(0, 500, 25)]
    with system.intake(drain_every=0.05) as intake, ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda table: intake.submit(NAME, "predictions", table).result(), tables))
    accepted = sum(50 - len(receipt.duplicates) for receipt in receipts)
    assert kept(system) == sorted(str(n) for n in range(525))
    assert accepted == 525


def test_two_processes_of_one_workspace_keep_a_row_once(system: System, written: plan.Written) -> None:
    other = System(system.settings, system.clock)
    with system.intake(drain_every=3600) as one, other.intake(drain_every=3600) as two:
        for intake in (one, two):
            intake.submit(NAME, "predictions", rows(system, [str(n) for n in range(100)])).result()
        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(lambda intake: intake.drain(), (one, two))) == 100
    other.close()
    assert kept(system) == sorted(str(n) for n in range(100))
    assert system.ledger.verify().broken is None
    del written


@pytest.mark.parametrize("cut", ["before the ids", "after the ids", "before the rows", "after the rows"])
def test_a_batch_that_was_cut_short_is_gone_on_with(system: System, monkeypatch: pytest.MonkeyPatch, cut: str) -> None:
    """As if the process had been killed there; test_kill.py kills one, at moments that nobody chose."""
    when, _, what = cut.split()
    of, name = (ids, "claim") if what == "ids" else (system.tables, "append")
    step = getattr(of, name)

    def killed(*given: Any, **named: Any) -> Any:
        if when == "after":
            step(*given, **named)
        raise KeyboardInterrupt

    intake = taking.Intake(
        system.database, system.tables, system.settings.log_folder, system.clock, shape=system.shape, drain_every=3600
    )
    intake.start()
    intake.submit(NAME, "predictions", rows(system, ["a", "b"])).result()
    monkeypatch.setattr(of, name, killed)
    with pytest.raises(KeyboardInterrupt):
        intake.drain()
    monkeypatch.undo()
    intake.close()
    with system.intake(drain_every=3600):
        pass
    assert kept(system) == ["a", "b"]


def test_what_is_not_taken_is_told(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    with system.intake(drain_every=3600, most_bytes=10) as intake:
        intake.submit(NAME, "predictions", rows(system, ["a"])).result()
        with pytest.raises(Full):
            intake.submit(NAME, "predictions", rows(system, ["b"]))
        intake.drain()

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fdatasync", full)
        with pytest.raises(Broken, match="No space left"):
            intake.submit(NAME, "predictions", rows(system, ["c"])).result()
        monkeypatch.undo()
        assert intake.submit(NAME, "predictions", rows(system, ["c"])).result().duplicates == ()
    assert kept(system) == ["a", "c"]


def test_late_outcomes_stand_at_the_time_of_their_prediction(system: System, clock: ManualClock) -> None:
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", rows(system, ["a"])).result()
        intake.drain()
        clock.advance(timedelta(days=9))
        intake.submit(NAME, "outcomes", rows(system, ["a", "never seen"], "outcomes", time=None)).result()
    found = {row["id"]: row for row in system.tables.open(NAME, "outcomes").to_pyarrow_table().to_pylist()}
    assert found["a"]["time"] == clock.now()
    assert found["a"]["prediction_time"].isoformat() == "2026-04-30T10:00:00+00:00"
    assert found["never seen"]["prediction_time"] is None


def test_a_new_plan_may_bring_new_inputs(system: System, written: plan.Written) -> None:
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", rows(system, ["a"], inputs={"weight": 1.0})).result()
        wider = plan.parse(written.text.replace("weight: numeric", "weight: numeric, parcels: numeric"))
        system.apply(wider, by="lead", because="more")
        intake.submit(NAME, "predictions", rows(system, ["b"], inputs={"weight": 1.0, "parcels": 2.0})).result()
    found = {row["id"]: row["inputs"] for row in system.tables.open(NAME, "predictions").to_pyarrow_table().to_pylist()}
    assert (found["a"]["parcels"], found["b"]["parcels"]) == (None, 2.0)


# ----------------------------------------------------------------------------------------------------------------------
# Files


def test_files_are_kept_once_and_their_bad_rows_told(system: System, tmp_path: Path) -> None:
    times = pa.array(["2026-04-30T10:00:00Z"] * 5)
    table = pa.table({"parcel": ["a", "b", "b", None, "d"], "time": times, "weight": ["1", "2", "2", "3", "heavy"]})
    pq.write_table(table, tmp_path / "x.parquet")
    found = system.observe(NAME, "predictions", tmp_path / "x.parquet", columns={"id": "parcel"}, by="engineer")
    assert (found.accepted, found.duplicate, found.rejected) == (0, 0, 5)
    assert found.reasons[0] == (1, '`inputs.weight` is to be a number; found "1"')
    good = table.set_column(2, "weight", pa.array([1.0, 2.0, 2.0, 3.0, 4.0]))
    pq.write_table(good, tmp_path / "y.parquet")
    for _ in range(2):
        found = system.observe(NAME, "predictions", tmp_path / "y.parquet", columns={"id": "parcel"}, by="engineer")
    assert (found.accepted, found.duplicate, found.rejected) == (0, 4, 1)
    assert found.reasons == ((4, "`id` is missing"),)
    assert kept(system) == ["a", "b", "d"]
    assert [entry.body["accepted"] for entry in system.ledger.entries(kind="rows.observed")] == [0, 3, 0]
    with pytest.raises(BadInput, match="There is no file"):
        system.observe(NAME, "predictions", tmp_path / "none.parquet", by="engineer")


# ----------------------------------------------------------------------------------------------------------------------
# Snapshots and keeping


def test_a_snapshot_is_read_again_though_a_new_input_has_rows_since(system: System, written: plan.Written) -> None:
    nothing = system.snapshot(NAME, by="analyst")  # there are no tables yet
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", rows(system, ["a"], inputs={"weight": 1.0})).result()
        intake.submit(NAME, "outcomes", rows(system, ["a"], "outcomes")).result()
    wider = plan.parse(written.text.replace("weight: numeric", "weight: numeric, parcels: numeric"))
    system.apply(wider, by="lead", because="more")
    taken = system.snapshot(NAME, by="analyst")
    before = system.training_rows(taken.id)
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", rows(system, ["b"], inputs={"parcels": 1.0})).result()
    assert len(before) == 1
    assert system.training_rows(taken.id).equals(before)
    assert len(system.training_rows(nothing.id)) == 0


def test_a_snapshot_waits_for_a_batch_whose_number_is_given_and_not_seen(
    system: System,
) -> None:
    if system.database.is_sqlite:
        pytest.skip("one writes at a time")
    begun = insert(batches).values(
        source="log:x/1", system=NAME, kind="predictions", rows=1, started=system.clock.now()
    )  # fmt: skip
    waits = threading.Event()

    def locks(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("LOCK"):
            waits.set()

    event.listen(system.database.engine, "before_cursor_execute", locks)
    with ThreadPoolExecutor(1) as pool:
        with system.database.writing() as connection:
            connection.execute(begun)
            with system.database.writing() as other:
                other.execute(begun.values(source="log:y/1", done=system.clock.now()))
            taking_it = pool.submit(system.snapshot, NAME, by="analyst")
            assert waits.wait(30)
        assert taking_it.result().until == 0


def history(system: System, first: int, count: int) -> None:
    ids = [f"p{number:05d}" for number in range(first, first + count)]
    moments = [f"2026-04-{1 + number % 28:02d}T{number % 24:02d}:00:00Z" for number in range(first, first + count)]
    made = [
        {"id": one, "time": at, "inputs": {"weight": random.Random(one).random()}}
        for one, at in zip(ids, moments, strict=True)
    ]
    with system.intake(drain_every=3600) as intake:
        table = from_json(made, system.shape(NAME, "predictions"), now=system.clock.now()).table
        intake.submit(NAME, "predictions", table).result()
        intake.drain()
        intake.submit(NAME, "outcomes", rows(system, ids[: count - 5], "outcomes")).result()


def test_a_snapshot_is_the_same_after_appends_compactions_and_erasures_of_others(
    system: System, clock: ManualClock
) -> None:
    history(system, 0, 60)
    taken = system.snapshot(NAME, by="analyst")
    before = system.training_rows(taken.id)
    assert (taken.rows, len(before)) == (55, 55)
    assert before["id"].to_pylist() != sorted(before["id"].to_pylist())  # it is in the order of time
    for step in range(3):
        clock.advance(timedelta(days=100))
        history(system, 100 + 100 * step, 40)
        system.compact(NAME, by="engineer")
    system.erase(NAME, "p00105", by="engineer")
    after = system.training_rows(taken.id)
    assert after.equals(before)
    system.erase(NAME, before["id"][0].as_py(), by="engineer")
    with pytest.raises(BadInput, match="are no longer what they were: 55 then, 54 now"):
        system.training_rows(taken.id)
    assert system.ledger.verify().broken is None


def test_an_erased_id_is_nowhere_and_does_not_come_back(system: System) -> None:
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", rows(system, ["secret-77", "b"])).result()
        intake.submit(NAME, "outcomes", rows(system, ["secret-77"], "outcomes")).result()
        feedback = rows(system, ["f"], "feedback", prediction_id="secret-77", what="comment", text="secret-77 said")
        intake.submit(NAME, "feedback", feedback).result()
        intake.drain()
        assert system.erase(NAME, "secret-77", by="officer") == 3
        assert intake.submit(NAME, "predictions", rows(system, ["secret-77"])).result().duplicates == (0,)
    assert kept(system) == ["b"]
    left = [
        path
        for path in Path(system.tables.root).rglob("*.parquet")
        if "secret-77" in str(pq.read_table(path).to_pydict())
    ]
    assert left == []
    told = str([entry.body for entry in system.ledger.entries()])
    assert "secret-77" not in told
    assert hashlib.sha256(b"secret-77").hexdigest()[:12] not in told  # by which it could be guessed


def test_an_id_that_is_erased_while_it_is_on_its_way_is_not_kept(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = system.tables.append
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", rows(system, ["in the log", "stays"])).result()
        system.erase(NAME, "in the log", by="lead")
        intake.drain()
        assert kept(system) == ["stays"]

        def erased_between(*given: Any) -> None:
            system.erase(NAME, "claimed", by="lead")
            append(*given)

        intake.submit(NAME, "predictions", rows(system, ["claimed", "too"])).result()
        monkeypatch.setattr(system.tables, "append", erased_between)
        intake.drain()
        monkeypatch.undo()
    assert kept(system) == ["stays", "too"]


def test_rows_older_than_the_plan_keeps_them_are_removed(system: System, clock: ManualClock) -> None:
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", rows(system, ["old"], time="2026-04-01T00:00:00Z")).result()
        intake.submit(NAME, "predictions", rows(system, ["new"], time="2026-04-29T00:00:00Z")).result()
        intake.drain()
        intake.submit(NAME, "outcomes", rows(system, ["old", "new"], "outcomes")).result()
    assert system.expire(NAME, by="loop") == 0
    clock.advance(timedelta(days=400 - 10))
    assert system.expire(NAME, by="loop") == 2
    assert (kept(system), kept(system, "outcomes")) == (["new"], ["new"])


def test_compaction_changes_no_row(system: System) -> None:
    for start in range(0, 100, 10):
        with system.intake(drain_every=3600) as intake:
            intake.submit(NAME, "predictions", rows(system, [str(n) for n in range(start, start + 10)])).result()
    before, after = system.compact(NAME, by="engineer")
    assert (before, after) == (10, 1)
    assert kept(system) == sorted(str(n) for n in np.arange(100))


def test_a_reader_who_has_begun_reads_on_while_rows_expire(system: System, clock: ManualClock) -> None:
    history(system, 0, 30)
    reading = system.tables.dataset(NAME, "predictions")
    clock.advance(timedelta(days=4000))
    assert system.expire(NAME, by="loop") == 55
    assert len(reading.to_table()) == 30


def test_what_a_writer_who_was_killed_has_left_is_removed_when_it_is_old(system: System) -> None:
    if not system.tables.root.startswith("/"):
        pytest.skip("files are made old by hand")
    history(system, 0, 10)
    folder = Path(system.tables.address(NAME, "predictions"))
    for name in ("old", "fresh"):
        (folder / f"{name}.parquet").write_bytes(b"")
    os.utime(folder / "old.parquet", (0, 0))
    system.compact(NAME, by="loop")
    assert {path.stem for path in folder.glob("*.parquet")} & {"old", "fresh"} == {"fresh"}
