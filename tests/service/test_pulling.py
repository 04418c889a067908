"""Rows that are fetched: from databases, files and object stores, each once."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from shelflife import plan
from shelflife.errors import BadInput
from shelflife.observe import connectors
from shelflife.observe.connectors.sql import Sql
from shelflife.observe.connectors.table import Table
from shelflife.plan.spec import Pull
from shelflife.system import System
from shelflife.testing import plans
from shelflife.testing.clock import ManualClock
from shelflife.testing.connectors import check_connector

NAME = "support-desk"


@pytest.fixture(params=["sqlite", "postgresql"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with a table of tickets."""
    url = f"sqlite:///{tmp_path / 'tickets.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres")().replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE tickets (ticket text, at timestamp, intent text, n int)"))
    engine.dispose()
    return url


def write(url: str, *rows: tuple[str, str, int]) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for ticket, at, n in rows:
            connection.execute(
                text("INSERT INTO tickets VALUES (:ticket, :at, 'billing', :n)"), {"ticket": ticket, "at": at, "n": n}
            )
    engine.dispose()


def applied(system: System, **pull: Any) -> None:
    """The plan with a feed that is fetched."""
    said = {
        "rows": "outcomes",
        "mark": "at",
        "every": "1h",
        "columns": {"id": "ticket", "outcome": "intent", "time": "at"},
    }
    feeds = {"tickets": {"fresh_within": "2h", "owner": "lead", "pull": {**said, **pull}}}
    raw = json.loads(plans.text())
    system.apply(plan.parse(json.dumps({**raw, "feeds": feeds})), by="lead", because="a feed")


def kept(system: System) -> list[str]:
    found = system.tables.open(NAME, "outcomes")
    return sorted(found.to_pyarrow_table()["id"].to_pylist()) if found is not None else []


@pytest.mark.parametrize("mark", ["at", "n"])
def test_each_row_of_a_database_is_fetched_once(system: System, source: str, mark: str) -> None:
    applied(
        system, sql=source, query="SELECT * FROM tickets WHERE ticket <> ':no' AND ticket NOT LIKE '%:x%';", mark=mark
    )
    assert system.pull(NAME, "tickets", by="loop").accepted == 0
    write(source, ("a", "2026-04-01 10:00:00", 1), ("b", "2026-04-01 11:00:00", 2), ("c", "2026-04-01 11:00:00", 2))
    assert system.pull(NAME, "tickets", by="loop").accepted == 3
    # A row that comes later at a mark that was seen is not left out.
    write(source, ("d", "2026-04-01 11:00:00", 2), ("e", "2026-04-01 12:00:00", 3), (":no", "2026-04-02 12:00:00", 4))
    found = system.pull(NAME, "tickets", by="loop")
    assert (found.accepted, found.duplicate, found.rejected) == (2, 2, 0)
    assert system.pull(NAME, "tickets", by="loop").accepted == 0
    assert kept(system) == ["a", "b", "c", "d", "e"]
    assert [entry.body["accepted"] for entry in system.ledger.entries(kind="rows.observed")] == [3, 2]
    times = system.tables.open(NAME, "outcomes").to_pyarrow_table()["time"].to_pylist()
    assert min(times).isoformat() == "2026-04-01T10:00:00+00:00"


def counted(rows: int) -> str:
    """A query of so many rows, on any database."""
    return (
        f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows})"
        " SELECT 't' || n AS ticket, n, 'billing' AS intent FROM c"
    )


def test_many_rows_of_a_database_are_few_tables(source: str) -> None:
    assert [len(table) for table in Sql(source, counted(45_000)).read("n", None)] == [20_000, 20_000, 5_000]


def test_rows_of_a_database_are_kept_together(system: System, source: str) -> None:
    applied(system, sql=source, query=counted(2_000), mark="n", columns={"id": "ticket", "outcome": "intent"})
    assert system.pull(NAME, "tickets", by="loop").accepted == 2_000
    there = system.tables.open(NAME, "outcomes")
    assert there is not None
    assert len(there.file_uris()) == 1


