"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

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
