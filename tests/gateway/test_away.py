"""The database goes away and comes back: who answers goes on answering."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.gateway.answering import process
from tests.gateway.conftest import INPUTS, NAME, Constant, Desk, answering, learned, ready, up, wait

from shelflife import plan
from shelflife.gateway import last
from shelflife.gateway.worker import Options
from shelflife.gateway.workers import Workers
from shelflife.routes import Routes
from shelflife.system import System
from shelflife.testing import plans
from shelflife.workspace import Settings

ROW: dict[str, Any] = {"channel": "mail", "age": 20.0, "weight": 60.5}


class Line:
    """The way to a PostgreSQL by its socket, which can be cut and laid again."""

    def __init__(self, there: str, here: Path) -> None:
        self.there, self.here = there, here / Path(there).name
        self._open: list[socket.socket] = []
        self.lay()

    def lay(self) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.here))
        self._listening.listen()
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def cut(self) -> None:
        self.here.unlink()
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self.there)
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while some := one.recv(65_536):
                other.sendall(some)
            other.shutdown(socket.SHUT_WR)


class Moved:
    """A SQLite file that is taken away and put back."""

    def __init__(self, file: Path) -> None:
        self._file, self._there = file, file.parent.parent / "elsewhere"

    def cut(self) -> None:
        self._there.mkdir()
        for one in self._file.parent.glob(f"{self._file.name}*"):
            one.rename(self._there / one.name)

    def lay(self) -> None:
        for one in self._there.iterdir():
            one.rename(self._file.parent / one.name)
        self._there.rmdir()


@pytest.fixture
def line(postgres: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Line, str]]:
    url = postgres()
    folder = parse_qs(urlsplit(url).query)["host"][0]
    near = tmp_path_factory.mktemp("pg")
    found = Line(f"{folder}/.s.PGSQL.5432", near)
    yield found, re.sub(r"host=[^&]*", f"host={near}", url)
    found.cut()


@pytest.fixture(params=["postgresql", "sqlite"])
def apart(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Line | Moved, Desk]]:
    """A database that can be taken away, and a system in it with a champion and two versions beside."""
    url = None
    if request.param == "postgresql":
        way, url = request.getfixturevalue("line")
    settings = Settings(home=tmp_path / "workspace", database=url)
    system = System(settings)
    said = {"model.inputs": INPUTS, "model.pickle": [NAME]}
    system.apply(plan.parse(plans.text(**said)), by="lead", because="first")
    desk = Desk(system, tmp_path / "artifacts")
    desk.version(1, learned())
    desk.version(2, Constant("canary"))
    desk.version(3, Constant("next"))
    desk.route(1)
    yield (Moved(Path(settings.database_url)) if url is None else way), desk
    system.close()


def ask(url: str, **more: Any) -> Any:
    found = httpx.post(f"{url}/predict/{NAME}", json={**ROW, **more}, timeout=30)
    assert found.status_code == 200, found.text
    return found.json()


def figure(url: str, name: str) -> float:
    """A figure of a gateway."""
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=30).text)
    (found,) = (one.value for family in families for one in family.samples if one.name == name)
    return found


def test_while_the_database_is_away_the_last_routes_go_on(apart: tuple[Line | Moved, Desk]) -> None:
    way, desk = apart
    with answering(desk.system.settings) as url, httpx.Client(base_url=url) as client:
        ready(url)
        way.cut()
        for number in range(200):
            found = client.post(f"/predict/{NAME}", json={**ROW, "id": f"away {number}"})
            assert (found.status_code, found.json()["version"]) == (200, 1)
        assert client.get("/v2/health/ready").json() == {"ready": True}
        way.lay()
        desk.route(3)
        wait(lambda: ask(url)["version"] == 3)
    assert sum(one.startswith("away ") for one in desk.kept()["id"]) == 200


def test_a_worker_that_begins_meanwhile_has_them_from_the_disk(apart: tuple[Line | Moved, Desk]) -> None:
    way, desk = apart
    system, settings = desk.system, desk.system.settings
    routes = Routes(NAME, desk.route(1, canary=2, share=0.5), champion=1, canary=2, share=0.5)
    # What is private since, and not by the plan of the versions, stays so.
    said = {"model.inputs": INPUTS, "model.pickle": [NAME], "model.private": ["weight"]}
    system.apply(plan.parse(plans.text(**said)), by="lead", because="second")
    begun = system.clock.now()
    with process(settings) as (running, url):
        ready(url)
        wait(lambda: ask(url)["revision"] == routes.revision)
        assert figure(url, "shelflife_gateway_routes_from_disk") == 0
        way.cut()
        running.send_signal(signal.SIGKILL)
    desk_away = system.clock.now()
    for kill in range(2):  # it has them still when it was killed again
        with process(settings) as (running, url):
            ready(url)
            for number in range(40):
                told = ask(url, key=f"k{number}", id=f"{kill}-{number}", weight=71.25)
                assert (told["version"], told["revision"]) == (routes.version(f"k{number}"), routes.revision)
            told = httpx.get(f"{url}/v2/health/ready").json()["from_disk"]
            assert begun < datetime.fromisoformat(told["read"]) < desk_away < datetime.fromisoformat(told["since"])
            assert figure(url, "shelflife_gateway_routes_from_disk") == 1
            assert httpx.get(f"{url}/v2/models/{NAME}/versions/2/ready").status_code == 200
            assert httpx.post(f"{url}/predict/other", json=ROW).status_code == 503  # who knows
            folder = settings.served_folder
            assert not any(b"71.25" in one.read_bytes() for one in folder.glob("*/*.*"))
            if kill == 0:
                running.send_signal(signal.SIGKILL)
                continue
            # What the database says counts at once.
            way.lay()
            desk.route(3)
            back = time.monotonic()
            wait(lambda url=url: ask(url)["version"] == 3)
            assert time.monotonic() - back < 2.0
            assert httpx.get(f"{url}/v2/health/ready").json() == {"ready": True}
            assert figure(url, "shelflife_gateway_routes_from_disk") == 0
            assert figure(url, "shelflife_gateway_routes_read") > desk_away.timestamp()
            assert httpx.post(f"{url}/predict/other", json=ROW).status_code == 404
    kept = desk.kept()
    assert {f"{kill}-{number}" for kill in range(2) for number in range(40)} <= set(kept["id"])


@pytest.mark.parametrize("apart", ["postgresql"], indirect=True)
def test_a_gateway_that_is_started_meanwhile_answers_and_what_it_answered_is_kept_later(
    apart: tuple[Line | Moved, Desk],
) -> None:
    way, desk = apart
    settings = desk.system.settings
    with up(desk) as (process, url):
        wait((settings.served_folder / last.NAME).exists)
        way.cut()
        process.send_signal(signal.SIGKILL)
    with up(desk) as (process, url):
        assert ask(url, id="meanwhile")["version"] == 1
        way.lay()
        wait(lambda: (found := desk.system.tables.open(NAME, "predictions")) and found.count() == 1)  # by itself
        desk.route(3)
        wait(lambda: ask(url)["version"] == 3)
        process.terminate()
        assert process.wait(60) == 0
    (settings.served_folder / last.NAME).unlink()
    way.cut()
    given = {**os.environ, "SHELFLIFE_HOME": str(settings.home), "SHELFLIFE_DATABASE": str(settings.database)}
    command = [sys.executable, "-m", "shelflife", "up", "--role", "gateway", "--port", "0"]
    told = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert (told.returncode, "does not answer" in told.stderr) == (2, True)
    way.lay()


@pytest.mark.parametrize("apart", ["postgresql"], indirect=True)
def test_what_the_disk_names_is_still_compared_with_its_digest(apart: tuple[Line | Moved, Desk]) -> None:
    way, desk = apart
    desk.route(1, canary=2, share=1.0)
    with process(desk.system.settings) as (running, url):
        ready(url)
        way.cut()
        running.send_signal(signal.SIGKILL)
    next((desk.folder / f"{NAME}-2").glob("*.pkl")).write_bytes(b"something else")
    with process(desk.system.settings) as (_, url):
        ready(url)
        assert (ask(url)["version"], ask(url)["route"]) == (1, "fallback")
        way.lay()
        # It is told once there is where.
        (told,) = wait(lambda: desk.system.ledger.entries(kind="version.refused"))
        assert "is not what was registered" in told.body["says"]
        assert ask(url)["version"] == 1


@pytest.mark.parametrize("apart", ["sqlite"], indirect=True)
def test_a_worker_of_several_is_replaced_meanwhile(apart: tuple[Line | Moved, Desk]) -> None:
    way, desk = apart
    options = Options(desk.system.settings.model_dump_json())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        workers = Workers(listening, 2, options)
        workers.start()
        try:
            ready(url)
            # Of all workers the figures are one: each has read the routes.
            wait(lambda: figure(url, "shelflife_gateway_routes_read") > 0)
            way.cut()
            gone, stays = workers.pids()
            os.kill(gone, signal.SIGKILL)
            wait(lambda: stays in workers.pids() and gone not in workers.pids())
            wait(lambda: figure(url, "shelflife_gateway_routes_from_disk") == 1)
            assert {ask(url)["version"] for _ in range(20)} == {1}
            way.lay()
            wait(lambda: figure(url, "shelflife_gateway_routes_from_disk") == 0)
        finally:
            workers.stop()


@pytest.mark.parametrize("apart", ["postgresql"], indirect=True)
def test_tokens_go_on_meanwhile(apart: tuple[Line | Moved, Desk]) -> None:
    way, desk = apart
    secret, token = desk.system.tokens.make("shop", ["observe"], only=[NAME], by="lead")
    reader, _ = desk.system.tokens.make("reader", ["read"], by="lead")
    path, file = f"/predict/{NAME}", desk.system.settings.served_folder / last.NAME

    def status(url: str, given: str) -> int:
        return httpx.post(f"{url}{path}", json=ROW, headers={"Authorization": f"Bearer {given}"}).status_code

    with process(desk.system.settings, "guarded") as (running, url):
        ready(url)
        wait(file.exists)
        way.cut()
        assert (status(url, secret), status(url, reader)) == (200, 401)  # of which none was shown before
        running.send_signal(signal.SIGKILL)
    assert secret not in file.read_text()
    with process(desk.system.settings, "guarded") as (_, url):
        ready(url)
        assert (status(url, secret), status(url, reader), status(url, "no")) == (200, 401, 503)
        assert httpx.post(f"{url}{path}", json=ROW).status_code == 401
        way.lay()
        desk.system.tokens.revoke(token.id, by="lead")
        wait(lambda: status(url, secret) == 401)
        assert status(url, "no") == 401


# ---- the file --------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(desk: Desk) -> Path:
    """The file of a gateway that is gone, as is the database."""
    with answering(desk.system.settings) as url:
        ready(url)
        path = desk.system.settings.served_folder / last.NAME
        wait(path.exists)
    Moved(Path(desk.system.settings.database_url)).cut()
    return path


def answers(desk: Desk) -> int:
    """What a gateway says that begins now."""
    with answering(desk.system.settings) as url:
        return httpx.post(f"{url}/predict/{NAME}", json=ROW).status_code


def test_what_is_damaged_does_not_count(desk: Desk, kept: Path) -> None:
    whole = kept.read_bytes()
    assert answers(desk) == 200
    for damaged in (b"", whole[:70], whole[:-1], whole.replace(b'"revision": 1', b'"revision": 7')):
        assert damaged != whole
        kept.write_bytes(damaged)
        assert answers(desk) == 503
    kept.write_bytes(whole)
    assert answers(desk) == 200


def test_what_another_database_said_does_not_count(desk: Desk, kept: Path) -> None:
    found = last.read(kept, of=last.identity(Path("anything.db")))
    assert found is not None
    other = last.identity("postgresql://me:secret@there/other")
    assert other == last.identity("postgresql+psycopg://you:else@there/other")
    last.write(kept, found[0].text(), of=other, at=found[1])
    assert b"secret" not in kept.read_bytes()
    assert answers(desk) == 503


def test_it_is_as_private_as_the_database(kept: Path) -> None:
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in kept.parent.iterdir() if one.is_file()] == [kept.name]


def test_what_cannot_be_loaded_for_now_is_not_forgotten(desk: Desk) -> None:
    settings = desk.system.settings
    with answering(settings) as url:
        ready(url)
    artifact = desk.folder / f"{NAME}-1"
    artifact.rename(desk.folder / "away")
    desk.route(1)
    with answering(settings) as url:
        assert httpx.get(f"{url}/v2/health/ready").status_code == 503
    (desk.folder / "away").rename(artifact)
    Moved(Path(settings.database_url)).cut()
    assert answers(desk) == 200


def test_a_database_that_is_gone_is_not_made_anew(desk: Desk, kept: Path) -> None:
    assert answers(desk) == 200
    assert not Path(desk.system.settings.database_url).exists()


def test_a_database_that_was_restored_is_read(desk: Desk) -> None:
    """A file that takes the place of another one is what counts, not the one that is still open."""
    file = Path(desk.system.settings.database_url)
    desk.version(2, Constant("next"))
    desk.route(2)
    with desk.system.database.writing() as connection:
        connection.exec_driver_sql("SELECT 1")
    with sqlite3.connect(file) as old, sqlite3.connect(file.with_name("copy")) as new:
        old.backup(new)
    old.close()
    new.close()
    with answering(desk.system.settings) as url:
        wait(lambda: httpx.get(f"{url}/v2/health/ready").status_code == 200)
        assert ask(url)["version"] == 2
        with contextlib.closing(sqlite3.connect(file.with_name("copy"))) as restored, restored:
            restored.execute("UPDATE routes SET champion = 1 WHERE revision = 2")
        for one in file.parent.glob(f"{file.name}-*"):
            one.unlink()
        file.with_name("copy").replace(file)
        wait(lambda: ask(url)["version"] == 1)