@pytest.mark.parametrize(
    "other", [{"mark": "n"}, {"query": "SELECT ticket, at, n, 'x' AS intent FROM tickets"}, {"table": "t.parquet"}]
)
def test_another_source_or_mark_begins_afresh(
    system: System, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = {"sql": source, "query": "SELECT * FROM tickets"}
    applied(system, **said)
    write(source, ("a", "2026-04-01 10:00:00", 5))
    assert system.pull(NAME, "tickets", by="loop").accepted == 1
    write(source, ("b", "2026-03-01 10:00:00", 1))  # before the mark, and so not seen
    pq.write_table(tickets("a", "b", at="2026-03-01T10:00:00"), "t.parquet")
    assert system.pull(NAME, "tickets", by="loop").accepted == 0
    applied(system, **(other if "table" in other else {**said, **other}))
    found = system.pull(NAME, "tickets", by="loop")
    assert (found.accepted, found.duplicate) == (1, 1)
    # How often is asked, and how far back, is no other source.
    applied(system, **(other if "table" in other else {**said, **other}), every="2h")
    found = system.pull(NAME, "tickets", by="loop")
    assert found.accepted + found.duplicate == 1


def test_rows_that_are_written_late_are_read_where_the_plan_looks_back(
    system: System, postgres: Callable[[], str]
) -> None:
    url = postgres().replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE tickets (ticket text, at timestamptz, intent text, n int)"))
    engine.dispose()
    applied(system, sql=url, query="SELECT * FROM tickets", overlap="10m")
    write(url, ("a", "2026-04-01 10:00:00Z", 1))
    assert system.pull(NAME, "tickets", by="loop").accepted == 1
    write(url, ("late", "2026-04-01 09:55:00Z", 1), ("too-late", "2026-04-01 09:45:00Z", 1))
    assert system.pull(NAME, "tickets", by="loop").accepted == 1
    assert kept(system) == ["a", "late"]


def test_looking_back_needs_marks_that_are_times(system: System, tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"ticket": ["a"], "intent": ["x"], "at": ["2026-04-01T10:00:00Z"], "n": [1]}), tmp_path / "t.parquet"
    )
    applied(system, table=str(tmp_path / "t.parquet"), mark="n", overlap="10m")
    assert system.pull(NAME, "tickets", by="loop").accepted == 1
    with pytest.raises(BadInput, match="the marks are no times: 1"):
        system.pull(NAME, "tickets", by="loop")


def tickets(*names: str, at: str = "2026-04-01T10:00:00") -> pa.Table:
    moments = [datetime.fromisoformat(at) + timedelta(minutes=place) for place in range(len(names))]
    return pa.table(
        {"ticket": list(names), "at": pa.array(moments, pa.timestamp("us", "UTC")), "intent": ["x"] * len(names)}
    )


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_each_row_of_files_and_delta_tables_is_fetched_once(system: System, tmp_path: Path, kind: str) -> None:
    there = tmp_path / "there"
    there.mkdir()
    number = iter(range(100))

    def more(rows: pa.Table) -> None:
        if kind == "delta":
            deltalake.write_deltalake(there, rows, mode="append")
        else:
            pq.write_table(rows, there / f"{next(number)}.parquet")

    more(tickets("a", "b"))
    applied(system, table=str(there) if kind == "delta" else f"{there}/*.parquet")
    assert system.pull(NAME, "tickets", by="loop").accepted == 2
    more(tickets("c", at="2026-04-01T11:00:00"))
    assert system.pull(NAME, "tickets", by="loop").accepted == 1
    assert kept(system) == ["a", "b", "c"]


