"""A desk that is renewed by processes which are killed, each of which goes on where the one before it was.

`killed.py SETTINGS` prints `ready`, and for each line that it reads forks a process (all that is heavy is imported by
then) and prints how that ended: `killed`, with the place if it was at one, `halted` or `over`. A line is JSON: `at` is
the place at which it is to be killed, or with `halt` only halted; `after` the seconds after which it is killed. Without
either it goes on until all days are over. With `loop` it does what is due by the loop and its lease, and a minute goes
by with each look. `wake` is the process that was halted, which goes on then.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow.sklearn  # noqa: F401 - once, before processes are forked
import skops.io  # noqa: F401
import skrub  # noqa: F401
from dbos import DBOS  # noqa: F401
from tests.renew.living import DAY, DESK, Desk, written

from shelflife.errors import BadInput
from shelflife.loop import Loop
from shelflife.renew import registry, rollout, run, tending, training
from shelflife.renew.mlflows import Registry
from shelflife.routes import current
from shelflife.store import database
from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.workspace import Settings

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
TURNS, BEGINS, ENDS = 4, 14, 19  # days: the relation turns, renewals are tended, all is over
PLAN: dict[str, Any] = {
    "challenger": {"every": "50w", "better_by": 0.02},
    "data": {"windows": ["5d"], "validate": "4d"},
    "gates": [{"metric": "accuracy", "not_worse_by": 0.02}, "reproducible", "data_checks"],
}
MINUTE = timedelta(minutes=1)
_armed: dict[str, Any] = {}


def place(name: str) -> None:
    """A place at which a process may be killed, or halted once."""
    if name == _armed.get("at"):
        _armed["file"].write_text(name)
        halt = _armed.pop("halt", False)
        if halt:
            _armed.pop("at")
        os.kill(os.getpid(), signal.SIGSTOP if halt else signal.SIGKILL)


# ---- places ----------------------------------------------------------------------------------------------------------


def mark() -> None:
    """Let there be places in each step, and where it leaves what the database does not hold."""
    for kind, handler in list(tending._HANDLERS.items()):
        tending._HANDLERS[kind] = _marked(handler)
    run.do = _noted(run.do)
    run.start = _after(run.start, "started")
    training.train = _after(training.train, "trained")
    Registry.create = _after(Registry.create, "created in MLflow")  # type: ignore[method-assign]
    registry.register = _after(registry.register, "registered")


_step = ""


def _marked(handler: Callable[[run.Going], run.Outcome]) -> Callable[[run.Going], run.Outcome]:
    @functools.wraps(handler)
    def marked(going: run.Going) -> run.Outcome:
        global _step  # noqa: PLW0603 - of the one renewal that a process carries on
        _step = going.step.name
        place(f"{_step} begins")
        found = handler(going)
        place(f"{_step} {'waits' if found.waits else 'is done'}")
        return found

    return marked


def _noted(do: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*given: Any) -> Any:
        ended = do(*given)
        place(f"{_step} is noted: {ended}")
        return ended

    return noted


def _after(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def after(*given: Any, **named: Any) -> Any:
        found = function(*given, **named)
        place(f"{_step} {name}".strip())
        return found

    return after


# ---- days ------------------------------------------------------------------------------------------------------------


def prepare(settings: Settings) -> None:
    """A desk with a champion that has learnt what is no longer so, on the day on which it is to be renewed."""
    clock = ManualClock(START)
    system = System(settings, clock)
    system.apply(written(**PLAN), by="lead", because="first")
    desk = Desk(system, clock, turns=TURNS)
    for _ in range(TURNS):
        desk.live(tend=False)
    plan = desk.plan
    taken = system.snapshot(DESK, by="lead", id="first")
    made = training.train(training.Job(plan, system.training_rows(taken.id), settings.home / "first"))
    version = registry.register(
        system.database, settings, plan, 1, artifact=made.artifact, key="first", snapshot=taken.id, record={},
        by="lead", because="the first", now=clock.now(),
    )  # fmt: skip
    with system.database.writing() as connection:
        rollout.promote(
            connection, DESK, version.number, beside=False, because="the first", now=clock.now(), by="lead"
        )  # fmt: skip
    desk.live(BEGINS - TURNS, tend=False)
    system.close()
    _keep_day(settings, BEGINS, lived=True)


def live(settings: Settings, *, loop: bool = False) -> None:
    """Go on from the day that it is, until all are over."""
    day, lived = json.loads(_file(settings).read_text())
    clock = ManualClock(START + day * DAY)
    system = System(settings, clock)
    desk = Desk(system, clock, turns=TURNS)
    desk.day = day
    desk.late()
    leader = Loop(system) if loop else None
    while True:
        if lived:
            _look(desk, leader)
            if _decides(desk):
                _look(desk, leader)
            if desk.newest.ended is not None or desk.day == (2 * ENDS if loop else ENDS):
                break
            if loop and not _rests(desk):
                continue
            _keep_day(settings, desk.day, lived=False)
        clock.advance(START + desk.day * DAY - clock.now())
        desk.live(tend=False)
        lived = True
        _keep_day(settings, desk.day, lived=True)
    if leader is not None:
        leader.resign()
    system.close()


def _look(desk: Desk, leader: Loop | None) -> None:
    """Let what can go on do so."""
    if leader is None:
        desk.tend()
        return
    file = desk.system.settings.home.with_suffix(".looks")
    looks = 1 + (int(file.read_text()) if file.exists() else 0)
    file.write_text(str(looks))
    desk.clock.advance(START + desk.day * DAY + looks * MINUTE - desk.clock.now())
    leader.tick()
    threading.Event().wait(0.5)  # what was begun by another one nobody here can wait for


def _rests(desk: Desk) -> bool:
    """Whether nothing goes on before another day is over."""
    newest = desk.newest
    return newest.state == "waiting" and not newest.says.startswith("Waits for owner")


def _decides(desk: Desk) -> bool:
    """Whether somebody approves, once they are asked."""
    newest = desk.newest
    if newest.state != "waiting" or not newest.says.startswith("Waits for owner"):
        return False
    try:
        desk.system.renewing.decide(newest.number, approve=True, person="deputy", reason="the figures are clear")
    except BadInput:  # they did, before the process was killed
        return True
    place("approved")
    return True


def _file(settings: Settings) -> Path:
    return settings.home.with_suffix(".day")


def _keep_day(settings: Settings, day: int, *, lived: bool) -> None:
    file = _file(settings)
    file.with_suffix(".new").write_text(json.dumps([day, lived]))
    file.with_suffix(".new").replace(file)


def seen(settings: Settings) -> dict[str, Any]:
    """All that is left behind, but for what is another each time: digests of artifacts, and how long things took."""
    system = System(settings, ManualClock(START + (ENDS + 1) * DAY))
    assert system.ledger.verify().whole
    with system.database.reading() as connection:
        routed = current(connection)[DESK]
        pointed = registry.pointer(connection, DESK, "champion")
        versions = registry.every(connection, DESK)
    assert pointed is not None
    assert routed.champion == pointed.version
    (renewal,) = system.renewing.renewals(DESK)
    _, steps = system.renewing.renewal(renewal.number)
    client = Registry(settings).client
    found = {
        "events": [
            (one.kind, str(one.at), one.by, {name: _plain(value) for name, value in one.body.items()
                                             if name not in ("digest", "report", "artifact")})
            for one in system.ledger.entries(system=DESK)
        ],
        "versions": [(one.number, one.registered, one.key, one.snapshot) for one in versions],
        "mlflow": sorted(one.version for one in client.search_model_versions(f"name='{DESK}'")),
        "routes": routed, "renewal": (renewal.state, renewal.champion, renewal.challenger, renewal.ended),
        "steps": [(one.place, one.name, one.state) for one in steps],
    }  # fmt: skip
    system.close()
    return found


def _plain(value: Any) -> Any:
    return value.partition(" in ")[0] if isinstance(value, str) and value.startswith("trained on") else value


# ---- processes -------------------------------------------------------------------------------------------------------


def main(said: str) -> None:
    settings = Settings.model_validate_json(said)
    database._IDLE = 2  # who is halted within a transaction is not waited for as long as in life
    mark()
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        child = asked.get("wake") or os.fork()
        if child == 0:
            _child(settings, **asked)
        if "wake" in asked:
            os.kill(child, signal.SIGCONT)
        print(_ended(child, settings), flush=True)


def _ended(child: int, settings: Settings) -> str:
    _, status = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return f"halted {child}"
    if os.WIFSIGNALED(status):
        file = _place_file(settings)
        at = f" {file.read_text()}" if file.exists() else ""
        file.unlink(missing_ok=True)
        return f"killed{at}"
    return "over" if status == 0 else "failed"


def _place_file(settings: Settings) -> Path:
    return settings.home.with_suffix(".place")


def _child(settings: Settings, *, after: float | None = None, loop: bool = False, **asked: Any) -> None:
    _armed.update(asked, file=_place_file(settings))
    if after is not None:
        threading.Thread(target=_end, args=(after,), daemon=True).start()
    status = 1
    try:
        live(settings, loop=loop)
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)


def _end(after: float) -> None:
    time.sleep(after)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
