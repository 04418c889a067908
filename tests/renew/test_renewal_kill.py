"""Who renews is killed at every step and within, and the next one goes on: each effect is there, once."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.renew.killed import prepare, seen

from shelflife.system import System
from shelflife.workspace import Settings

PROGRAM = Path(__file__).with_name("killed.py")
# `SHELFLIFE_KILLS=300 pytest tests/renew/test_renewal_kill.py` is the whole trial.
KILLS = int(os.environ.get("SHELFLIFE_KILLS", "4"))
TAKEN = ("canary 30 % waits", "train 5d trained", "close is done", "promote is done", "approve waits")
WAITS = ("approve", "canary 30 %", "bake")
WITHIN = {
    "train 5d": ["train 5d trained"], "choose": ["choose created in MLflow", "choose registered"],
    "gates": ["gates trained"],
}  # fmt: skip


def places() -> list[str]:
    """All places, in the order in which a renewal comes by."""
    found = ["started"]
    for name in ("snapshot", "check", "train 5d", "choose", "gates", *WAITS[:2], "promote", "bake", "brief", "close"):
        found += [f"{name} begins", *WITHIN.get(name, ())]
        if name in WAITS:
            found += [f"{name} waits", f"{name} is noted: wait"]
        found += ["approved"] if name == "approve" else []
        found += [f"{name} is done", f"{name} is noted: {'over' if name == 'close' else 'next'}"]
    return found


@contextmanager
def processes(settings: Settings) -> Iterator[Any]:
    """Asks for processes, each of which goes on until it ends in the way that is returned."""
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[2])}
    command = [sys.executable, str(PROGRAM), settings.model_dump_json()]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as program:  # fmt: skip
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"

        def ask(**how: Any) -> str:
            print(json.dumps(how), file=program.stdin, flush=True)
            return str(program.stdout.readline()).strip()  # type: ignore[union-attr]

        yield ask


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, mlflow_file: Path) -> dict[str, Any]:
    """What is there when nobody is killed."""
    settings = Settings(home=tmp_path_factory.mktemp("undisturbed") / "workspace")
    System(settings).close()
    shutil.copy(mlflow_file, settings.home)
    prepare(settings)
    with processes(settings) as ask:
        assert ask() == "over"
    found = seen(settings)
    assert found["renewal"][:3] == ("promoted", 1, 2)
    assert found["mlflow"] == [1, 2]
    return found


def test_a_renewal_that_is_killed_again_and_again_does_each_thing_once(
    settings: Settings, undisturbed: dict[str, Any]
) -> None:
    rng = random.Random(f"{os.environ.get('SHELFLIFE_SEED', '0')} {settings.database is None}")
    every = places()
    some = sorted(rng.sample(range(len(every)), min(len(every), max(1, 2 * KILLS // 3))))
    chosen = [every[number] for number in some]
    moments = Counter(rng.choice(chosen) for _ in range(KILLS - len(chosen)))
    prepare(settings)
    with processes(settings) as ask:
        for place in chosen:
            there = False
            for _ in range(moments[place]):
                ended = ask(at=place, after=rng.uniform(0.0, 2.0))
                there = ended == f"killed {place}"
                if there:
                    break
                assert ended == "killed"
            assert there or ask(at=place) == f"killed {place}"
        assert ask() == "over"
    found = seen(settings)
    for part, value in found.items():
        assert value == undisturbed[part], part


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
@pytest.mark.parametrize("place", TAKEN[: max(1, KILLS // 6)])
def test_another_loop_takes_over_and_who_led_before_wakes_too_late(
    settings: Settings, undisturbed: dict[str, Any], place: str
) -> None:
    """The leader is halted with a step done and not noted; another one does it, is killed, and the first one wakes."""
    prepare(settings)
    with processes(settings) as ask:
        halted, _, number = ask(at=place, halt=True, loop=True).partition(" ")
        assert halted == "halted"
        then = places()[places().index(place) + 1]
        assert ask(at=then, loop=True) == f"killed {then}"
        assert ask(wake=int(number)) == "over"
    found = seen(settings)
    for part in ("versions", "mlflow", "steps"):
        assert found[part] == undisturbed[part]
    assert found["renewal"][:3] == undisturbed["renewal"][:3]
    told = [[(kind, by, body.get("step")) for kind, _, by, body in one["events"]] for one in (found, undisturbed)]
    assert [one for one in told[0] if one[1] != "loop" or one[0].startswith("renewal")] == [
        one for one in told[1] if one[1] != "loop" or one[0].startswith("renewal")
    ]
