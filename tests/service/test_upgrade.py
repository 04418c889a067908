"""Workspaces that earlier versions made are opened by this one; `python tests/service/test_upgrade.py` makes one."""

from __future__ import annotations

import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from shelflife import plan
from shelflife.errors import BadInput
from shelflife.observe.rows import from_json
from shelflife.store import database
from shelflife.system import System
from shelflife.testing import plans
from shelflife.testing.clock import ManualClock
from shelflife.workspace import Settings

HERE = Path(__file__).parent / "workspaces"
NOW = datetime(2026, 5, 2, tzinfo=UTC)
NAME = "support-desk"


def make(archive: Path) -> None:
    """A workspace with a plan, a token, observed rows, a snapshot and an id that was erased."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "workspace"
        system = System(Settings(home=home), ManualClock(NOW))
        system.apply(plan.parse(plans.text()), by="lead", because="first")
        system.tokens.make("job", ["observe"], by="lead")
        system.accounts.make("mara", role="owner", by="lead")
        shape = system.shape(NAME, "predictions")
        rows = [{"id": f"t{n}", "time": "2026-05-01T10:00:00Z", "inputs": {"age": n}} for n in range(5)]
        with system.intake(drain_every=3600) as intake:
            intake.submit(NAME, "predictions", from_json(rows[:3], shape, now=NOW).table).result()
            intake.drain()
            outcomes = from_json([{"id": "t1", "outcome": "a"}], system.shape(NAME, "outcomes"), now=NOW).table
            intake.submit(NAME, "outcomes", outcomes).result()
            intake.drain()
            system.snapshot(NAME, by="analyst")
            intake.submit(NAME, "predictions", from_json(rows[3:], shape, now=NOW).table).result()
        system.erase(NAME, "t3", by="lead")
        system.close()
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(home, arcname="workspace")


@pytest.mark.parametrize("archive", sorted(HERE.glob("*.tar.gz")), ids=lambda path: path.stem)
def test_a_workspace_of_an_earlier_version_is_opened(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    system = System(Settings(home=tmp_path / "workspace"), ManualClock(NOW), make=False)
    assert system.plan(NAME).plan.system == NAME
    assert system.ledger.verify().broken is None
    (taken,) = system.ledger.entries(kind="snapshot.taken")
    assert system.training_rows(taken.body["snapshot"])["id"].to_pylist() == ["t1"]
    with system.intake(drain_every=3600) as intake:
        shape = system.shape(NAME, "predictions")
        again = [{"id": one, "time": "2026-05-01T10:00:00Z"} for one in ("t0", "t3", "t9")]
        assert intake.submit(NAME, "predictions", from_json(again, shape, now=NOW).table).result().duplicates == (0, 1)
    system.close()


def test_a_workspace_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "workspace")
    system = System(settings)
    with system.database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    system.close()
    with pytest.raises(BadInput, match=r"was written by a newer Shelflife \(its form is 9999\)"):
        System(settings)


@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
def test_migrations_make_what_the_schema_says(settings: Settings) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from shelflife.store.schema import metadata

    settings.home.mkdir()
    made = database.Database(settings.database_url)
    made.migrate()
    with made.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    made.close()


def test_every_form_has_a_workspace_kept() -> None:
    forms = {
        path.stem.split("_")[0] for path in (Path(database.__file__).parent / "migrations" / "versions").glob("*.py")
    }
    assert forms <= {path.name.split(".")[0] for path in HERE.glob("*.tar.gz")}


if __name__ == "__main__":
    last = max(
        path.stem.split("_")[0] for path in (Path(database.__file__).parent / "migrations/versions").glob("0*.py")
    )
    HERE.mkdir(exist_ok=True)
    make(HERE / f"{last}.tar.gz")
