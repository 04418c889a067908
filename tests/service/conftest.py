"""A workspace on each database, with a plan applied and a clock that stands still."""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import uvicorn

from shelflife import plan
from shelflife.server import create
from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.workspace import Settings


@pytest.fixture(scope="session")
def bucket() -> Iterator[Callable[[], tuple[str, dict[str, str]]]]:
    """Makes a place in an object store that speaks S3 and runs for the session; its URL and options."""
    store = pytest.importorskip("moto.server", reason="needs moto[server]").ThreadedMotoServer("127.0.0.1", 0)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store.start()
    host, port = store.get_host_and_port()
    options = {
        "aws_endpoint_url": f"http://{host}:{port}", "aws_access_key_id": "tests", "aws_secret_access_key": "tests",
        "aws_region": "us-east-1", "aws_allow_http": "true",
    }  # fmt: skip
    client = boto3.client(
        "s3", endpoint_url=options["aws_endpoint_url"], region_name="us-east-1", aws_access_key_id="tests",
        aws_secret_access_key="tests",
    )  # fmt: skip
    client.create_bucket(Bucket="shelflife")
    client.close()
    numbers = itertools.count()
    yield lambda: (f"s3://shelflife/{next(numbers)}", options)
    store.stop()


@pytest.fixture(params=["sqlite", "postgresql", "s3"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Where a workspace is to be: on each database with tables in a folder, and with tables in an object store."""
    home = tmp_path / "workspace"
    if request.param == "postgresql":
        return Settings(home=home, database=request.getfixturevalue("postgres")())
    if request.param == "s3":
        url, options = request.getfixturevalue("bucket")()
        return Settings(home=home, tables=url, table_options=options)
    return Settings(home=home)


@pytest.fixture(scope="session")
def written(root: Path) -> plan.Written:
    """The plan of the docs."""
    found = re.search(r"```yaml\n(shelflife: 1\n.*?)```", (root / "docs" / "plan.md").read_text(), re.DOTALL)
    assert found is not None
    return plan.parse(found[1])


@pytest.fixture
def system(settings: Settings, clock: ManualClock, written: plan.Written) -> Iterator[System]:
    """A workspace with the plan of the docs."""
    opened = System(settings, clock)
    opened.apply(written, by="lead", because="first")
    yield opened
    opened.close()


class Server(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextlib.contextmanager
def running(system: System, port: int = 0, **options: Any) -> Iterator[str]:
    """The service over a workspace, at a port of this machine; its address."""
    with serving(system, port, **options) as (_, url):
        yield url


@contextlib.contextmanager
def serving(system: System, port: int = 0, **options: Any) -> Iterator[tuple[Server, str]]:
    """The same, with the server."""
    app = create(system, drain_every=0.05, **options)
    server = Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.ready.wait(30)
        yield server, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:  # also after a test that fails: what goes on would hold up the end of all
        server.should_exit = True
        thread.join()


@pytest.fixture
def service(system: System) -> Iterator[tuple[str, str]]:
    """The address of a running service and a token for it."""
    secret, _ = system.tokens.make("tests", ["observe"], by="lead")
    with running(system) as url:
        yield url, secret
