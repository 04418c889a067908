"""The command as a user meets it: real processes, their exit status and what they print."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shelflife.testing import histories

BASE = ["--time", "ts", "--target", "y", "--every", "1w", "--window", "4w", "--jobs", "1"]
FAST = ["--model", "shelflife.testing.histories:fast_model"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    pq.write_table(histories.drifting(days=150, rows_per_day=20, ageing=0.002, seed=0), folder / "h.parquet")
    return folder


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shelflife", *arguments]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_answer_comes_first_and_the_files_are_named(folder: Path) -> None:
    done = _run(
        folder, "lifespan", "h.parquet", *BASE, *FAST, "--report", "r.html", "--badge", "b.svg", "--json", "j.json"
    )
    assert done.returncode == 0
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert lines[0].startswith("Models of y last about")
    assert str((folder / "r.html").resolve()) in done.stdout
    assert (folder / "r.html").read_text().lstrip().lower().startswith("<!doctype html>")
    assert (folder / "b.svg").read_text().startswith("<svg")
    found = json.loads((folder / "j.json").read_text())
    assert found["says"].startswith("Models of y last about")


def test_json_on_standard_output_is_nothing_but_json(folder: Path) -> None:
    (folder / "chatty.py").write_text(
        "from shelflife.testing import histories\n"
        "def train(X, y, *, seed):\n"
        "    print('training')\n"
        "    return histories.fast_model(X, y, seed=seed)\n"
    )
    for jobs in ("1", "2"):
        done = _run(folder, "lifespan", "h.parquet", *BASE[:-1], jobs, "--model", "chatty:train", "--json", "-")
        assert json.loads(done.stdout)["schema"] == "shelflife.lifespan/1"
        assert "Models of y last" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["none.parquet", *BASE], 2, "There is no file 'none.parquet'"),
        (["h.parquet", "--time", "tz", *BASE[2:]], 2, "Did you mean 'ts'?"),
        (["h.parquet", *BASE, "--model", "os:getcwd"], 2, "The trainer os:getcwd raised"),
        (["h.parquet", *BASE, "--report", "no/such/r.html"], 2, "Cannot write 'no/such/r.html'"),
        (["h.parquet", *BASE, "--window", "2y"], 3, "The history is too short"),
        (["h.parquet", "--time", "ts"], 2, "--target"),
        (["h.parquet", *BASE, "--origins", "many"], 2, "--origins"),
    ],
)
def test_errors_are_one_clear_sentence_and_a_status(
    arguments: list[str], status: int, message: str, folder: Path
) -> None:
    done = _run(folder, "lifespan", *arguments)
    assert done.returncode == status
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stdout == ""


def test_a_full_disk_is_told(folder: Path) -> None:
    done = _run(folder, "lifespan", "h.parquet", *BASE, *FAST, "--json", "/dev/full")
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_too_few_rows_to_tell_is_status_3(folder: Path) -> None:
    pq.write_table(histories.drifting(days=60, rows_per_day=1, seed=0), folder / "few.parquet")
    done = _run(
        folder, "lifespan", "few.parquet", "--time", "ts", "--target", "y", "--every", "5d", "--window", "30d", *FAST
    )
    assert done.returncode == 3
    assert "is unknown: too few rows were watched to tell" in done.stdout


def test_ctrl_c_stops_cleanly(folder: Path) -> None:
    (folder / "slow.py").write_text(
        "import pathlib, threading\n"
        "def train(X, y, *, seed):\n"
        "    pathlib.Path('started').touch()\n"
        "    threading.Event().wait(60)\n"
    )
    command = [
        sys.executable,
        "-m",
        "shelflife",
        "lifespan",
        "h.parquet",
        *BASE[:-1],
        "2",
        "--model",
        "slow:train",
        "--report",
        "never.html",
    ]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not (folder / "started").exists():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the command and its workers
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped; nothing was written" in errors
    assert "Traceback" not in errors + output
    assert not (folder / "never.html").exists()


def test_the_demonstration_runs_from_an_empty_folder(tmp_path: Path) -> None:
    done = _run(tmp_path, "demo", "--days", "60")
    assert done.returncode == 0
    assert " late" in done.stdout.splitlines()[3]
    assert (tmp_path / "shelflife-demo" / "lifespan.html").is_file()


def test_help_and_version(folder: Path) -> None:
    assert _run(folder, "--version").stdout.startswith("shelflife 0.")
    assert "--tolerance" in _run(folder, "lifespan", "--help").stdout
