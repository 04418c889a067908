"""The folder of a workspace: made where nothing is, left alone where something else is, read where it is read-only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from shelflife.errors import BadInput
from shelflife.store import database
from shelflife.store.database import Database
from shelflife.system import System
from shelflife.testing import plans
from shelflife.workspace import Settings

NAME = "support-desk"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder in which a workspace was made by `plan apply`."""
    (tmp_path / "shelflife.yaml").write_text(plans.text())
    assert run(tmp_path, "plan", "apply", "shelflife.yaml").returncode == 0
    return tmp_path / ".shelflife"


def run(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    settings = {name: value for name, value in os.environ.items() if not name.startswith("SHELFLIFE_")}
    return subprocess.run(
        [sys.executable, "-m", "shelflife", *words], cwd=folder, env={**settings, **more}, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("left", [b"", None])
def test_a_database_that_is_gone_is_not_taken_for_a_new_workspace(home: Path, left: bytes | None) -> None:
    for path in home.glob("shelflife.db*"):
        path.unlink()
    if left is not None:
        (home / "shelflife.db").write_bytes(left)
    for words in (["status"], ["plan", "apply", "shelflife.yaml"], ["ledger", "verify"]):
        done = run(home.parent, *words)
        assert done.returncode == 2
        assert "is gone or empty, though the workspace was used" in done.stderr
        assert "Restore it from a back-up" in done.stderr


def test_a_database_that_was_cut_or_is_something_else_is_told(home: Path) -> None:
    whole = (home / "shelflife.db").read_bytes()
    for left in (whole[:5000], b"no database " * 1000):
        (home / "shelflife.db").write_bytes(left)
        done = run(home.parent, "status")
        assert done.returncode == 2
        assert "does not answer" in done.stderr


def test_a_new_form_of_another_database_is_refused_too(tmp_path: Path, postgres: Any) -> None:
    home = tmp_path / "workspace"
    System(Settings(home=home, database=postgres())).close()
    with pytest.raises(BadInput, match="is gone or empty"):
        System(Settings(home=home, database=postgres()))


@pytest.mark.parametrize("name", ["q?a", "50%25", "a b#c", "ü&mode=ro"])
def test_any_name_of_a_folder_is_that_of_the_workspace(tmp_path: Path, name: str) -> None:
    System(Settings(home=tmp_path / name)).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert {path.name for path in (tmp_path / name).iterdir()} == {".gitignore", "shelflife.db"}
    System(Settings(home=tmp_path / name), make=False).close()
    Database(tmp_path / name / "shelflife.db", read_only=True).close()


def test_a_folder_of_other_things_is_left_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir(mode=0o755)
    (folder / "README.md").write_text("mine")
    before = folder.stat().st_mode
    with pytest.raises(BadInput, match=r"holds other things and no workspace\. Name one"):
        System(Settings(home=folder))
    assert [path.name for path in folder.iterdir()] == ["README.md"]
    assert folder.stat().st_mode == before
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o755)
    System(Settings(home=empty)).close()
    assert empty.stat().st_mode & 0o077 == 0


def test_a_name_that_was_mistyped_makes_no_workspace(home: Path) -> None:
    for words in (["up", "--port", "0"], ["status"], ["ledger", "show"]):
        done = run(home.parent, *words, "--workspace", "typo")
        assert done.returncode == 2
        assert "There is no workspace 'typo'. `shelflife plan apply` makes one." in done.stderr
    assert not (home.parent / "typo").exists()


def test_what_can_only_be_read_is_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # as on a medium that is read-only
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    system = System(Settings(home=home), make=False)
    assert system.ledger.verify().broken is None
    assert system.names() == [NAME]
    assert system.plan(NAME).plan.system == NAME
    assert system.watching.findings() == []
    with pytest.raises(BadInput, match="it, or its folder, can only be read"):
        system.tokens.make("job", ["observe"], by="lead")
    system.close()
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


def test_settings_that_cannot_be_used_are_told(home: Path) -> None:
    done = run(home.parent, "status", SHELFLIFE_TABLE_OPTIONS="{secret")
    assert (done.returncode, "SHELFLIFE_TABLE_OPTIONS asks for JSON" in done.stderr) == (2, True)
    assert "secret" not in done.stderr
    done = run(home.parent, "plan", "apply", "shelflife.yaml", SHELFLIFE_TABLES="ftp://x")
    assert (done.returncode, "SHELFLIFE_TABLES cannot be used" in done.stderr) == (2, True)
    assert "found ftp://x" in done.stderr
    assert json.loads(run(home.parent, "status", "--json").stdout)


def test_who_is_halted_within_a_transaction_does_not_hold_up_others_for_ever(
    postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_IDLE", 1)
    url = postgres()
    halted, other = Database(url), Database(url)
    halted.migrate()
    locked = text("LOCK TABLE systems IN EXCLUSIVE MODE")

    def halt() -> None:
        with halted.writing() as connection:
            connection.execute(locked)
            with other.writing() as waits:
                waits.execute(locked)  # as soon as the one before is ended
            connection.execute(locked)

    with pytest.raises(OperationalError):
        halt()
    halted.close()
    other.close()
