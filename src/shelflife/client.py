"""A client for programs that predict: rows are handed over at once and sent behind their back.

Nothing here blocks or breaks the program that predicts. Rows wait in memory for a moment, go out in batches, and wait
in a folder while the service does not answer; what the service acknowledges is on its disk. Each row has an id, so
that sending twice is safe.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import logging
import math
import os
import random
import tempfile
import threading
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_log = logging.getLogger("shelflife.client")

_MOST_ROWS = 200_000  # in memory, while one try is under way
_LONGEST_WAIT = 60.0  # seconds between two tries at most
_RETRIED = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Sent:
    """What became of rows so far: on the service's disk, known there already, rejected by it, lost for want of room."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    lost: int = 0


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
        Where rows wait while the service does not answer; by default one of this user's own for this service, which
        the next process finds again.
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
        import httpx

        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            timeout=timeout,
        )  # fmt: skip
        self._batch, self._every, self._most_bytes = batch, every, most_bytes
        self._folder = Path(folder) if folder is not None else _own_folder(url)
        self._waiting: list[tuple[str, Any]] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._sending = False
        self._pause = threading.Event()  # set to end a wait between two tries
        self._sent = Sent()
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run, name="shelflife-client", daemon=True)
        self._thread.start()
        atexit.register(_close, weakref.ref(self))

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
        return self._sent

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits in memory: all is on the service's disk or in the folder; whether that came true."""
        with self._changed:
            self._pause.set()
            return self._changed.wait_for(lambda: not self._waiting and not self._sending, timeout)

    def close(self) -> None:
        """Send what can be sent, leave the rest in the folder, and stop."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._pause.set()
        self._thread.join()
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------------------------

    def _put(self, system: str, kind: str, rows: Any) -> None:
        try:
            some = [dict(rows)] if isinstance(rows, Mapping) else [dict(row) for row in rows]
        except (TypeError, ValueError) as error:
            _log.warning("these are no rows: %s", error)
            return
        path = f"/api/v1/systems/{system}/{kind}"
        with self._changed:
            if self._stopping or len(self._waiting) + len(some) > _MOST_ROWS:
                self._count(lost=len(some))
                return
            self._waiting += [(path, row) for row in some]
            if len(self._waiting) >= self._batch:
                self._changed.notify_all()

    def _run(self) -> None:
        wait = 0.0
        while True:
            with self._changed:
                ready = len(self._waiting) >= self._batch
                if not ready and not self._stopping and not self._pause.is_set():
                    self._changed.wait(self._every)
                taken, self._waiting = self._waiting, []
                self._sending = True
                self._pause.clear()
            for path, rows in _grouped(taken, self._batch):
                self._store(path, rows) if wait else self._send_or_store(path, rows)
            left = self._send_stored()
            with self._changed:
                self._sending = False
                self._changed.notify_all()
                if self._stopping and not self._waiting:
                    return
            wait = min(_LONGEST_WAIT, max(0.5, 2 * wait)) if left else 0.0
            if left:
                self._pause.wait(wait * random.uniform(0.5, 1.0))

    def _send_or_store(self, path: str, rows: list[Any]) -> None:
        body = _body(rows)
        if not self._try(path, body, len(rows)):
            self._write(path, body, len(rows))

    def _store(self, path: str, rows: list[Any]) -> None:
        self._write(path, _body(rows), len(rows))

    def _try(self, path: str, body: bytes, rows: int) -> bool:
        """Send one batch; whether it need not be sent again."""
        import httpx

        try:
            answer = self._http.post(path, content=body)
        except httpx.HTTPError as error:
            _log.warning("the service does not answer, rows wait: %s", error)
            return False
        if answer.status_code in _RETRIED:
            return False
        if answer.status_code != 200:
            _log.error("the service takes %d rows not: %d %s", rows, answer.status_code, answer.text[:300])
            # What the token may not, or an unknown system, can be put right; what is wrong with rows cannot.
            if answer.status_code in {401, 403, 404}:
                return False
            self._count(rejected=rows)
            return True
        told = answer.json()
        for one in told["rejected"][:10]:
            _log.error("row %d was rejected: %s", one["row"], one["reason"])
        lost = rows - told["accepted"] - told["duplicate"]
        self._count(accepted=told["accepted"], duplicate=told["duplicate"], rejected=lost)
        return True

    def _write(self, path: str, body: bytes, rows: int) -> None:
        """Keep a batch in the folder until it can be sent."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            held = sum(file.stat().st_size for file in self._folder.glob("*.json"))
            if held + len(body) > self._most_bytes:
                self._count(lost=rows)
                _log.error("%d rows are lost: they cannot be sent, and %s is full", rows, self._folder)
                return
            name = f"{os.getpid():08d}-{next(self._numbers):010d}"
            written = self._folder / f"{name}.part"
            written.write_bytes(path.encode() + b"\n" + str(rows).encode() + b"\n" + body)
            written.replace(self._folder / f"{name}.json")
        except OSError as error:
            self._count(lost=rows)
            _log.error("%d rows are lost: they cannot be sent, and %s", rows, error)

    def _send_stored(self) -> bool:
        """Send what waits in the folder, oldest first; whether some has to wait on."""
        try:
            files = sorted(self._folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
        except OSError:
            return False
        for file in files:
            try:
                path, rows, body = file.read_bytes().split(b"\n", 2)
                if not self._try(path.decode(), body, int(rows)):
                    return True
            except (OSError, ValueError):
                continue  # another process of the same folder was faster
            with contextlib.suppress(OSError):
                file.unlink()
        return False

    def _count(self, **more: int) -> None:
        now = self._sent
        self._sent = Sent(**{name: getattr(now, name) + more.get(name, 0) for name in now.__dataclass_fields__})


def _grouped(rows: list[tuple[str, Any]], most: int) -> Iterable[tuple[str, list[Any]]]:
    apart: dict[str, list[Any]] = {}
    for path, row in rows:
        apart.setdefault(path, []).append(row)
    for path, some in apart.items():
        for start in range(0, len(some), most):
            yield path, some[start : start + most]


def _body(rows: list[Any]) -> bytes:
    try:
        return json.dumps(rows, default=_plain, allow_nan=False).encode()
    except ValueError:
        return json.dumps(_finite(rows), default=_plain).encode()


def _finite(value: Any) -> Any:
    """The same with nothing where a number is none: JSON knows no other way to say it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return _finite(_plain(value)) if hasattr(value, "tolist") else value


def _plain(value: Any) -> Any:
    """Values of NumPy and times as JSON knows them; what else it does not know as text."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def _own_folder(url: str) -> Path:
    name = "".join(letter if letter.isalnum() else "-" for letter in url)
    return Path(tempfile.gettempdir()) / f"shelflife-client-{os.getuid() if hasattr(os, 'getuid') else 0}-{name}"


def _close(client: weakref.ref[Client]) -> None:
    found = client()
    if found is not None:
        found.close()
