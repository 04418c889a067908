"""A client for programs that predict: rows are handed over at once and sent behind their back.

Nothing here blocks or breaks the program that predicts. Rows wait in memory for a moment, go out in batches, and wait
in a folder while the service does not answer; what the service acknowledges is on its disk. Each row has an id, so
that sending twice is safe.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import random
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from shelflife.bodies import halves, written
from shelflife.waiting import Waiting, own_folder

_log = logging.getLogger("shelflife.client")

_MOST_ROWS = 200_000  # in memory, while one try is under way
_LONGEST_WAIT = 60.0  # seconds between two tries at most
_HELD = 60.0  # seconds after which what the service refused to a token is tried again
_REFUSED = {401, 403, 404}  # what a token may not, or a system without a plan: both can be put right
_LATER = {408, 425, 429}  # what has to wait whatever it is
_TOO_LARGE = 413


@dataclass(frozen=True)
class Sent:
    """What became of rows so far.

    Attributes
    ----------
    accepted
        On the service's disk.
    duplicate
        Known there already.
    rejected
        By the service: they cannot be used.
    lost
        On the way there: they are no rows, cannot be written, or there was no room for them.
    waiting
        In the folder, of those that this client was handed.
    """

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    lost: int = 0
    waiting: int = 0


class _Became(Enum):
    """What became of a try to send a batch."""

    TOLD = auto()  # the service said of each row what became of it
    HELD = auto()  # nothing of this kind is taken for now; others are
    AWAY = auto()  # the service does not answer


class Client:
    """Sends rows to a Shelflife service.

    Parameters
    ----------
    url
        Where the service is, as ``http://127.0.0.1:8700``.
    token
        A token that may observe.
    batch
        So many rows go out at once at most.
    every
        Seconds that a row waits for others at most.
    folder
        Where rows wait while the service does not answer: a folder that is made, or is this user's alone. By default
        one in the user's state directory (``XDG_STATE_HOME``) for this service, which the next process finds again.
    most_bytes
        How much may wait there; what comes then is lost, and counted.
    timeout
        Seconds for one try.

    Examples
    --------
    >>> client = Client("http://127.0.0.1:9", "token", folder="/nonexistent")  # doctest: +SKIP
    >>> client.predictions("support-desk", [{"id": "t-1", "time": "2026-05-01T10:00:00Z"}])  # doctest: +SKIP
    """

    def __init__(
        self, url: str, token: str, *, batch: int = 1_000, every: float = 0.5, folder: str | Path | None = None,
        most_bytes: int = 100_000_000, timeout: float = 10.0,
    ) -> None:  # fmt: skip
        self._url, self._timeout = url, timeout
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._batch, self._every = batch, every
        self._folder = Waiting(Path(folder) if folder is not None else own_folder(url), most_bytes)
        self._begin()
        self._start()
        _clients.add(self)
        atexit.register(_close, weakref.ref(self))

    def _begin(self) -> None:
        """With nothing handed over; also in the child of a process that forks: those rows are its parent's."""
        self._waiting: list[tuple[str, Any]] = []
        self._changed = threading.Condition()
        self._pause = threading.Event()  # set to end a wait between two tries
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._asked = 0  # how often somebody waited for all to be tried
        self._tried = math.inf  # up to which of these it is; nothing has to be without a thread
        self._until = math.inf  # when the last try has to be over
        self._sent = Sent()
        self._kept: dict[Path, int] = {}  # files of ours in the folder, with how many rows
        self._held: dict[str, float] = {}  # paths of which nothing is sent, and until when
        self._next_look = 0.0  # into the folder
        self._said: set[tuple[str, int]] = set()

    def _start(self) -> None:
        import httpx

        self._http = httpx.Client(base_url=self._url, headers=self._headers, timeout=self._timeout)
        self._tried = 0
        self._thread = threading.Thread(target=self._run, name="shelflife-client", daemon=True)
        self._thread.start()

    def predictions(self, system: str, rows: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> None:
        """Hand over predictions: ``{"id": …, "time": …, "inputs": {…}, "prediction": …, "score": …}``."""
        self._put(system, "predictions", rows)

    def outcomes(self, system: str, rows: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> None:
        """Hand over outcomes: ``{"id": …, "outcome": …}``."""
        self._put(system, "outcomes", rows)

    def feedback(self, system: str, rows: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> None:
        """Hand over feedback: ``{"id": …, "what": "override", "prediction_id": …}``."""
        self._put(system, "feedback", rows)

    def kpis(self, system: str, rows: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> None:
        """Hand over KPIs: ``{"kpi": …, "time": …, "value": …}``."""
        self._put(system, "kpis", rows)

    @property
    def sent(self) -> Sent:
        """What became of rows so far."""
        with self._changed:
            sent, kept = self._sent, list(self._kept.items())
        # What is gone was sent by another process of the same folder.
        return replace(sent, waiting=sum(rows for file, rows in kept if os.path.exists(file)))  # noqa: PTH110 - never raises

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was handed over was tried; whether the service has told what became of it.

        Where it has not, rows wait in the folder (`sent` says how many), and the log says why.
        """
        with self._changed:
            self._asked += 1
            asked = self._asked
            self._pause.set()
            self._changed.notify_all()
            tried = self._changed.wait_for(lambda: self._tried >= asked, timeout)
        return tried and not self.sent.waiting

    def close(self) -> None:
        """Send what can be sent within the time of one try, leave the rest in the folder, and stop."""
        with self._changed:
            self._stopping = True
            self._until = min(self._until, time.monotonic() + self._timeout)
            self._changed.notify_all()
        self._pause.set()
        _clients.discard(self)
        if self._thread is not None:
            self._thread.join()
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------------------------

    def _put(self, system: str, kind: str, rows: Any) -> None:
        try:
            given = [rows] if isinstance(rows, Mapping) else list(rows)
            some = [dict(row) for row in given if isinstance(row, Mapping)]
            # A table that is gone through gives its columns: it has as many rows as it says.
            wrong = (len(rows) if hasattr(rows, "columns") else len(given)) - len(some)
            path = f"/api/v1/systems/{quote(str(system), safe='', errors='replace')}/{kind}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not break the program that predicts
            some, wrong, path = [], 1, ""
            _log.error("no rows can be taken from %s: %s", type(rows).__name__, error)
        if wrong:
            self._count(lost=wrong)
            _log.error(
                "%d rows are lost: a row is a mapping of names and values, as {'id': ...}; those of a %s are none"
                " (of a DataFrame hand over `frame.to_dict('records')`)", wrong, type(rows).__name__,
            )  # fmt: skip
        if some:
            self._hand_over(path, some)

    def _hand_over(self, path: str, some: list[Any]) -> None:
        with self._changed:
            if self._stopping or len(self._waiting) + len(some) > _MOST_ROWS:
                self._count(lost=len(some))
                return
            self._waiting += [(path, row) for row in some]
            if self._thread is None:  # in a child of the process in which it was made
                self._start()
            if len(self._waiting) >= self._batch:
                self._changed.notify_all()

    def _run(self) -> None:
        wait = 0.0
        while True:
            taken, asked = self._taken()
            away = self._round(taken, waited=wait > 0)
            with self._changed:
                ended = self._stopping and not self._waiting
                self._tried = math.inf if ended else asked
                self._changed.notify_all()
                if ended:
                    return
            wait = min(_LONGEST_WAIT, max(0.5, 2 * wait)) if away else 0.0
            if away:
                self._pause.wait(wait * random.uniform(0.5, 1.0))

    def _taken(self) -> tuple[list[tuple[str, Any]], int]:
        """The rows that go out now, and how often somebody asked for them."""
        with self._changed:
            if len(self._waiting) < self._batch and not self._stopping and not self._pause.is_set():
                self._changed.wait(self._every)
            if self._stopping or self._pause.is_set():  # now or, it may be, never
                self._held.clear()
                self._next_look = 0.0
            self._pause.clear()
            taken, self._waiting = self._waiting, []
            return taken, self._asked

    def _round(self, taken: list[tuple[str, Any]], *, waited: bool) -> bool:
        """Send what was taken and what waits; whether the service is away.

        After the first try that gets no answer nothing is tried: what was taken is kept.
        """
        away = False
        for path, body, rows in self._bodies(taken):
            try:
                # What waits longer goes first.
                became = _Became.AWAY if waited or away else self._try(path, body, rows)
                away = not waited and became is _Became.AWAY
                if became is not _Became.TOLD:
                    self._keep(path, rows, body)
            except Exception:  # noqa: BLE001 - what one batch does to us costs no other
                _log.exception("%d rows are lost", rows)
                self._count(lost=rows)
        try:
            return away or self._send_waiting(waited=waited)
        except Exception:  # noqa: BLE001 - the thread goes on
            _log.exception("what waits in %s cannot be sent", self._folder.folder)
            return True

    def _bodies(self, taken: list[tuple[str, Any]]) -> Iterable[tuple[str, bytes, int]]:
        """Batches as they are sent: where to, the rows as JSON, and how many."""
        for path, rows in _grouped(taken, self._batch):
            bodies = written(rows)
            self._count(lost=len(rows) - sum(said for _, said in bodies))
            for body, said in bodies:
                yield path, body, said

    def _send_waiting(self, *, waited: bool) -> bool:
        """Send what waits in the folder, the oldest first; whether the service is away."""
        if not waited and time.monotonic() < self._next_look:
            return False
        for batch in self._folder.batches():
            try:
                body = batch.body()
            except OSError:
                continue  # another process of the same folder was faster
            became = self._try(batch.path, body, batch.rows)
            if became is _Became.AWAY:
                return True
            if became is _Became.TOLD:
                batch.done()
                with self._changed:
                    self._kept.pop(batch.file, None)
        self._next_look = time.monotonic() + _HELD
        return False

    def _try(self, path: str, body: bytes, rows: int) -> _Became:
        """Send one batch."""
        import httpx

        now = time.monotonic()
        if self._held.get(path, now) > now:
            return _Became.HELD
        if now >= self._until:
            return _Became.AWAY
        try:
            answer = self._http.post(path, content=body, timeout=min(self._timeout, self._until - now))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _log.warning("the service does not answer, rows wait: %s", error)
            return _Became.AWAY
        if answer.status_code in _REFUSED:
            self._held[path] = now + _HELD
            self._say(path, answer, "rows wait")
            return _Became.HELD
        if answer.status_code == _TOO_LARGE and rows > 1:
            return self._halved(path, body)
        if 400 <= answer.status_code < 500 and answer.status_code not in _LATER:
            self._say(path, answer, f"{rows} rows are rejected")
            self._count(rejected=rows)
            return _Became.TOLD
        return self._told(answer, rows)

    def _halved(self, path: str, body: bytes) -> _Became:
        """Send a batch that is too large in two parts.

        Where one of them has to wait the whole does: what is sent twice is known there.
        """
        first, second = halves(body)
        became = self._try(path, *first)
        return self._try(path, *second) if became is _Became.TOLD else became

    def _told(self, answer: Any, rows: int) -> _Became:
        """Count what the service says of a batch; what is not its answer is none."""
        try:
            told = answer.json() if answer.status_code == 200 else {}
            accepted, duplicate = int(told["accepted"]), int(told["duplicate"])
            reasons = [(one["row"], one["reason"]) for one in told["rejected"][:10]]
        except (KeyError, TypeError, ValueError):
            _log.warning("what answers is not the service, or it cannot now, rows wait: %d", answer.status_code)
            return _Became.AWAY
        for row, reason in reasons:
            _log.error("row %d was rejected: %s", row, reason)
        self._count(accepted=accepted, duplicate=duplicate, rejected=rows - accepted - duplicate)
        return _Became.TOLD

    def _say(self, path: str, answer: Any, so: str) -> None:
        """Log why a batch was not taken; of each path and status once."""
        if (path, answer.status_code) not in self._said:
            self._said.add((path, answer.status_code))
            _log.error("the service does not take %s, %s: %d %s", path, so, answer.status_code, answer.text[:300])

    def _keep(self, path: str, rows: int, body: bytes) -> None:
        """Keep a batch in the folder until it can be sent."""
        try:
            file = self._folder.put(path, rows, body)
        except OSError as error:
            self._count(lost=rows)
            _log.error("%d rows are lost: they cannot be sent, and %s", rows, error)
        else:
            with self._changed:
                self._kept[file] = rows

    def _count(self, **more: int) -> None:
        with self._changed:
            now = self._sent
            self._sent = Sent(**{name: getattr(now, name) + more.get(name, 0) for name in now.__dataclass_fields__})


def _grouped(rows: list[tuple[str, Any]], most: int) -> Iterable[tuple[str, list[Any]]]:
    apart: dict[str, list[Any]] = {}
    for path, row in rows:
        apart.setdefault(path, []).append(row)
    for path, some in apart.items():
        for start in range(0, len(some), most):
            yield path, some[start : start + most]


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _close(client: weakref.ref[Client]) -> None:
    found = client()
    if found is not None:
        found.close()


def _after_fork() -> None:
    # A child has no thread of its parent's, its locks as they happened to be, and no use for its connection.
    for client in _clients:
        client._begin()  # noqa: SLF001 - of its own class


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
