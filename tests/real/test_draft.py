"""Drafts of plans from real tables: valid, with a promise that was measured, and comments that teach."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from shelflife import plan
from shelflife.drafting import draft


@pytest.mark.parametrize(
    ("name", "time", "target", "metric"),
    [
        ("weather", "date", "rain", "accuracy"),
        ("bikes", "ts", "cnt", "mae"),
    ],
)
def test_drafts_of_real_tables_are_plans_that_check_accepts(
    root: Path, name: str, time: str, target: str, metric: str
) -> None:
    folder = Path(os.environ.get("SHELFLIFE_DATA", root.parent / "shared" / "data"))
    if not (folder / f"{name}.parquet").is_file():
        pytest.skip(f"{name}.parquet is not in {folder}; set SHELFLIFE_DATA to the folder that has it")
    made = draft(folder / f"{name}.parquet", time=time, target=target, origins=6)
    read = plan.parse(made.text)
    assert read.plan.watch.performance is not None
    assert read.plan.watch.performance.metric == metric
    assert made.text.count("#") > 20
    # What is left open is what only people know: a KPI's worth, and the function that trains.
    assert {remark.code for remark in plan.remarks(read, date(2026, 5, 1))} <= {"PL202", "PL401"}