def test_a_delta_table_in_an_object_store_is_fetched(
    system: System, bucket: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, options = bucket()
    deltalake.write_deltalake(f"{url}/tickets", tickets("a", "b"), storage_options=options)
    for name, value in options.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setenv("BUCKET", url)
    applied(system, table="${BUCKET}/tickets")
    assert system.pull(NAME, "tickets", by="loop").accepted == 2
    assert kept(system) == ["a", "b"]


def test_bad_rows_are_told_and_the_others_kept(system: System, tmp_path: Path) -> None:
    rows = tickets("a", "", "b")
    pq.write_table(rows.set_column(2, "intent", pa.array(["x", "x", None])), tmp_path / "t.parquet")
    applied(system, table=str(tmp_path / "t.parquet"))
    found = system.pull(NAME, "tickets", by="loop")
    assert (found.accepted, found.rejected) == (1, 2)
    assert found.reasons == ((2, "`id` is to have 1 to 200 characters; found 0"), (3, "`outcome` is missing"))


class _CutShort:
    """A source that breaks after its first rows, as the process may."""

    def read(self, mark: str, since: Any) -> Iterator[pa.Table]:
        del mark, since
        yield tickets("a", "b")
        raise KeyboardInterrupt


def test_a_pull_that_was_cut_short_is_gone_on_with(system: System, tmp_path: Path) -> None:
    pq.write_table(tickets("a", "b", "c"), tmp_path / "t.parquet")
    applied(system, table=str(tmp_path / "t.parquet"))
    from shelflife.observe.pull import pull

    with pytest.raises(KeyboardInterrupt):
        pull(
            system.database, system.tables, system.plan(NAME).plan, "tickets", clock=system.clock, by="loop",
            source=_CutShort(),
        )  # fmt: skip
    found = system.pull(NAME, "tickets", by="loop")
    assert (found.accepted, found.duplicate) == (1, 1)  # from the mark of the last row that was kept
    assert kept(system) == ["a", "b", "c"]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)  # nothing comes as far as a store
