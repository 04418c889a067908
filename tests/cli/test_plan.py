"""The commands of a plan and of a workspace, as a person types them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.cli.commands import process, run

from shelflife import plan
from shelflife.cli.frame import as_json


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    found = re.search(r"```yaml\n(shelflife: 1\n.*?)```", (root / "docs" / "plan.md").read_text(), re.DOTALL)
    assert found is not None
    (tmp_path / "shelflife.yaml").write_text(found[1])
    return tmp_path


def test_a_plan_is_checked_applied_compared_and_shown(folder: Path) -> None:
    done = run(folder, "plan", "check", "shelflife.yaml")
    assert (done.exit_code, done.stdout) == (0, "✓ shelflife.yaml is valid; nothing is left open.\n")
    assert not (folder / ".shelflife").exists()  # looking makes nothing
    done = run(folder, "plan", "apply", "shelflife.yaml", "--because", "first", "--by", "lead")
    assert "✓ Plan 1 of parcel-delay counts from now on." in done.stdout
    assert "nothing was changed" in run(folder, "plan", "apply", "shelflife.yaml").stdout
    text = (folder / "shelflife.yaml").read_text()
    (folder / "new.yaml").write_text(text.replace("at_least: 0.85", "at_least: 0.9"))
    done = run(folder, "plan", "diff", "shelflife.yaml", "new.yaml")
    assert (done.exit_code, done.stdout) == (1, "watch.performance.at_least is stricter: 0.9, was 0.85.\n")
    assert run(folder, "plan", "diff", "new.yaml", "new.yaml").exit_code == 0
    assert "stricter: 0.9, was 0.85" in run(folder, "plan", "apply", "new.yaml").stdout
    assert run(folder, "plan", "show", "parcel-delay", "--number", "1").stdout == text
    assert json.loads(run(folder, "plan", "schema").stdout)["title"] == "Shelflife plan"


def test_mistakes_and_what_is_open_have_their_lines_and_status(folder: Path) -> None:
    text = (folder / "shelflife.yaml").read_text()
    (folder / "bad.yaml").write_text(text.replace("bucket: 1d", "bucket: daily"))
    done = run(folder, "plan", "check", "bad.yaml")
    assert done.exit_code == 2
    assert "bad.yaml:40: `watch.bucket` is to be a number and a unit" in done.stderr
    assert run(folder, "plan", "apply", "bad.yaml").exit_code == 2
    (folder / "open.yaml").write_text(text.replace("review: {every: 90d, by: lead}\n", ""))
    done = run(folder, "plan", "check", "open.yaml")
    assert done.exit_code == 1
    assert "open.yaml:1: PL302 Nobody will read this plan again" in done.stdout
    assert json.loads(run(folder, "plan", "check", "open.yaml", "--json").stdout)[0]["code"] == "PL302"
    assert run(folder, "plan", "check", "none.yaml").exit_code == 2


def test_a_draft_is_a_plan_that_teaches(folder: Path) -> None:
    rng = np.random.default_rng(0)
    size = 4_000
    x = rng.normal(size=size)
    table = {
        "ts": pa.array(np.arange(size) * 7_200_000_000 + 1_700_000_000_000_000, pa.timestamp("us")),
        "x": x, "Country: of origin": rng.choice(["de", "fr"], size), "true": rng.choice(["yes", "no"], size),
        "late": (x + rng.normal(size=size) > 0).astype(int), "parcel": [f"p-{number}" for number in range(size)],
    }  # fmt: skip
    pq.write_table(pa.table(table), folder / "history.parquet")
    draft = ["plan", "draft", "history.parquet", "--time", "ts"]
    done = process(folder, *draft, "--target", "late", "--out", "draft.yaml")
    assert done.exit_code == 0, done.stderr
    text = (folder / "draft.yaml").read_text()
    drafted = plan.read(folder / "draft.yaml").plan
    assert drafted.model.inputs == {"x": "numeric", "Country: of origin": "category", "true": "category"}
    assert drafted.watch.performance is not None
    assert drafted.watch.performance.metric == "accuracy"
    assert 0.6 < (drafted.watch.performance.at_least or 0) < 0.75
    assert text.count("#") > 20
    assert "differs in every row: parcel. It may be the `id`" in text
    assert run(folder, "plan", "check", "draft.yaml").exit_code == 1  # TODO stands for what people know
    done = process(folder, *draft, "--out", "draft.yaml")
    assert done.exit_code == 2
    assert "a draft never writes over a plan" in done.stderr
    done = process(folder, *draft, "--drop", "late,true")
    assert plan.parse(done.stdout).plan.watch.performance is None
    assert "was not measured" in done.stderr


def test_rows_tokens_and_the_ledger(folder: Path) -> None:
    assert "There is no workspace" in run(folder, "ledger", "show").stderr
    run(folder, "plan", "apply", "shelflife.yaml", "--by", "lead")
    secret = run(folder, "token", "create", "ci", "--lasts", "90d").stdout.strip()
    assert re.fullmatch(r"sl_[0-9a-f]{12}_\S{43}", secret)
    listed = run(folder, "token", "list").stdout
    assert secret.split("_")[1] in listed
    assert secret.split("_", 2)[2] not in listed
    assert run(folder, "token", "revoke", secret.split("_")[1]).exit_code == 0
    assert run(folder, "token", "revoke", "none").exit_code == 2
    (folder / "x.csv").write_text("parcel,at,weight\np1,2026-04-30T10:00:00Z,2.5\np2,2026-04-30T11:00:00Z,heavy\n")
    arguments = ["observe", "predictions", "x.csv", "--system", "parcel-delay", "--columns", "id=parcel,time=at"]
    done = run(folder, *arguments)
    assert (done.exit_code, done.stdout) == (1, "0 accepted, 0 known already, 2 rejected.\n")
    (folder / "x.csv").write_text("parcel,at,weight\np1,2026-04-30T10:00:00Z,2.5\np2,2026-04-30T11:00:00Z,3\n")
    assert run(folder, *arguments).stdout == "2 accepted, 0 known already, 0 rejected.\n"
    assert run(folder, *arguments).stdout == "0 accepted, 2 known already, 0 rejected.\n"
    assert run(folder, "tables", "compact", "parcel-delay").stdout == "1 file became 1.\n"
    assert run(folder, "tables", "expire", "parcel-delay").stdout == "0 rows removed.\n"
    assert run(folder, "tables", "erase", "parcel-delay", "p1").stdout.startswith("1 row removed")
    done = run(folder, "ledger", "verify")
    assert (done.exit_code, done.stdout[:23]) == (0, "✓ The ledger is whole: ")
    exported = [json.loads(line) for line in run(folder, "ledger", "export").stdout.splitlines()]
    assert [event["type"].removeprefix("shelflife.") for event in exported][:3] == [
        "workspace.made", "plan.applied", "token.made",
    ]  # fmt: skip
    assert "plan.applied  by lead" in run(folder, "ledger", "show", "--system", "parcel-delay", "--since", "7d").stdout
    assert "There is no event" in run(folder, "ledger", "show", "--kind", "plan.aplied").stderr
    import sqlite3

    with sqlite3.connect(folder / ".shelflife" / "shelflife.db") as connection:
        connection.execute("UPDATE ledger SET by = 'nobody' WHERE number = 2")
    connection.close()
    done = run(folder, "ledger", "verify")
    assert (done.exit_code, "broken at event 2" in done.stdout) == (1, True)


def test_a_workspace_is_nobody_elses(folder: Path) -> None:
    run(folder, "plan", "apply", "shelflife.yaml")
    assert (folder / ".shelflife").stat().st_mode & 0o077 == 0
    assert (folder / ".shelflife" / ".gitignore").read_text() == "*\n"


def test_a_draft_says_what_of_a_table_it_cannot_use(folder: Path) -> None:
    (folder / "empty.csv").write_text("ts,x\n")
    done = process(folder, "plan", "draft", "empty.csv", "--time", "ts")
    assert (done.exit_code, "empty.csv has no rows; a plan is drafted from what was" in done.stderr) == (2, True)
    rows = "".join(f"2026-01-{1 + day % 28:02}T10:00:00Z,{day},v{day % 3},{day % 7}\n" for day in range(200))
    (folder / "history.csv").write_text("ts,weight,version,depth\n" + rows.replace(",v", ".5,v"))
    done = process(folder, "plan", "draft", "history.csv", "--time", "ts", "--drop", "wieght")
    assert "--drop names a column 'wieght' that is not there. Did you mean 'weight'?" in done.stderr
    commas = "".join(f'2026-01-{1 + day % 28:02}T10:00:00Z,"{day},5",v{day % 3},{day % 7}\n' for day in range(200))
    (folder / "commas.csv").write_text("ts,weight,version,depth\n" + commas)
    done = process(folder, "plan", "draft", "commas.csv", "--time", "ts")
    assert set(plan.parse(done.stdout).plan.model.inputs) == {"depth"}
    assert "decimal commas and are read as words: weight." in done.stdout
    assert "rows of predictions have a column of that name: version." in done.stdout
    (folder / "one.csv").write_text("ts,x,late\n2026-01-01T10:00:00Z,1,0\n")
    done = process(folder, "plan", "draft", "one.csv", "--time", "ts", "--target", "late")
    assert (done.exit_code, done.stderr.lower().count("the history is too short"), ".." in done.stderr) == (
        0,
        1,
        False,
    )


def test_what_is_asked_for_wrongly_is_told_in_its_own_words(folder: Path) -> None:
    run(folder, "plan", "apply", "shelflife.yaml")
    done = run(folder, "ledger", "show", "--since", "banana")
    assert "--since asks for a date or a moment, as 2026-05-01, or how long ago, as 7d; found 'banana'" in done.stderr
    done = run(folder, "ledger", "verify", "--head", "abc")
    assert (done.exit_code, "asks for a hash" in done.stderr) == (2, True)
    done = run(folder, "ledger", "verify", "--head", "0" * 64)
    assert (done.exit_code, done.stdout[:40]) == (1, "✗ This is not the ledger that was noted:")
    assert "a name by which people find it" in run(folder, "token", "create", " ").stderr
    assert "ends at once" in run(folder, "token", "create", "ci", "--lasts", "0d").stderr


def test_tokens_may_all_that_was_given(folder: Path) -> None:
    run(folder, "plan", "apply", "shelflife.yaml")
    text = (folder / "shelflife.yaml").read_text()
    (folder / "other.yaml").write_text(text.replace("system: parcel-delay", "system: other"))
    run(folder, "plan", "apply", "other.yaml")
    given = ["--may", "read", "--may", "act,decide", "--system", "parcel-delay", "--system", "other"]
    assert "may read, act, decide, until" in run(folder, "token", "create", "all", *given).stderr
    assert "all  may read, act, decide  parcel-delay, other  no end" in run(folder, "token", "list").stdout
    assert "may observe, until" in run(folder, "token", "create", "ci").stderr


def test_an_invitation_says_at_which_address(folder: Path) -> None:
    run(folder, "plan", "apply", "shelflife.yaml")
    done = run(folder, "account", "create", "ada")
    assert re.fullmatch(r"/link/\S+\n", done.stdout)
    assert "Put the service's address before it" in done.stderr
    done = run(folder, "account", "link", "ada", "--url", "http://127.0.0.1:8711/")
    assert re.fullmatch(r"http://127.0.0.1:8711/link/\S+\n", done.stdout)


def test_json_has_times_as_the_api_writes_them() -> None:
    found = [Moment(datetime(2026, 5, 1, 10, tzinfo=UTC), date(2026, 5, 2), None)]
    assert json.loads(as_json(found)) == [{"at": "2026-05-01T10:00:00Z", "day": "2026-05-02", "ended": None}]


@dataclass
class Moment:
    at: datetime
    day: date
    ended: datetime | None
