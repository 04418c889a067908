"""The gateway's log: an answer is handed to the machine before it is given, and is on the disk within 100 ms.

So a process that is killed loses none, and a power cut at most the last tenth of a second. Segments are handed over
every few seconds to whoever keeps them; while nobody comes they wait, up to a bound.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from shelflife.store.log import Log

MOST_BYTES = 2_000_000_000
_SYNC, _TURN = 0.05, 2.0  # seconds
_log = logging.getLogger("shelflife.gateway")


class Journal:
    """The log of one worker.

    Parameters
    ----------
    root
        The folder of the logs of all gateways of this machine.
    most_bytes
        How much may wait before requests are told to come again.
    """

    def __init__(self, root: Path, *, most_bytes: int = MOST_BYTES, turn: float = _TURN) -> None:
        self._log = Log(root)
        self._most, self._turn = most_bytes, turn
        self._waiting = 0
        self._dirty = False
        self._broken = False
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, name="shelflife-journal", daemon=True)

    def start(self) -> None:
        """Begin to sync and hand over."""
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether it may hold no more for now."""
        return self._broken or self._waiting + self._log.size > self._most

    def write(self, records: Sequence[bytes]) -> None:
        """Hand records to the machine; raises `OSError` where that fails, and nothing of them counts then."""
        with self._writing:
            self._log.write(records)
            self._dirty = True

    def close(self) -> None:
        """Sync, hand over what there is, and stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._hand_over()
        self._log.close()

    def _keep_up(self) -> None:
        turned = time.monotonic()
        while not self._stop.wait(_SYNC):
            try:
                if self._dirty:
                    self._dirty = False
                    self._log.sync()
                if time.monotonic() - turned >= self._turn:
                    turned = time.monotonic()
                    self._hand_over()
                    self._waiting = self._log.handed_over()
                self._broken = False
            except OSError:
                # What is not on the disk for sure may not be promised.
                self._broken, self._dirty = True, True
                _log.exception("the log cannot be synced; nothing is answered until it can")

    def _hand_over(self) -> None:
        with self._writing:
            hand_over = self._log.turn()
        if hand_over is not None:
            hand_over()
