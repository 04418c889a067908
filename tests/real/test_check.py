"""What `check` finds on real tables, kept outside the repository: in $SHELFLIFE_DATA, else in shared/data beside it."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

import shelflife


def _table(root: Path, name: str) -> pd.DataFrame:
    folder = Path(os.environ.get("SHELFLIFE_DATA", root.parent / "shared" / "data"))
    if not (folder / name).is_file():
        pytest.skip(f"{name} is not in {folder}; set SHELFLIFE_DATA to the folder that has it")
    return pd.read_parquet(folder / name)


def test_electricity_three_inputs_come_alive_on_one_day(root: Path) -> None:
    table = _table(root, "electricity.parquet")
    cut = table.ts.min() + pd.Timedelta(weeks=20)
    found = shelflife.check(table[table.ts < cut], table[table.ts >= cut], time="ts")
    since = {column: finding.since for finding in found.findings for column in (finding.column, *finding.also)}
    for column in ("vicprice", "vicdemand", "transfer"):
        alive = table.ts[table[column] != table[column].iloc[0]].min()
        assert abs(since[column] - alive.to_pydatetime()) <= timedelta(days=1)


@pytest.fixture(scope="module")
def scored(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ten years, scored by models that did not see them, and the forty after, scored by a model of the ten."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_predict

    table = _table(root, "weather.parquet")
    table["date"] = pd.to_datetime(table.date)
    inputs = [column for column in table.columns if column.startswith("feat")]
    early, late = table[table.date < "1959-01-01"], table[table.date >= "1959-01-01"]
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    honest = cross_val_predict(model, early[inputs], early.rain, method="predict_proba", cv=5)[:, 1]
    later = model.fit(early[inputs], early.rain).predict_proba(late[inputs])[:, 1]
    return (
        early.assign(score=honest, said=(honest > 0.5).astype(int)),
        late.assign(score=later, said=(later > 0.5).astype(int)),
    )


@pytest.mark.parametrize("bucket", ["1d", "1w", "28d"])
def test_weather_does_not_decay_and_each_instrument_is_noted_once(
    scored: tuple[pd.DataFrame, pd.DataFrame], bucket: str
) -> None:
    found = shelflife.check(
        *scored, time="date", prediction="said", score="score", outcome="rain", season="year", bucket=bucket
    )
    assert [finding for finding in found.findings if finding.severity == "page"] == []
    noted = [finding.column for finding in found.findings]
    assert len(noted) == len(set(noted))
    assert "feat_4" in noted
    assert set(noted) <= {"feat_4", "feat_5", "feat_6", "score"}
    assert found.findings[0].since > datetime(1959, 1, 1)
