"""How long work survives: runs of steps that are gone on with where they were, whoever was killed on the way.

The only importer of DBOS. A leg of a run is its steps from one to where it has to wait for somebody, or is over.
Nothing waits in here: what waits is written down by who runs it, and has another leg when it is time. One process at a
time does legs, the leader of the loop. All leaders have one name and one version here, so that each takes over what
the one before it left, also after an upgrade.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Ended = Literal["next", "wait", "over"]
Do = Callable[[str, int], Ended]

# A default version is a digest of the source: what was left under another one would silently never be gone on with.
_VERSION = "1"
_WHO = "shelflife"
_GOING = ["PENDING", "ENQUEUED", "DELAYED"]
_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_MOST = 1_000  # ended legs that are forgotten at once
_PAUSE = 0.05  # seconds
_log = logging.getLogger("shelflife.durable")


@dataclass(frozen=True)
class Leg:
    """The last leg of a run.

    Attributes
    ----------
    run
        The name of its run.
    state
        As DBOS calls it.
    error
        What stopped it, if anything did.
    """

    run: str
    state: str
    error: str | None


class Durable:
    """Does legs of runs, from its first one until it is closed. A process has one at a time.

    Parameters
    ----------
    url
        The database in which it is kept how far each is: an SQLAlchemy URL.
    do
        Does one step, by the run's name and the step's place. A step that was killed is done again: that what it did
        by then happens once is for it to see to.
    lives
        Whether a run is under way, by its name: an error that stopped a leg of it is told until it has another one.
    """

    def __init__(self, url: str, do: Do, lives: Callable[[str], bool]) -> None:
        self._url, self._do, self._lives = url, do, lives
        self._leg: Any = None
        self._lock = threading.RLock()

    def start(self) -> None:
        """Begin, with what was left by whoever did this before."""
        from dbos import DBOS

        with self._lock:
            if self._leg is not None:
                return
            logging.getLogger("dbos").setLevel(logging.CRITICAL)  # what goes wrong is told by who does the steps
            DBOS(
                config={
                    "name": _WHO, "system_database_url": self._url, "application_version": _VERSION,
                    "executor_id": _WHO, "log_level": "CRITICAL", "console_log_level": "CRITICAL",
                    "enable_otlp": False,
                }
            )  # fmt: skip
            do = self._do

            @DBOS.workflow(name="leg")
            def leg(run: str, place: int) -> str:
                try:
                    while (ended := DBOS.run_step({"name": str(place)}, do, run, place)) == "next":
                        place += 1
                except Exception:
                    _log.warning("a leg of %s was stopped", run, exc_info=True)
                    raise
                return ended

            DBOS.launch()
            self._leg = leg

    def close(self) -> None:
        """Stop; what is under way is done again from the step that it was at, by whoever starts next."""
        with self._lock:
            if self._leg is not None:
                from dbos import DBOS

                DBOS.destroy(destroy_registry=True)
                self._leg = None

    def go(self, run: str, place: int) -> bool:
        """Begin a leg at a step, unless one of this run is under way; whether it was begun."""
        from dbos import DBOS, SetWorkflowID

        with self._lock:
            self.start()
            if self._under_way(run):
                return False
            self._forget(run)
            with SetWorkflowID(f"{run}/{secrets.token_hex(6)}"):
                DBOS.start_workflow(self._leg, run, place)
            return True

    def join(self) -> None:
        """Wait until all legs have ended, also those that were left here."""
        while self._leg is not None and self._under_way():
            threading.Event().wait(_PAUSE)

    def _forget(self, run: str) -> None:
        """Remove what is kept of legs that have ended: nothing is gone on with there."""
        from dbos import DBOS

        found = DBOS.list_workflows(name="leg", status=_ENDED, load_input=False, load_output=False, limit=_MOST)
        over = [
            one.workflow_id for one in found
            if one.status == "SUCCESS" or (name := _run_of(one.workflow_id)) == run or not self._lives(name)
        ]  # fmt: skip
        if over:
            DBOS.delete_workflows(over)

    def _under_way(self, run: str | None = None) -> list[Any]:
        from dbos import DBOS

        of = None if run is None else f"{run}/"
        return list(DBOS.list_workflows(workflow_id_prefix=of, status=_GOING, load_input=False, load_output=False))


def legs(url: str) -> list[Leg]:
    """Of each run the last leg, if it is under way or was stopped by an error: what stopped an earlier one is over.

    Read by whoever asks; nothing is done.
    """
    from dbos import DBOSClient

    client = DBOSClient(system_database_url=url)
    try:
        found = client.list_workflows(load_input=False, name="leg")
    finally:
        client.destroy()
    last = {_run_of(one.workflow_id): one for one in found}  # they come in order of their beginning
    return [
        Leg(run, one.status, None if one.error is None else str(one.error))
        for run, one in last.items()
        if one.status in {*_GOING, "ERROR"}
    ]


def _run_of(leg: str) -> str:
    return leg.partition("/")[0]
