"""Which of several models a process died by, as its marks tell: with processes that die."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shelflife.gateway.dying import LOADING, Dead, Mark, clear, who

# Models at work in threads, each for a route; the one whose place is told ends the process.
PROGRAM = """
import os, signal, sys, threading
from pathlib import Path
from shelflife.gateway.dying import Mark, faults

folder, how, last, *models = sys.argv[1:]
faults(Path(folder))
ready = threading.Barrier(len(models))

def work(place, system, version, route):
    mark = Mark(Path(folder), system, int(version))
    mark.begin(route, 7)
    ready.wait()
    mark.within(answer)(place)

def answer(place):
    if place == int(last):
        if how == "exit":
            os._exit(3)
        signal.raise_signal({"fault": signal.SIGSEGV, "kill": signal.SIGKILL, "stop": signal.SIGTERM}[how])
    threading.Event().wait(60)

threads = [threading.Thread(target=work, args=(n, *one.split())) for n, one in enumerate(models)]
[one.start() for one in threads]
[one.join() for one in threads]
"""


def died(folder: Path, how: str, last: int, *models: str) -> Dead | None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), how, str(last), *models], check=False, capture_output=True
    )
    return who(folder, done.returncode)


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_fault_is_of_the_model_in_whose_thread_it_is(tmp_path: Path, last: int) -> None:
    models = ["desk 3 champion", "desk 2 shadow", "shop 9 canary"]
    system, version, route = models[last].split()
    assert died(tmp_path, "fault", last, *models) == Dead(system, int(version), route, 7, -11)


def test_a_fault_where_no_model_is_at_work_is_of_none(tmp_path: Path) -> None:
    mark = Mark(tmp_path, "desk", 2)
    mark.begin("canary", 7)
    (tmp_path / "fault").write_text('Stack (most recent call first):\n  File "x.py", line 1 in at-work-999999\n')
    assert who(tmp_path, -11) is None
    (tmp_path / "fault").write_text("")
    assert who(tmp_path, -11) == Dead("desk", 2, "canary", 7, -11)


def test_without_a_fault_it_is_what_was_being_loaded_or_is_newest_or_not_known(tmp_path: Path) -> None:
    def exits(*models: str) -> tuple[int, str] | None:
        folder = clear(tmp_path / "marks")
        assert folder is not None
        found = died(folder, "exit", 0, *models)
        return None if found is None else (found.version, found.route)

    assert exits("desk 3 champion", "desk 2 shadow") == (3, "champion")
    assert exits("desk 3 canary", "desk 2 champion") == (3, "canary")
    assert exits("desk 3 champion", f"desk 2 {LOADING}") == (2, LOADING)
    assert exits("desk 3 champion", f"shop 1 {LOADING}") == (1, LOADING)
    assert exits("desk 3 champion", "shop 1 champion") is None


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    assert Dead("desk", 1, "champion", 7, -40).says == "its process ended by signal 40 while it answered"


def test_who_was_stopped_says_nothing_and_who_was_killed_is_named(tmp_path: Path) -> None:
    assert died(tmp_path, "stop", 0, "desk 3 champion") is None
    found = died(tmp_path, "kill", 0, "desk 3 champion")
    assert found == Dead("desk", 3, "champion", 7, -9)
    assert found.killed


def test_a_model_that_rests_has_done_nothing_and_one_that_is_loaded_twice_has_two_marks(tmp_path: Path) -> None:
    first, second = (Mark(tmp_path, "desk", 1) for _ in range(2))
    first.begin("champion", 7)
    second.begin("champion", 8)
    second.end()
    second.close()
    assert who(tmp_path, 1) == Dead("desk", 1, "champion", 7, 1)
    first.end()
    assert who(tmp_path, 1) is None
    first.close()
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_gone_or_none_end_nobody(tmp_path: Path) -> None:
    mark = Mark(tmp_path / "tidied up", "desk", 1)
    mark.begin("champion", 7)
    assert who(tmp_path / "tidied up", 1) == Dead("desk", 1, "champion", 7, 1)
    assert who(tmp_path / "gone", 1) is None
    (tmp_path / "file").touch()
    assert clear(tmp_path / "file" / "marks") is None
    Mark(tmp_path / "file" / "marks", "desk", 1).begin("champion", 7)
    (tmp_path / "tidied up" / "9-1-desk").touch()  # it died as it made its mark
    assert who(tmp_path / "tidied up", 1) == Dead("desk", 1, "champion", 7, 1)
