"""With a tracking server of the user's: versions, aliases and artifacts are there, and nothing is left elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import mlflow
import pytest
from tests.renew.conftest import rows, send
from tests.renew.living import DESK, Desk
from tests.renew.test_adopting import adopt, saved

from shelflife import models
from shelflife.errors import BadInput
from shelflife.renew import registry
from shelflife.renew.mlflows import KEY, Registry
from shelflife.renew.registry import Version
from shelflife.system import System
from shelflife.workspace import Settings

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one, which keeps artifacts itself."""
    here = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{here / 'server.db'}", "--artifacts-destination", str(here / "artifacts"),
    ]  # fmt: skip
    known = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    told = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (here / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=here, env={**known, **told}, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        _answers(address)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(address: str) -> None:
    """Wait until it does, for a minute at most."""
    with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=60) as client:
        assert client.get(f"{address}/health").status_code == 200


@pytest.fixture(autouse=True)
def elsewhere(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server is told by the environment, in a folder where nothing is to be left."""
    folder = tmp_path / "current"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    yield
    assert list(folder.iterdir()) == []


def test_a_version_is_there_once_and_its_artifact_comes_from_there(
    system: System, register: Callable[..., Version], models_of: Callable[[int], Path], server: str
) -> None:
    made = register(1, "from here")
    assert made.source.startswith("mlflow-artifacts:/")
    assert register(1, "from here") == made
    there = Registry(system.settings)
    assert (there.uri, there.is_here) == (server, False)
    ours = lambda: [one for one in there.client.search_model_versions(f"name='{DESK}'")  # noqa: E731
                    if one.tags.get(KEY) == f"{DESK}/from here"]  # fmt: skip
    assert [str(one.version) for one in ours()] == [made.registered]
    # Whoever was killed before it was ours finds it, and uploads nothing again.
    again = there.create(DESK, models_of(1), key=f"{DESK}/from here", digest=made.digest, says="again")
    assert again == (made.registered, made.source)
    there.client.delete_model_version(DESK, made.registered)
    assert there.create(DESK, models_of(1), key=f"{DESK}/from here", digest=made.digest, says="x")[1] == made.source
    shutil.rmtree(system.settings.artifacts_folder)
    assert models.digest(registry.artifact(system.settings, made)) == made.digest
    assert not (system.settings.home / "mlruns").exists()


def test_the_registry_alone_may_be_elsewhere(
    system: System, register: Callable[..., Version], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", server)
    made = register(2, "registry alone")
    shutil.rmtree(system.settings.artifacts_folder)
    assert models.digest(registry.artifact(system.settings, made)) == made.digest


def test_aliases_follow_there_and_one_that_was_moved_is_told(system: System, register: Callable[..., Version]) -> None:
    one, two = register(3, "first"), register(4, "second")
    now, client = system.clock.now(), Registry(system.settings).client
    with system.database.writing() as connection:
        registry.point(connection, DESK, "champion", one.number, by="lead", because="better", now=now)
    assert registry.follow(system.database, system.settings, DESK, now=now) == []
    assert client.get_model_version_by_alias(DESK, "champion").version == one.registered
    client.set_registered_model_alias(DESK, "champion", two.registered)
    (moved,) = registry.follow(system.database, system.settings, DESK, now=now)
    assert (moved.kept, moved.found) == (one.registered, two.registered)


@pytest.mark.parametrize("logged", ["by hand", "as a model"])
def test_a_model_of_a_run_is_adopted(system: System, tmp_path: Path, server: str, logged: str) -> None:
    client = Registry(system.settings).client
    folder = saved(tmp_path / "theirs")
    if logged == "by hand":
        run = client.create_run("0").info.run_id
        client.log_artifacts(run, str(folder), "model")
    else:
        run = _log_model(folder, tmp_path, server)
    client.set_terminated(run)
    send(system, rows(5))
    made = adopt(system, f"runs:/{run}/model", champion=True)
    assert (made.answered, made.champion, made.version.record) == (5, True, {"adopted": f"runs:/{run}/model"})
    assert adopt(system, f"runs:/{run}/model").version == made.version
    there = registry.artifact(system.settings, made.version)
    model = models.load(there, system.plan(DESK).plan, expected=made.version.digest)
    assert len(model.answer(models.of_table(rows(5), model.kinds)).predictions) == 5
    with pytest.raises(BadInput, match=rf"The model runs:/{run}/nothing cannot be fetched from http://127"):
        adopt(system, f"runs:/{run}/nothing")


def _log_model(folder: Path, tmp_path: Path, server: str) -> str:
    """What somebody's own program does, in a process of its own."""
    program = tmp_path / "theirs.py"
    program.write_text(
        "import mlflow, sys\n"
        "with mlflow.start_run() as run:\n"
        "    model = mlflow.sklearn.load_model(sys.argv[1])\n"
        "    mlflow.sklearn.log_model(model, name='model', serialization_format='skops', pip_requirements=['numpy'],\n"
        "        skops_trusted_types=['skrub._select_cols.SelectCols'])\n"
        "    print(run.info.run_id)\n"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": server, "MLFLOW_DISABLE_TELEMETRY": "true"}
    ended = subprocess.run(
        [sys.executable, str(program), str(folder)], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return ended.stdout.strip().splitlines()[0]


def test_a_registered_model_is_adopted(system: System, tmp_path: Path) -> None:
    client = Registry(system.settings).client
    run = client.create_run("0").info
    client.log_artifacts(run.run_id, str(saved(tmp_path / "theirs")), "model")
    client.create_registered_model("theirs")
    client.create_model_version("theirs", f"{run.artifact_uri}/model", run_id=run.run_id)
    client.set_registered_model_alias("theirs", "live", "1")
    made = adopt(system, "models:/theirs/1")
    assert adopt(system, "models:/theirs@live").version == made.version


def test_a_system_is_renewed(desk: Callable[..., Desk], settings: Settings) -> None:
    here = desk(challenger=None, gates=["beats_baseline"], data={"windows": ["8d"], "validate": "4d"})
    here.first()
    assert here.newest.state == "promoted"
    version = here.system.versions.one(DESK, 1)
    alias = Registry(settings).client.get_model_version_by_alias(DESK, "champion")
    assert (str(alias.version), alias.source) == (version.registered, version.source)


def test_one_that_is_away_is_said_soon(
    system: System, register: Callable[..., Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://somebody:secret@127.0.0.1:{free.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(BadInput, match=r"The MLflow registry http://\*\*\*@127\.0\.0\.1:\d+ does not do"):
            register(5)
        assert time.monotonic() - began < 30
    assert mlflow.active_run() is None