@pytest.mark.parametrize(
    ("pull", "says"),
    [
        ({"sql": "sqlite:////nowhere/at/all.db", "query": "SELECT 1"}, "There is no SQLite file '/nowhere/at/all.db'"),
        ({"sql": "sqlite://", "query": "SELECT FROM x"}, "syntax error"),
        ({"sql": "nosuch://host", "query": "SELECT 1"}, "SQLAlchemy URL whose driver is installed"),
        ({"sql": "${NO_SUCH_THING}", "query": "SELECT 1"}, r"asks for \$\{NO_SUCH_THING\} from the environment"),
        ({"table": "nowhere.parquet"}, "There is no file 'nowhere.parquet'"),
        ({"table": "s3://nowhere/x"}, "Cannot read the Delta table s3://nowhere/x"),
        ({"connector": "carrier-pigeon"}, r"There is no connector 'carrier-pigeon'. No installed package brings any.$"),
        ({"sql": "sqlite://", "query": "SELECT 1 AS a", "mark": "at"}, "cannot be run"),
    ],
)  # fmt: skip
def test_sources_that_cannot_be_read_are_told(
    system: System, pull: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    applied(system, **pull)
    with pytest.raises(BadInput, match=says):
        system.pull(NAME, "tickets", by="loop")
    assert kept(system) == []


def test_a_password_is_not_told(system: System) -> None:
    applied(system, sql="postgresql+psycopg://me:hunter2@127.0.0.1:9/x", query="SELECT 1")
    with pytest.raises(BadInput) as told:
        system.pull(NAME, "tickets", by="loop")
    assert "hunter2" not in str(told.value)
    assert "***" in str(told.value)


def test_a_sqlite_file_is_read_and_never_made_or_written(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    with pytest.raises(BadInput, match="There is no SQLite file"):
        Sql(f"sqlite:///{missing}", "SELECT 1 AS n")
    assert not missing.exists()
    there = tmp_path / "all tickets.db"
    with contextlib.closing(sqlite3.connect(there)) as connection, connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    found = Sql(f"sqlite:///{there}", "SELECT * FROM t")
    assert [table.to_pylist() for table in found.read("n", None)] == [[{"n": 1}]]
    with found._engine.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.execute(text("INSERT INTO t VALUES (2)"))


def test_the_connectors_keep_their_word(source: str, tmp_path: Path) -> None:
    write(source, ("a", "2026-04-01 10:00:00", 1), ("b", "2026-04-01 11:00:00", 2), ("c", "2026-04-01 11:00:00", 2))
    check_connector(Sql(source, "SELECT * FROM tickets"), "n")
    pq.write_table(tickets("a", "b", "c"), tmp_path / "t.parquet")
    check_connector(Table(str(tmp_path / "t.parquet")), "at")

    class Forgetful:
        def read(self, mark: str, since: Any) -> Iterator[pa.Table]:
            rows = tickets("a", "b", "c")
            yield rows if since is None else rows.filter(pa.compute.greater(rows[mark], since))

    with pytest.raises(AssertionError, match="rows are there; 2 were handed out"):
        check_connector(Forgetful(), "at")


def test_other_packages_bring_connectors(system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pigeons.py").write_text(
        "import pyarrow as pa\n"
        "class Pigeons:\n"
        "    def __init__(self, options): self.loft = options['loft']\n"
        "    def read(self, mark, since):\n"
        "        if since is None:\n"
        "            yield pa.table({'ticket': [self.loft], 'at': ['2026-04-01T10:00:00Z'], 'intent': ['x']})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(connectors, "entry_points", lambda group: [EntryPoint("pigeons", "pigeons:Pigeons", group)])
    monkeypatch.setenv("LOFT", "north")
    applied(system, connector="pigeons", options={"loft": "${LOFT}"})
    assert system.pull(NAME, "tickets", by="loop").accepted == 1
    assert kept(system) == ["north"]


def test_a_feed_that_is_not_fetched_is_told(system: System) -> None:
    with pytest.raises(BadInput, match=r"The plan fetches no feed 'scan'\. Did you mean 'scans'"):
        system.pull("parcel-delay", "scan", by="me")


def test_the_command_line_fetches(tmp_path: Path) -> None:
    pq.write_table(tickets("a", "b"), tmp_path / "t.parquet")
    said = {"rows": "outcomes", "table": "t.parquet", "mark": "at", "every": "1h",
            "columns": {"id": "ticket", "outcome": "intent", "time": "at"}}  # fmt: skip
    feeds = {"tickets": {"fresh_within": "2h", "owner": "lead", "pull": said}, "sent": {"fresh_within": "2h"}}
    (tmp_path / "plan.yaml").write_text(json.dumps({**json.loads(plans.text()), "feeds": feeds}))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SHELFLIFE")}
        return subprocess.run(
            [sys.executable, "-m", "shelflife", *words], cwd=tmp_path, capture_output=True, text=True, check=False,
            env=environment,
        )  # fmt: skip

    assert run("plan", "apply", "plan.yaml").returncode == 0
    assert run("pull", NAME).stdout == "tickets: 2 accepted, 0 known already, 0 rejected.\n"
    assert run("pull", NAME, "tickets").stdout == "tickets: 0 accepted, 1 known already, 0 rejected.\n"
    assert "The plan fetches no feed 'sent'" in run("pull", NAME, "sent").stderr


def test_a_pull_names_one_source() -> None:
    for wrong in ({}, {"table": "x", "connector": "y"}, {"sql": "sqlite://"}, {"table": "x", "options": {"a": "b"}}):
        with pytest.raises(ValueError, match=r"needs|has `options`"):
            Pull.model_validate({"rows": "outcomes", "mark": "at", "every": "1h", **wrong}, strict=False)


def test_time_is_told_by_the_clock(system: System, tmp_path: Path) -> None:
    pq.write_table(tickets("a"), tmp_path / "t.parquet")
    applied(system, table=str(tmp_path / "t.parquet"))
    assert isinstance(system.clock, ManualClock)
    system.clock.advance(timedelta(days=3))
    system.pull(NAME, "tickets", by="loop")
    (event,) = system.ledger.entries(kind="rows.observed")
    assert event.at == system.clock.now()


def test_a_rejected_row_at_the_mark_is_told_once(system: System, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(tickets("a", ""), path)
    applied(system, table=str(path))
    for _ in range(3):
        assert system.pull(NAME, "tickets", by="loop").rejected == 1
    pq.write_table(pa.concat_tables([tickets("a", ""), tickets("", at="2026-04-01T10:01:00")]), path)
    for _ in range(2):
        assert system.pull(NAME, "tickets", by="loop").rejected == 2
    told = [(one.body["accepted"], one.body["rejected"]) for one in system.ledger.entries(kind="rows.observed")]
    assert told == [(1, 1), (0, 1)]


def test_what_the_environment_told_a_connector_is_not_told(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "crows.py").write_text(
        "def crows(options):\n    raise ConnectionError('GET /export?key=' + options['key'])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(connectors, "entry_points", lambda group: [EntryPoint("crows", "crows:crows", group)])
    monkeypatch.setenv("CRM_KEY", "s3cr3t")
    applied(system, connector="crows", options={"key": "${CRM_KEY}"})
    with pytest.raises(BadInput, match=r"cannot be fetched: ConnectionError: GET /export\?key=\$\{CRM_KEY\}$"):
        system.pull(NAME, "tickets", by="loop")
