"""A version is registered once, whatever happens on the way; pointers have a history that MLflow's aliases follow."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.renew.conftest import DESK

from shelflife import models
from shelflife.errors import BadInput
from shelflife.models import Tampered
from shelflife.renew import registry
from shelflife.renew.mlflows import Registry
from shelflife.store.schema import versions

PROGRAM = Path(__file__).with_name("registering.py")
DAY = timedelta(days=1)


def events(system, kind):
    return [entry.body for entry in system.ledger.entries(kind=kind)]


def in_mlflow(system):
    return sorted(one.version for one in Registry(system.settings).client.search_model_versions(f"name='{DESK}'"))


def test_a_key_is_one_version(system, register):
    first, again, second = register(1), register(1), register(2)
    assert (first.number, second.number) == (1, 2)
    assert again == first
    assert in_mlflow(system) == [1, 2]
    assert [body["version"] for body in events(system, "version.registered")] == [1, 2]
    assert system.versions.every(DESK) == [first, second]


def test_the_artifact_is_kept_as_it_was(system, register, models_of):
    made = register(1)
    kept = registry.artifact(system.settings, made)
    assert kept.is_relative_to(system.settings.home.absolute())
    assert models.digest(kept) == made.digest == models.digest(models_of(1))


@pytest.mark.parametrize("before", [False, True], ids=["now", "before places were kept by the workspace"])
def test_a_workspace_that_was_moved_or_copied_has_its_versions(system, register, tmp_path, monkeypatch, before):
    made = register(1)
    assert Path(made.source).is_absolute() == (system.settings.database is not None)
    if before:
        source = str(registry.artifact(system.settings, made))
        with system.database.writing() as connection:
            connection.execute(update(versions).values(source=source))
            made = registry.one(connection, DESK, 1)
        assert registry.artifact(system.settings, made) == Path(source)
    shutil.copytree(system.settings.home, tmp_path / "copied")
    home = Path(shutil.move(system.settings.home, tmp_path / "moved"))
    for folder in (home, tmp_path / "copied"):
        settings = system.settings.model_copy(update={"home": folder})
        there = registry.artifact(settings, made)
        assert there == folder / "artifacts" / DESK / made.digest[:32]
        assert models.digest(there) == made.digest
    monkeypatch.chdir(tmp_path)
    assert registry.artifact(system.settings.model_copy(update={"home": Path("moved")}), made).is_absolute()


@pytest.mark.parametrize(
    ("place", "when"),
    [("_kept", "after"), ("Registry.create", "after"), ("append", "before"), ("append", "after")],
)
@pytest.mark.parametrize("number", [1, 2], ids=["the same artifact", "another one"])
@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_who_was_killed_goes_on(system, register, models_of, place, when, number):
    command = [sys.executable, str(PROGRAM), system.settings.model_dump_json(), str(models_of(1)), "a key", place, when]
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[2])}
    ended = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    made = register(number, "a key")
    assert [one.number for one in system.versions.every(DESK)] == [1]
    assert [str(one) for one in in_mlflow(system)] == [made.registered]
    assert len(events(system, "version.registered")) == 1
    assert models.digest(registry.artifact(system.settings, made)) == made.digest == models.digest(models_of(number))


def test_a_key_has_a_length(register):
    with pytest.raises(BadInput, match=r"has 1 to 200 characters; found 201"):
        register(1, "x" * 201)


def test_what_was_changed_is_not_loaded(system, register):
    made = register(1)
    folder = registry.artifact(system.settings, made)
    (folder / "MLmodel").write_text("flavors: {python_function: {}}\n")
    with pytest.raises(Tampered, match="is not what was registered"):
        models.load(folder, system.plan(DESK).plan, expected=made.digest)


def test_an_unknown_version(system, register):
    register(1)
    with pytest.raises(BadInput, match=r"There is no version 7 of 'support-desk'; the newest is 1"):
        system.versions.one(DESK, 7)


def test_pointers_over_time(system, register):
    register(1)
    register(2)
    start = system.clock.now()
    with system.database.writing() as connection:
        given = {"by": "lead", "because": "better"}
        assert registry.point(connection, DESK, "champion", 1, now=start, **given)
        assert not registry.point(connection, DESK, "champion", 1, now=start + DAY, **given)
        assert registry.point(connection, DESK, "challenger", 2, now=start + DAY, **given)
        assert registry.point(connection, DESK, "champion", 2, now=start + 2 * DAY, **given)
        assert registry.close(connection, DESK, "challenger", now=start + 2 * DAY, **given)
        assert not registry.close(connection, DESK, "challenger", now=start + 2 * DAY, **given)
    with system.database.reading() as connection:
        at = [registry.pointer(connection, DESK, "champion", start + days * DAY) for days in (-1, 0, 1.5, 2, 9)]
        assert [one and one.version for one in at] == [None, 1, 1, 2, 2]
        assert registry.pointer(connection, DESK, "challenger") is None
    assert [(one.alias, one.version) for one in system.versions.pointers(DESK, start + 1.5 * DAY)] == [
        ("champion", 1), ("challenger", 2),
    ]  # fmt: skip
    assert [(body["before"], body["version"]) for body in events(system, "pointer.moved")] == [
        (None, 1), (None, 2), (1, 2),
    ]  # fmt: skip
    assert len(events(system, "pointer.closed")) == 1


def test_until_when_champions_are_good_is_told_of_those_that_are_known(system, register):
    until = system.clock.now() + DAY
    register(1), register(2, record={"best_before": until.isoformat()})

    def told(alias, version):
        with system.database.writing() as connection:
            registry.point(connection, DESK, alias, version, by="lead", because="", now=system.clock.now())
            found = registry.best_before(connection, DESK)
            assert registry.best_before(connection) == found
            assert registry.best_before(connection, "another") == {}
        return found

    assert told("champion", 1) == {}
    assert told("challenger", 2) == {}
    assert told("champion", 2) == {DESK: until}
    assert told("champion", 1) == {}


def test_what_is_pointed_at_is_there(system, register):
    with system.database.writing() as connection, pytest.raises(BadInput, match="There is no version 3"):
        registry.point(connection, DESK, "champion", 3, by="lead", because="typo", now=system.clock.now())


def follow(system):
    return registry.follow(system.database, system.settings, DESK, now=system.clock.now())


def point(system, alias, version):
    with system.database.writing() as connection:
        registry.point(connection, DESK, alias, version, by="lead", because="better", now=system.clock.now())


def test_aliases_follow(system, register):
    assert follow(system) == []
    register(1)
    register(2)
    point(system, "champion", 1)
    point(system, "challenger", 2)
    assert follow(system) == []
    aliases = Registry(system.settings)
    assert (aliases.alias(DESK, "champion"), aliases.alias(DESK, "challenger")) == ("1", "2")
    with system.database.writing() as connection:
        registry.close(connection, DESK, "challenger", by="lead", because="over", now=system.clock.now())
    assert follow(system) == []
    assert aliases.alias(DESK, "challenger") is None


@pytest.mark.parametrize("to", ["2", None])
def test_an_alias_moved_outside_is_noticed_once(system, register, to):
    register(1)
    register(2)
    point(system, "champion", 1)
    follow(system)
    Registry(system.settings).point(DESK, "champion", to)
    (moved,) = follow(system)
    assert (moved.kept, moved.found) == ("1", to)
    assert "somebody else moved it" in moved.says
    assert list(follow(system)) == [moved]
    assert [(body["kept"], body["found"]) for body in events(system, "alias.moved")] == [("1", to)]
    assert Registry(system.settings).alias(DESK, "champion") == to
    Registry(system.settings).point(DESK, "champion", "1")
    assert follow(system) == []
    point(system, "champion", 2)
    assert follow(system) == []
    assert Registry(system.settings).alias(DESK, "champion") == "2"
    assert len(events(system, "alias.moved")) == 1


def test_numbers_that_json_cannot_say_are_none_on_each_database(system, register):
    made = register(1, record={"parameters": {"missing": float("nan")}, "metrics": [float("inf"), 0.5]})
    assert system.versions.one(DESK, made.number).record == {"parameters": {"missing": None}, "metrics": [None, 0.5]}
