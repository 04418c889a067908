from __future__ import annotations

import pyarrow as pa
import pytest

import shelflife
from shelflife.lifespan import Lifespan
from shelflife.testing import histories


@pytest.fixture(scope="session")
def ageing() -> pa.Table:
    """Two hundred days in which models gain an excess error of two points in ten days."""
    return histories.clockwork(days=200, rows_per_day=30, seed=4)


@pytest.fixture(scope="session")
def aged(ageing: pa.Table) -> Lifespan:
    return shelflife.lifespan(
        ageing,
        time="ts",
        target="y",
        every="2d",
        window="2w",
        model=histories.ClockworkTrainer(0.02 / 0.8 / 10),
        jobs=1,
        cost_per_error=2.0,
        cost_per_renewal=300.0,
    )
