"""The JSON contract: keys are added, never renamed."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from shelflife.lifespan import Lifespan

KEYS = {
    "data": {"rows", "start", "end", "every_days", "target", "task", "metric"},
    "origins": {"at", "rows", "expired_after_days", "detected_after_days", "observed_days"},
    "curve": {"age_days", "origins", "loss", "fresh_loss", "excess", "excess_low", "excess_high"},
    "survival": {"age_days", "survival", "low", "high", "at_risk"},
    "lifespan": {"verdict", "median_days", "low_days", "high_days", "quartile_days", "tolerance", "confidence"},
    "baseline": {"name", "loss", "model_loss", "beaten"},
    "cadence": {"every_days", "expected_excess", "renewals_per_year", "cost_per_year"},
}
SCALARS = {"schema", "best_before", "recommended_cadence_days", "engine", "seconds", "seconds_training"}


def test_every_promised_key_is_there(aged: Lifespan) -> None:
    found = json.loads(aged.to_json())
    assert found["schema"] == "shelflife.lifespan/1"
    assert SCALARS | set(KEYS) <= set(found)
    for key, promised in KEYS.items():
        rows = found[key] if isinstance(found[key], list) else [found[key]]
        assert rows
        for row in rows:
            assert promised <= set(row), key


def test_attributes_have_the_names_of_the_keys(aged: Lifespan) -> None:
    for key in (SCALARS | set(KEYS)) - {"schema"}:
        assert hasattr(aged, key)


def test_the_parts_agree_with_each_other(aged: Lifespan) -> None:
    assert aged.lifespan.verdict == "expires"
    assert aged.lifespan.expired == sum(o.expired_after_days is not None for o in aged.origins)
    assert aged.best_before is not None
    assert aged.lifespan.quartile_days is not None
    assert (aged.best_before - aged.data.end).total_seconds() / 86_400 == pytest.approx(aged.lifespan.quartile_days)
    for point in aged.curve:
        assert point.excess == pytest.approx(point.loss - point.fresh_loss)
        assert point.excess_low <= point.excess + 1e-12
        assert point.excess <= point.excess_high + 1e-12
    assert [p.survival for p in aged.survival] == sorted((p.survival for p in aged.survival), reverse=True)
    assert all(p.low <= p.survival <= p.high for p in aged.survival)
    for origin in aged.origins:
        if origin.expired_after_days is not None:
            assert origin.detected_after_days is not None
            assert origin.expired_after_days < origin.detected_after_days <= origin.observed_days
    costs = {row.every_days: row.cost_per_year for row in aged.cadence}
    assert aged.recommended_cadence_days == min(costs, key=lambda days: costs[days] or 0.0)
    assert aged.baselines[0] == aged.baseline
    assert [b.loss for b in aged.baselines] == sorted(b.loss for b in aged.baselines)


def test_the_table_has_a_row_an_age(aged: Lifespan) -> None:
    table = aged.table()
    assert isinstance(table, pa.Table)
    assert table["age_days"].to_pylist() == [p.age_days for p in aged.curve]


def test_a_notebook_shows_the_answer(aged: Lifespan) -> None:
    assert aged.says.split(":")[0] in aged._repr_html_()
    assert aged.plot().to_dict()["$schema"].startswith("https://vega.github.io/schema/vega-lite")
