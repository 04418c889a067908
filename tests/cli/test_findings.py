"""From a table to a watched system by the words of the README, and what a person does about findings."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.cli.commands import process, run

from shelflife.system import System
from shelflife.testing import streams
from shelflife.watch import findings
from shelflife.watch.findings import Found
from shelflife.workspace import Settings


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A folder in which the README was followed."""
    folder = tmp_path_factory.mktemp("parcels")
    told = streams.steady(days=28, rows=50, seed=3)
    told = told.rename_columns(
        [{"fraud": "said", "charged_back": "true"}.get(name, name) for name in told.schema.names]
    )
    ids = pa.array([f"p{number}" for number in range(len(told))])
    pq.write_table(told.append_column("parcel", ids), folder / "history.parquet")
    readme = (root / "README.md").read_text()
    block = next(one for one in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) if "plan draft" in one)
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert commands.pop() == ["shelflife", "up"]
    for command, *words in commands:
        assert command == "shelflife"
        done = process(folder, *words)
        assert done.exit_code == 0, (words, done.output)
    return folder


def test_the_readme_leads_to_a_watched_system(watched: Path) -> None:
    done = run(watched, "status")
    assert done.exit_code == 0
    assert done.stdout.startswith("Parcels (parcels): 0 to act on, 0 to note\n")
    said = run(watched, "status", "--json").stdout
    assert "+00:00" not in said  # a moment ends in Z
    (told,) = json.loads(said)
    assert (told["system"], told["reference"]) == ("parcels", 1)
    assert run(watched, "status", "parcel").exit_code == 2
    assert run(watched, "reference", "parcels", "--end", "2026-02-01").stdout.startswith("✓ Reference 2 of parcels: 1,")
    assert "asks for a date" in run(watched, "reference", "parcels", "--end", "soon").stderr


def test_findings_are_shown_and_answered(watched: Path) -> None:
    assert (run(watched, "findings").stdout, run(watched, "findings").exit_code) == (
        "Nothing is found, but not all is known: `shelflife status` says why of parcels.\n", 0,
    )  # fmt: skip
    system = System(Settings(home=watched / ".shelflife"))
    since = datetime(2026, 4, 1, tzinfo=UTC)
    with system.database.writing() as connection:
        found = [Found(code, code, f"{code} is so.", "at most 5 %", since, 3) for code in ("SL301", "SL104")]
        findings.tell(connection, "parcels", found, plan=1, now=datetime.now(UTC))
    system.close()
    done = run(watched, "findings", "--system", "parcels")
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == 2
    first, second = sorted(one["number"] for one in json.loads(run(watched, "findings", "--json").stdout))
    shown = run(watched, "findings", "show", str(first)).stdout
    assert "Promised: at most 5 %" in shown
    assert "Since: 2026-04-01 00:00Z" in shown
    assert run(watched, "findings", "acknowledge", str(first), "--by", "mara").stdout == (
        f"✓ Finding {first} is acknowledged.\n"
    )
    assert run(watched, "findings", "mute", str(first), "--reason", "sale", "--until", "2020-01-01").exit_code == 2
    assert run(watched, "findings", "mute", str(first), "--reason", "sale", "--until", "2126-01-01").exit_code == 0
    shown = run(watched, "findings", "show", str(first)).stdout
    assert "sale" in shown
    assert "Until: 2126-01-01 00:00Z" in shown
    assert run(watched, "findings", "resolve", str(second), "--reason", "repaired").exit_code == 0
    assert len(run(watched, "findings").stdout.splitlines()) == 1
    assert len(run(watched, "findings", "--ended").stdout.splitlines()) == 2
    run(watched, "findings", "mute", str(first), "--reason", "for good", "--until", "9999-12-31")
    run(watched, "findings", "resolve", str(first), "--reason", "over")
    shown = run(watched, "findings", "show", str(first)).stdout
    assert "resolved" in shown
    assert "Until" not in shown
    assert "There is no finding 99." in run(watched, "findings", "show", "99").stderr
    assert "Options come after the word" in run(watched, "findings", "--ended", "show", "1").stderr
    assert "There is no system 'parcel'" in run(watched, "findings", "--system", "parcel").stderr
