"""The database goes away and comes back: who answers goes on answering."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.gateway.conftest import INPUTS, NAME, Constant, Desk, answering, learned, ready, wait

from shelflife import plan
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


@pytest.fixture
def line(postgres: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Line, str]]:
    url = postgres()
    folder = parse_qs(urlsplit(url).query)["host"][0]
    near = tmp_path_factory.mktemp("pg")
    found = Line(f"{folder}/.s.PGSQL.5432", near)
    yield found, re.sub(r"host=[^&]*", f"host={near}", url)
    found.cut()


def test_while_the_database_is_away_the_last_routes_go_on(line: tuple[Line, str], tmp_path: Path) -> None:
    way, url = line
    settings = Settings(home=tmp_path / "workspace", database=url)
    system = System(settings)
    said = {"model.inputs": INPUTS, "model.pickle": [NAME]}
    system.apply(plan.parse(plans.text(**said)), by="lead", because="first")
    desk = Desk(system, tmp_path / "artifacts")
    desk.version(1, learned())
    desk.version(2, Constant("next"))
    desk.route(1)
    with answering(settings) as at, httpx.Client(base_url=at) as client:
        ready(at)
        way.cut()
        for number in range(200):
            found = client.post(f"/predict/{NAME}", json={**ROW, "id": f"away {number}"})
            assert (found.status_code, found.json()["version"]) == (200, 1)
        assert client.get("/v2/health/ready").status_code == 200
        way.lay()
        desk.route(2)
        wait(lambda: client.post(f"/predict/{NAME}", json=ROW).json()["version"] == 2)
    assert sum(one.startswith("away ") for one in desk.kept()["id"]) == 200
    system.close()
