"""The examples of docs/profile.md on Spark and Ray, where their extras are installed: equal profiles, bit for bit."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shelflife import Reference
from shelflife.testing import streams

pytestmark = pytest.mark.engine


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reference:
    """A reference in this folder under the name that the docs use, and its rows in a file of many row groups."""
    monkeypatch.chdir(tmp_path)
    table = streams.steady(days=20, rows=100, seed=1)
    reference = Reference.learn(table, time="ts", prediction="fraud", score="score", outcome="charged_back")
    reference.save("march.profile")
    pq.write_table(table, "march.parquet", row_group_size=333)
    return reference


def _example(root: Path, name: str) -> dict[str, Any]:
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs" / "profile.md").read_text(), flags=re.DOTALL)
    (block,) = [block for block in blocks if f"def {name}(" in block]
    made: dict[str, Any] = {}
    exec(block, made)
    return made


def test_the_example_takes_batches_and_gives_bytes(root: Path, counted: Reference) -> None:
    # What both engines do with it, without either.
    batches = pq.read_table("march.parquet").to_batches(max_chunksize=250)
    made = _example(root, "profile_on_spark")
    parts = [
        row for half in (batches[:3], batches[3:]) for batch in made["count"](iter(half)) for row in batch.to_pylist()
    ]
    whole = made["merged"]([made["Profile"].from_bytes(row["profile"]) for row in parts])
    assert whole == counted.profile
    found = _example(root, "profile_on_ray")["count_table"](pa.Table.from_batches(batches))
    assert made["Profile"].from_bytes(found["profile"][0].as_py()) == counted.profile


@pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="needs shelflife[spark]")
@pytest.mark.filterwarnings("ignore")
def test_the_example_on_spark(root: Path, counted: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspark.sql import SparkSession

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = session.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    try:
        frame = spark.read.parquet(str(Path("march.parquet").resolve())).repartition(3)
        assert _example(root, "profile_on_spark")["profile_on_spark"](frame) == counted.profile
    finally:
        spark.stop()


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs shelflife[ray]")
@pytest.mark.filterwarnings("ignore")
def test_the_example_on_ray(root: Path, counted: Reference) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves
    import ray

    ray.init(num_cpus=2, include_dashboard=False)
    try:
        dataset = ray.data.read_parquet(str(Path("march.parquet").resolve())).repartition(3)
        assert _example(root, "profile_on_ray")["profile_on_ray"](dataset) == counted.profile
    finally:
        ray.shutdown()
