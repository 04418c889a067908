"""The commands `check` and `profile` as a user meets them: real processes, their exit status and what they print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shelflife.errors import BadInput
from shelflife.profile import Profile
from shelflife.testing import streams

LATER = datetime(2026, 4, 6)
ROLES = ["--prediction", "fraud", "--score", "score", "--outcome", "charged_back"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    pq.write_table(streams.steady(days=40, rows=100, seed=1), folder / "before.parquet")
    pq.write_table(streams.steady(days=20, rows=100, seed=2, start=LATER), folder / "same.parquet")
    shifted = streams.shifted(days=20, rows=100, seed=2, after=5, change="nulls", start=LATER)
    pq.write_table(shifted, folder / "after.parquet")
    pq.write_table(shifted.slice(0, 1_000), folder / "first.parquet")
    pq.write_table(shifted.slice(1_000), folder / "second.parquet")
    return folder


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shelflife", *arguments]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _check(folder: Path, current: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(folder, "check", "--reference", "before.parquet", "--current", current, *arguments)


def test_the_worst_comes_first_and_the_status_says_fail(folder: Path) -> None:
    done = _check(folder, "after.parquet", "--time", "ts", *ROLES, "--report", "r.html", "--json", "c.json")
    assert done.returncode == 1, done.stderr
    said = " ".join(done.stdout.split())
    assert said.startswith("✗ fail: Since 11 April 2026,")
    assert "of 'country' is missing, against 0 % in the reference" in said
    assert "■ harm SL101" in said
    assert "at most 1 false alarm in 26 weeks" in said
    assert (folder / "r.html").read_text().lstrip().lower().startswith("<!doctype html>")
    assert json.loads((folder / "c.json").read_text())["findings"][0]["code"] == "SL101"


def test_nothing_found_is_status_0_and_too_little_3(folder: Path) -> None:
    done = _check(folder, "same.parquet", "--time", "ts", *ROLES)
    assert done.returncode == 0
    assert "✓ pass: No change was found" in done.stdout
    pq.write_table(streams.steady(days=1, rows=5, seed=3), folder / "few.parquet")
    done = _check(folder, "few.parquet", "--exclude", "ts")
    assert done.returncode == 3
    assert "? unknown" in done.stdout


def test_json_on_standard_output_is_nothing_but_json(folder: Path) -> None:
    done = _check(folder, "after.parquet", "--time", "ts", "--json", "-")
    assert json.loads(done.stdout)["verdict"] == "fail"
    assert "✗ fail" in done.stderr


def test_profiles_are_added_and_checked_like_tables(folder: Path) -> None:
    made = _run(folder, "profile", "before.parquet", "--time", "ts", *ROLES, "--out", "before.profile")
    assert made.returncode == 0, made.stderr
    assert "4,000 rows in 40 buckets" in made.stdout
    for name in ("first", "second", "after"):
        arguments = ["--reference", "before.profile", "--out", f"{name}.profile"]
        assert _run(folder, "profile", f"{name}.parquet", *arguments).returncode == 0
    merged = _run(folder, "profile", "--merge", "first.profile", "second.profile", "--out", "both.profile")
    assert merged.returncode == 0
    assert (folder / "both.profile").read_bytes() == (folder / "after.profile").read_bytes()
    found = {}
    for name in ("both.profile", "after.parquet"):
        arguments = ["--reference", "before.profile", "--current", name, "--json", "-"]
        found[name] = json.loads(_run(folder, "check", *arguments).stdout)["findings"]
    assert found["both.profile"] == found["after.parquet"]


def test_options_from_a_file_and_the_command_line_wins(folder: Path) -> None:
    (folder / "check.yaml").write_text(
        "time: ts\nprediction: fraud\nscore: [score]\noutcome: charged_back\n"
        "tolerance: 0.5\nkinds:\n  items: category\n"
    )
    loose = json.loads(_check(folder, "after.parquet", "--config", "check.yaml", "--json", "-").stdout)
    assert next(column for column in loose["columns"] if column["name"] == "items")["kind"] == "category"
    done = _check(folder, "after.parquet", "--config", "check.yaml", "--tolerance", "0.02", "--json", "-")
    assert json.loads(done.stdout)["verdict"] == "fail"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("time: ts\ntolerence: 0.1\n", "line 2: there is no option 'tolerence'. Did you mean 'tolerance'?"),
        ("- time\n", "is to be a list of options"),
        ("time: ts\n\tseason: week\n", "line 2"),
        ("time: ts\nexclude: 7\n", "line 2: exclude is to be a name or a list of names; found 7"),
        ("reference: before.parquet\n", "line 1: reference is given on the command line"),
        ("", "found nothing"),
        ("kinds: items\n", "line 1: kinds is to be a kind for each column"),
    ],
)
def test_mistakes_in_the_file_are_named_by_line(folder: Path, written: str, message: str) -> None:
    (folder / "odd.yaml").write_text(written)
    done = _check(folder, "after.parquet", "--config", "odd.yaml")
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "--reference", "none.parquet", "--current", "after.parquet"], "There is no file 'none.parquet'"),
        (
            ["check", "--reference", "before.parquet", "--current", "after.parquet", "--time", "tz"],
            "Did you mean 'ts'?",
        ),
        (["check", "--reference", "before.parquet"], "--current"),
        (["profile", "before.parquet", "--out", "no/such/x.profile"], "Cannot write"),
        (["profile", "--merge", "before.parquet", "--out", "x.profile"], "is no profile"),
        (["profile", "before.parquet", "after.parquet", "--out", "x.profile"], "To add profiles, say --merge"),
        (["profile", "before.parquet", "--out", "before.parquet"], "it is what is read"),
        (
            ["check", "--reference", "before.parquet", "--current", "after.parquet", "--report", "after.parquet"],
            "it is what is read",
        ),
        (
            ["check", "--reference", "before.parquet", "--current", "after.parquet", "--report", "x", "--json", "x"],
            "Two results cannot be written to one file",
        ),
    ],
)
def test_errors_are_one_clear_sentence_and_a_status(folder: Path, arguments: list[str], message: str) -> None:
    done = _run(folder, *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr + done.stdout


def test_a_profile_that_is_damaged_or_given_twice_is_refused(folder: Path) -> None:
    made = _run(folder, "profile", "same.parquet", "--time", "ts", "--kinds", "items=category", "--out", "same.profile")
    assert made.returncode == 0, made.stderr
    done = _run(folder, "profile", "--merge", "same.profile", "same.profile", "--out", "twice.profile")
    assert done.returncode == 2
    assert "would count twice" in " ".join(done.stderr.split())
    whole = (folder / "same.profile").read_bytes()
    original = Profile.from_bytes(whole)
    refused = 0
    for place in range(0, len(whole), 499):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        try:
            found = Profile.from_bytes(bytes(damaged))
        except BadInput:
            refused += 1
        else:  # what lies between the columns says nothing
            assert found == original
    assert refused > 5
