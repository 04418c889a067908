"""A workspace whose system has versions and routes, and a gateway that answers by them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sqlalchemy import insert

from shelflife import models, plan
from shelflife.gateway.app import Gateway
from shelflife.store.schema import routes, versions
from shelflife.system import System
from shelflife.testing import plans
from shelflife.workspace import Settings

with warnings.catch_warnings(action="ignore"):  # of its own type hints, when it is first imported
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow.pyfunc
    import mlflow.sklearn

NAME = "support-desk"
INPUTS = {"channel": "category", "age": "numeric", "weight": "numeric"}


class Constant:
    """A model that always says the same, and tells how often it was asked."""

    def __init__(self, says: str) -> None:
        self.says = says
        self.classes_ = np.array([says, "other"])

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        return np.tile([0.75, 0.25], (len(rows), 1))


class Raising(Constant):
    """A model that cannot answer about whoever is older than 100."""

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        if (rows["age"] > 100).any():
            raise RuntimeError("too old")
        return super().predict_proba(rows)


class Slow(Constant):
    """A model that answers once a file is there."""

    def __init__(self, says: str, gate: Path) -> None:
        super().__init__(says)
        self.gate = str(gate)

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        pause = threading.Event()
        while rows["age"].notna().any() and (rows["age"] != 0).any() and not os.path.exists(self.gate):  # noqa: PTH110
            pause.wait(0.01)
        return super().predict_proba(rows)


class Breaking(Constant):
    """A model that answers nobody while a file is there, and says what it was asked."""

    def __init__(self, says: str, gate: Path) -> None:
        super().__init__(says)
        self.gate = str(gate)

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        if os.path.exists(self.gate) or (rows["age"] > 100).any():  # noqa: PTH110
            raise RuntimeError(f"cannot do {rows.to_dict('records')}")
        return super().predict_proba(rows)


class Deadly(Constant):
    """A model whose process ends, by a signal or status 7, where it is asked about whoever is older than 100; or as it
    is loaded, as often as a file says."""

    def __init__(self, says: str, *, by: int | None = signal.SIGSEGV, loading: Path | None = None) -> None:
        super().__init__(says)
        self.by, self.loading = by, loading

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        if (rows["age"] > 100).any():
            self.end()
        return super().predict_proba(rows)

    def end(self) -> None:
        if self.by is None:
            os._exit(7)
        signal.raise_signal(self.by)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.loading and (often := int(self.loading.read_text())):
            self.loading.write_text(str(often - 1))
            self.end()


class SlowRaising(Slow):
    """Both."""

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        found = super().predict_proba(rows)
        if (rows["age"] > 100).any():
            raise RuntimeError("too old")
        return found


def learned() -> Any:
    """A pipeline of scikit-learn, as a trainer makes it."""
    rng = np.random.default_rng(7)
    rows = pd.DataFrame({
        "age": rng.normal(40, 10, 400), "channel": rng.choice(["mail", "phone"], 400), "weight": rng.normal(70, 9, 400)
    })  # fmt: skip
    truth = np.where(rows["age"] + 5 * (rows["channel"] == "mail") > 42, "billing", "product")
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["channel"]), (SimpleImputer(), ["age", "weight"])
    )
    return make_pipeline(encode, LogisticRegression(max_iter=500)).fit(rows, truth)


class Desk:
    """A system with versions and routes, as the registry and the rollout would make them."""

    def __init__(self, system: System, folder: Path, name: str = NAME) -> None:
        self.system, self.folder, self.name = system, folder, name
        self.revision = 0

    def version(self, number: int, model: Any, *, digest: str | None = None) -> Path:
        """Register a version."""
        folder = self.folder / f"{self.name}-{number}"
        own = isinstance(model, Constant)
        if own:
            cloudpickle.register_pickle_by_value(sys.modules[type(model).__module__])
            cloudpickle.register_pickle_by_value(sys.modules[__name__])
        with warnings.catch_warnings(action="ignore"):  # of what it thinks of pickles
            mlflow.sklearn.save_model(
                model, folder, serialization_format="cloudpickle" if own else "skops", pip_requirements=[],
                skops_trusted_types=None if own else ["numpy.dtype"],
            )  # fmt: skip
        with self.system.database.writing() as connection:
            connection.execute(
                insert(versions).values(
                    system=self.name, number=number, key=str(number), model=self.name, registered=str(number),
                    source=str(folder), digest=digest or models.digest(folder), plan=1, record={},
                    at=self.system.clock.now(), by="trainer", because="test",
                )
            )  # fmt: skip
        return folder

    def route(self, champion: int, *, canary: int | None = None, share: float = 0.0, shadow: int | None = None) -> int:
        """Change the routes; their number."""
        self.revision += 1
        with self.system.database.writing() as connection:
            connection.execute(
                insert(routes).values(
                    system=self.name, revision=self.revision, champion=champion, canary=canary, share=share,
                    shadow=shadow, at=self.system.clock.now(),
                )
            )  # fmt: skip
        return self.revision

    def kept(self, kind: str = "predictions") -> pd.DataFrame:
        """What is in a table by now."""
        self.system.served().take()
        found = self.system.tables.open(self.name, kind)
        return pd.DataFrame() if found is None else found.to_pandas()


def wait(until: Callable[[], Any], *, most: float = 60.0) -> Any:
    """Wait until something holds; what it was."""
    pause, end = threading.Event(), time.monotonic() + most
    while not (found := until()):
        assert time.monotonic() < end, "it never did"
        pause.wait(0.02)
    return found


@contextlib.contextmanager
def up(desk: Desk, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`shelflife up --role gateway`, as a user starts it; the process and its address."""
    command = [sys.executable, "-m", "shelflife", "up", "--role", "gateway", "--port", "0", *words]
    settings = desk.system.settings
    environment = {**os.environ, "SHELFLIFE_HOME": str(settings.home)}
    if settings.database is not None:
        environment["SHELFLIFE_DATABASE"] = settings.database
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            told = next(line for line in process.stderr if line.startswith("Shelflife answers at "))
            url = told.split()[3]
            ready(url)
            yield process, url
        finally:
            process.kill()


@contextlib.contextmanager
def answering(settings: Settings, **options: Any) -> Iterator[str]:
    """A gateway in this process; its address."""
    server = uvicorn.Server(uvicorn.Config(Gateway(settings, **options), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def ready(url: str, path: str = "/v2/health/ready") -> None:
    """Wait until a gateway is."""

    def asked() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{url}{path}").status_code == 200
        return False

    wait(asked)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "workspace")


@pytest.fixture
def system(settings: Settings) -> Iterator[System]:
    opened = System(settings)
    said = {"model.inputs": INPUTS, "model.pickle": [NAME], "model.private": ["weight"]}
    opened.apply(plan.parse(plans.text(**said)), by="lead", because="first")
    yield opened
    opened.close()


@pytest.fixture
def desk(system: System, tmp_path: Path) -> Desk:
    """A system whose champion is a pipeline of scikit-learn."""
    made = Desk(system, tmp_path / "artifacts")
    made.version(1, learned())
    made.route(1)
    return made


@pytest.fixture
def gateway(desk: Desk) -> Iterator[str]:
    with answering(desk.system.settings) as url:
        ready(url)
        yield url
