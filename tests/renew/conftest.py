"""A workspace whose MLflow registry is there already, rows to learn from, and models."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.renew import living

from shelflife import plan
from shelflife.observe.keep import keep
from shelflife.observe.rows import from_arrow
from shelflife.renew import registry
from shelflife.renew.mlflows import Registry
from shelflife.renew.registry import Version
from shelflife.system import System
from shelflife.testing import plans
from shelflife.testing.clock import ManualClock
from shelflife.workspace import Settings

with warnings.catch_warnings(action="ignore"):  # of its own type hints, when it is first imported
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow.pyfunc
    import mlflow.sklearn  # noqa: F401 - here, where its warnings are no errors

DESK = "support-desk"


def rows(count: int = 400, seed: int = 0, task: str = "classification") -> pa.Table:
    """Questions whose age tells the intent, nearly always."""
    draw = np.random.default_rng(seed)
    age = draw.normal(size=count)
    sure = age + draw.normal(scale=0.3, size=count)
    outcome = np.where(sure > 0, "billing", "card") if task == "classification" else sure
    times = np.datetime64("2026-04-01T00:00:00") + np.arange(count) * np.timedelta64(60, "s")
    return pa.table({
        "id": [f"{seed}-{place}" for place in range(count)],
        "time": pa.array(times.astype("datetime64[us]"), pa.timestamp("us", "UTC")),
        "text": [f"lost{place % 7} bill{place % 3}" for place in range(count)],
        "channel": np.where(draw.random(count) < 0.5, "web", "mail"),
        "age": age,
        "outcome": outcome,
    })  # fmt: skip


def send(system: System, table: pa.Table) -> None:
    """Let the rows be predictions that were observed, and their outcomes."""
    made = table.drop_columns(["outcome"]).append_column("prediction", table["outcome"])
    true = table.select(["id", "time", "outcome"])
    for kind, found in (("predictions", made), ("outcomes", true)):
        read = from_arrow(found, system.shape(DESK, kind), now=system.clock.now())
        assert not read.rejected
        keep(system.database, system.tables, source="test", system=DESK, kind=kind, rows=read.table,
             now=system.clock.now())  # fmt: skip


@pytest.fixture(scope="session")
def mlflow_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry without models: making one takes seconds."""
    home = tmp_path_factory.mktemp("mlflow")
    with warnings.catch_warnings(action="ignore"):
        Registry(Settings(home=home)).alias("nothing", "champion")
    return home / "mlflow.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, mlflow_file: Path) -> Settings:
    """Where a workspace is to be, on each database."""
    home = tmp_path / "workspace"
    given = {"database": request.getfixturevalue("postgres")()} if request.param == "postgresql" else {}
    made = Settings(home=home, **given)
    System(made).close()
    shutil.copy(mlflow_file, home)
    return made


@pytest.fixture
def written() -> plan.Written:
    return plan.parse(plans.text())


@pytest.fixture
def system(settings: Settings, clock: ManualClock, written: plan.Written) -> Iterator[System]:
    """A workspace with the smallest plan."""
    opened = System(settings, clock)
    opened.apply(written, by="lead", because="first")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def models_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """An artifact for each number: a folder that MLflow takes for a model, each other bytes."""
    root = tmp_path_factory.mktemp("models")

    def make(number: int) -> Path:
        folder = root / str(number)
        folder.mkdir(exist_ok=True)
        (folder / "MLmodel").write_text(f"flavors: {{}}\nnumber: {number}\n")
        return folder

    return make


@pytest.fixture
def register(system: System, models_of: Callable[[int], Path]) -> Callable[..., Version]:
    """Registers an artifact by its number."""

    def make(number: int = 1, key: str | None = None, **given: Any) -> Version:
        written = system.plan(DESK)
        values: dict[str, Any] = {
            "artifact": models_of(number), "key": key or f"key {number}", "snapshot": None, "record": {},
            "by": "lead", "because": f"number {number}", "now": system.clock.now(), **given,
        }  # fmt: skip
        return registry.register(system.database, system.settings, written.plan, 1, **values)

    return make


@pytest.fixture
def desk(settings: Settings, clock: ManualClock) -> Iterator[Callable[..., living.Desk]]:
    """A desk by a plan; closed at the end."""
    opened: list[System] = []

    def make(turns: int = 10**9, moves: float = 0.0, **given: Any) -> living.Desk:
        system = System(settings, clock)
        opened.append(system)
        system.apply(living.written(**given), by="lead", because="first")
        return living.Desk(system, clock, turns=turns, moves=moves)

    yield make
    for system in opened:
        assert system.ledger.verify().broken is None
        system.close()
