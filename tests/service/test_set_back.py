"""What goes wrong between the log and the tables: it is tried again, or set aside and told; nothing is dropped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from shelflife import plan
from shelflife.observe.rows import from_json
from shelflife.store.log import Damaged, Log, records
from shelflife.store.tables import Tables
from shelflife.system import System

NAME = "parcel-delay"


def rows(system: System, *ids: str, kind: Any = "predictions", **more: Any) -> pa.Table:
    made = [{"id": one, "time": "2026-04-30T10:00:00Z", **more} for one in ids]
    read = from_json(made, system.shape(NAME, kind), now=system.clock.now())
    assert not read.rejected
    return read.table


def kept(system: System, column: str = "id") -> list[Any]:
    found = system.tables.dataset(NAME, "predictions")
    return [] if found is None else sorted(found.to_table(columns=["id", "inputs"])[column].to_pylist())


def away(*_: Any) -> None:
    raise OSError("object store away")


def test_rows_that_could_not_be_moved_are_moved_by_the_next_drain(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", rows(system, "a")).result()
        with monkeypatch.context() as patched:
            patched.setattr(Tables, "append", away)
            with pytest.raises(OSError, match="away"):
                intake.drain()
        assert intake.submit(NAME, "predictions", rows(system, "a", "b")).result().duplicates == (0,)
        assert intake.drain() == 2
        assert kept(system) == ["a", "b"]


def test_the_service_starts_while_the_object_store_is_away(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Tables, "append", away)
        with system.intake(drain_every=3600) as intake:
            intake.submit(NAME, "predictions", rows(system, "a")).result()
        with system.intake(drain_every=3600) as intake:
            intake.submit(NAME, "predictions", rows(system, "b")).result()
    with system.intake(drain_every=3600) as intake:
        intake.adopt()
        assert kept(system) == ["a", "b"]


def test_a_waiter_who_went_holds_up_nobody(system: System) -> None:
    with system.intake(drain_every=3600) as intake:
        with intake._wake:  # so that nothing is taken meanwhile
            gone = intake.submit(NAME, "predictions", rows(system, "a"))
            assert gone.cancel()
        assert intake.submit(NAME, "predictions", rows(system, "b")).result(30).duplicates == ()
    assert kept(system) == ["b"]


@pytest.mark.parametrize("heavy", [True, False], ids=["the other type first", "alone"])
def test_rows_of_before_a_plan_changed_a_type_are_kept_in_the_new_one(
    system: System, written: plan.Written, heavy: bool
) -> None:
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", rows(system, "a", inputs={"weight": 1.0})).result()
        system.apply(plan.parse(written.text.replace("weight: numeric", "weight: category")), by="lead", because="x")
        if heavy:
            intake.submit(NAME, "predictions", rows(system, "b", inputs={"weight": "heavy"})).result()
    found = system.tables.open(NAME, "predictions").to_pyarrow_table().sort_by("id")["inputs"].to_pylist()
    assert [one["weight"] for one in found] == (["1", "heavy"] if heavy else ["1"])


def test_rows_that_fit_no_more_are_set_aside_and_told(system: System, written: plan.Written) -> None:
    text = plan.parse(written.text.replace("weight: numeric", "weight: category"))
    system.apply(text, by="lead", because="x")
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", rows(system, "a", inputs={"weight": "heavy"})).result()
        system.apply(written, by="lead", because="back")
        intake.submit(NAME, "predictions", rows(system, "b", inputs={"weight": 2.0})).result()
        intake.drain()
        assert kept(system) == ["b"]
        (told,) = system.ledger.entries(kind="rows.set_aside")
        assert "1 predictions of parcel-delay do not fit the plan of today" in told.body["reason"]
        assert Path(told.body["file"]).is_file()


def test_a_damaged_record_is_set_aside_and_told(system: System) -> None:
    with system.intake(drain_every=3600) as intake:
        for one in "abc":
            intake.submit(NAME, "predictions", rows(system, one)).result()
        segment = intake._log.open
        raw = bytearray(segment.read_bytes())
        raw[len(raw) // 2] ^= 1
        segment.write_bytes(bytes(raw))
        intake.drain()
        assert kept(system) == ["a"]
        (told,) = system.ledger.entries(kind="rows.set_aside")
        assert Path(told.body["file"]).read_bytes() == bytes(raw)
        assert "is damaged after" in told.body["reason"]


def test_what_a_crash_left_is_told_from_damage(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append([b"first", b"second"])
    whole = log.open.read_bytes()
    segment = tmp_path / "x"
    for end, good in ((b"", True), (b"\0" * 100, True), (whole[:20], True), (b"garbage of some length", False)):
        segment.write_bytes(whole + end)
        if good:
            assert list(records(segment))[:2] == [b"first", b"second"]
        else:
            with pytest.raises(Damaged):
                list(records(segment))
    segment.write_bytes(whole[:-1])
    assert list(records(segment)) == [b"first"]
    with pytest.raises(Damaged):
        list(records(segment, sealed=True))
    log.close()


def test_where_a_failed_write_cannot_be_cut_off_a_segment_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path)
    log.append([b"a"])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", away)
        patched.setattr(os, "ftruncate", away)
        with pytest.raises(OSError, match="away"):
            log.append([b"b"])
    first = log.open
    log.append([b"c"])
    assert log.open != first
    assert next(iter(records(first))) == b"a"
    assert list(records(log.open, sealed=True)) == [b"c"]
    log.close()


def test_feedback_about_an_erased_prediction_is_not_kept(system: System) -> None:
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", rows(system, "a")).result()
        intake.drain()
        system.erase(NAME, "a", by="lead")
        said = rows(system, "f", kind="feedback", what="comment", prediction_id="a", text="555")
        intake.submit(NAME, "feedback", said).result()
        other = rows(system, "g", kind="feedback", what="comment", text="fine")
        intake.submit(NAME, "feedback", other).result()
        intake.drain()
    assert system.tables.dataset(NAME, "feedback").to_table()["id"].to_pylist() == ["g"]


def test_batches_that_are_done_are_forgotten(system: System) -> None:
    from sqlalchemy import func, select

    from shelflife.store.schema import batches

    with system.intake(drain_every=3600) as intake:
        for one in "abcd":
            intake.submit(NAME, "predictions", rows(system, one)).result()
            intake.drain()
    with system.database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(batches)) == 1
