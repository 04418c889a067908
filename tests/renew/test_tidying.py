"""What a renewal made is gone when it is over, but for what a version needs and for logs; and so are its legs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.renew.living import DESK, Desk

from shelflife import durable, models
from shelflife.durable import Durable, Ended
from shelflife.renew import registry
from shelflife.renew.tending import url_of
from shelflife.renew.tidying import tidy
from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.workspace import Settings

DAY = timedelta(days=1)


def files(settings: Settings, number: int) -> set[str]:
    folder = settings.home / "renewals" / str(number)
    return {path.name for path in folder.rglob("*") if path.is_file()}


def kept(url: str) -> int:
    """How many legs are kept; of others nothing is."""
    engine = create_engine(url)
    schema = "dbos." if engine.dialect.name == "postgresql" else ""
    with engine.connect() as connection:
        known, *others = (
            set(connection.execute(text(f"SELECT DISTINCT workflow_uuid FROM {schema}{name}")).scalars())
            for name in ("workflow_status", "operation_outputs", "workflow_input", "workflow_output")
        )
    engine.dispose()
    assert all(one <= known for one in others)
    return len(known)


def test_what_it_made_goes_with_it(desk: Callable[..., Desk], settings: Settings) -> None:
    here = desk(challenger=None, gates=["beats_baseline"], data={"windows": ["8d"], "validate": "4d"})
    here.live(12, tend=False)
    here.system.renewing.start(DESK, because="the first version", by="analyst")
    killed = settings.home / "renewals" / "1" / "8d-0123"  # what a training left that was killed
    (killed / "model").mkdir(parents=True)
    (killed / "rows.arrow").touch()
    here.tend(3)
    assert {"rows.arrow", "MLmodel", "training.log"} <= files(settings, 1)  # it is under way, and waits for people
    here.system.renewing.decide(1, approve=True, person="lead", reason="")
    here.tend()
    here.live(3)
    assert here.newest.state == "promoted"
    assert files(settings, 1) == {"training.log"}
    version = here.system.versions.one(DESK, 1)
    assert models.digest(registry.artifact(settings, version)) == version.digest
    here.system.renewing.start(DESK, because="another one", by="analyst")
    here.tend(2)
    assert here.newest.number == 2
    assert here.newest.state != "running"
    if here.newest.ended is None:
        here.system.renewing.cancel(2, reason="it is a test", by="lead")
        here.tend()
    assert files(settings, 2) == {"training.log"}
    assert not (settings.home / "renewals" / "1").exists()
    assert kept(url_of(settings)) == 1  # the last one, however often it was looked at
    tidy(here.system.database, settings, DESK, here.clock.now())
    assert files(settings, 2) == {"training.log"}


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_a_killed_one_left_half_removed_is_removed(
    desk: Callable[..., Desk], settings: Settings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = desk().system
    for number in (1, 2, 3):
        made = system.renewing.start(DESK, because="x", by="analyst")
        if number < 3:
            system.renewing.cancel(made.number, reason="it is a test", by="lead")
        for name in ("8d-a/training.log", "8d-a/rows.arrow", "8d-b/model/MLmodel", "all-c/training.log"):
            path = settings.home / "renewals" / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for owner, name in ((Path, "unlink"), (shutil, "rmtree")):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, killed)
            with pytest.raises(KeyboardInterrupt):
                tidy(system.database, settings, DESK, clock.now())
    tidy(system.database, settings, DESK, clock.now())
    assert [files(settings, number) for number in (1, 2)] == [set(), {"training.log"}]
    assert files(settings, 3) == {"training.log", "rows.arrow", "MLmodel"}  # it is under way


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_copies_that_nobody_has_finished_go_after_a_day(system: System, clock: ManualClock) -> None:
    settings, now = system.settings, clock.now().timestamp()
    made: dict[str, Path] = {}
    for name, place in (
        ("adopted", "adopting-a1"), ("copied", f"artifacts/{DESK}/.0a1b-77"), ("fetched", "artifacts/fetched/tmpx"),
        ("other", "artifacts/another/.0a1b-77"), ("kept", f"artifacts/{DESK}/0a1b"),
    ):  # fmt: skip
        made[name] = settings.home / place
        made[name].mkdir(parents=True)
        os.utime(made[name], (now, now))
    tidy(system.database, settings, DESK, now=clock.now() + DAY / 2)
    assert all(path.exists() for path in made.values())
    tidy(system.database, settings, DESK, now=clock.now() + 1.1 * DAY)
    assert {name for name, path in made.items() if path.exists()} == {"other", "kept"}


def test_an_error_is_told_until_it_is_tried_again_and_then_forgotten(settings: Settings) -> None:
    ended: list[Ended | Exception] = [ValueError("no good"), ValueError("no good"), "over", "over"]
    living = {"renewal-1", "renewal-2"}

    def do(run: str, place: int) -> Ended:
        found = ended.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    url = url_of(settings)
    doing = Durable(url, do, living.__contains__)
    try:
        for run in ("renewal-1", "renewal-2"):
            doing.go(run, 0)
            doing.join()
        stopped = [(leg.run, leg.error) for leg in durable.legs(url)]
        assert [run for run, _ in stopped] == ["renewal-1", "renewal-2"]
        assert all("no good" in str(error) for _, error in stopped)
        doing.go("renewal-1", 0)
        doing.join()
        assert [leg.run for leg in durable.legs(url)] == ["renewal-2"]
        living.remove("renewal-2")  # a person ended it
        doing.go("renewal-1", 0)
        doing.join()
        assert durable.legs(url) == []
        assert kept(url) == 1
    finally:
        doing.close()
