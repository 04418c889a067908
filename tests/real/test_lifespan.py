"""Real tables, kept outside the repository: in $SHELFLIFE_DATA, else beside the checkout in shared/data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import shelflife


def _table(root: Path, name: str) -> Path:
    folder = Path(os.environ.get("SHELFLIFE_DATA", root.parent / "shared" / "data"))
    if not (folder / name).is_file():
        pytest.skip(f"{name} is not in {folder}; set SHELFLIFE_DATA to the folder that has it")
    return folder / name


def test_electricity_models_lose_points_within_weeks_and_end_together_in_may_1997(root: Path) -> None:
    found = shelflife.lifespan(_table(root, "electricity.parquet"), time="ts", target="price_up", window="26w")
    excess = {round(point.age_days / 7): point.excess for point in found.curve}
    assert 0.01 < excess[3] < 0.035
    assert 0.03 < excess[6] < 0.065
    assert 0.05 < np.mean([excess[a] for a in (11, 12, 13)]) < 0.095
    assert 0.06 < np.mean([excess[a] for a in (19, 20, 21)]) < 0.12
    assert found.lifespan.verdict == "expires"
    early = [o for o in found.origins if o.at.isoformat() < "1997-05"]
    ends = [(o.at.timestamp() / 86_400 + (o.expired_after_days or np.inf)) for o in early]
    assert np.ptp(ends) < 35  # whatever their age
    assert found.events[0].at.isoformat()[:7] in {"1997-05", "1997-06"}
    assert not found.baseline.beaten
    assert found.baseline.name == "last known outcome"
    assert 0.84 < 1 - found.baseline.loss < 0.87
    assert found.says.startswith("Repeating the last known outcome is right 8")


def test_weather_models_hardly_age_in_ten_years(root: Path) -> None:
    found = shelflife.lifespan(
        _table(root, "weather.parquet"), time="date", target="rain", every="52w", max_age="10y", origins=40
    )
    young = [point for point in found.curve if point.age_days > 0]
    mean = sum(p.excess * p.rows for p in young) / sum(p.rows for p in young)
    assert mean < 0.015
    assert found.baseline.beaten


def test_bikes_are_a_regression_that_ages(root: Path) -> None:
    found = shelflife.lifespan(_table(root, "bikes.parquet"), time="ts", target="cnt", every="2w", origins=12)
    assert found.data.task == "regression"
    assert found.lifespan.verdict == "expires"
    assert found.curve[-1].excess > found.lifespan.tolerance
