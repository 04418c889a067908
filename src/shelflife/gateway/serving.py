"""One loaded version: a thread that answers all that waits at once, and logs it before anybody is told.

Requests are never held back to make a batch larger: what came while the model was at work is the next batch. One that
the model cannot answer does not fail the others: where it raises, each request of the batch is asked alone.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np

from shelflife.errors import ShelflifeError, first_line
from shelflife.gateway.asked import Asked, Columns, hidden
from shelflife.gateway.dying import Dead, Mark
from shelflife.gateway.journal import Journal
from shelflife.models import Answers, Model, frame, scored
from shelflife.plan import Plan
from shelflife.routes import DIRECT
from shelflife.store.answers import packed

_MOST_ROWS = 20_000  # in one batch
_IN_A_ROW = 3  # requests that a version which never answered may fail before it counts as crashed
_CRASHED = 30.0  # seconds for which it counts so, unless it answers before; whoever is told then asks it again
_log = logging.getLogger("shelflife.gateway")


class Failed(Exception):
    """The model raised for this request, also when it was asked about it alone."""


@dataclass
class Waiting:
    """A request on its way through a model.

    Attributes
    ----------
    done
        Called where requests come in, after the answer was logged or failed.
    """

    asked: Asked
    columns: Columns
    route: str
    revision: int
    begun: float
    done: Callable[[Waiting], None]
    answers: Answers | None = None
    scores: list[Any] = field(default_factory=list)
    failed: Exception | None = None

    @property
    def rows(self) -> int:
        """How many rows it asks about."""
        return len(self.asked.ids)


class Loaded:
    """A version that is ready to answer.

    Parameters
    ----------
    private
        Inputs that are logged as digests.
    digest
        Of its artifact.
    mark
        Says while the model is at work that it is.
    delivered
        Told of each batch when all its requests are done, to hand them on at once.
    """

    def __init__(
        self, system: str, version: int, model: Model, plan: Plan, journal: Journal, *,
        delivered: Callable[[list[Waiting]], None], private: frozenset[str] = frozenset(), digest: str = "",
        mark: Mark | None = None,
    ) -> None:  # fmt: skip
        self.system, self.version, self.model, self.plan = system, version, model, plan
        self.private = private | set(plan.model.private)
        self.digest = digest
        self.waiting = 0  # rows; counted where requests come in and go out, in one thread
        self.broken: str | None = None
        self._crashed: tuple[str, float] | None = None
        self._good: Columns | None = None  # the first row that it answered
        self._failures = 0  # since it answered
        self._journal, self._delivered = journal, delivered
        self._mark = mark or Mark(None, system, version)
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        answering = self._mark.within(self._answer_forever)
        self._thread = threading.Thread(target=answering, name=f"shelflife-{system}-{version}", daemon=True)
        self._thread.start()

    @property
    def unready(self) -> str | None:
        """Why it cannot answer, if it cannot: what it raises, also about a row that it did answer before."""
        if self.broken is not None or self._crashed is None:
            return self.broken
        says, at = self._crashed
        return says if time.monotonic() - at < _CRASHED else None

    def warm(self) -> None:
        """Answer a made-up row, so that what is made when it is first used is there; what it says does not matter."""
        for value in (None, 0.0):
            made = {
                name: np.array([np.nan if value is None else value]) if kind == "numeric" else [None]
                for name, kind in self.model.kinds.items()
            }
            try:
                self._answers(made)
            except Exception as error:  # noqa: BLE001 - no such row was ever asked about
                _log.debug("a made-up row has no answer: %s", error)

    def fell(self, died: Dead, *, champion: bool, now: datetime) -> None:
        """Count and log that it took its process with it.

        A champion is asked on, as nobody else could answer; so is what somebody crashed who asked for it by name.
        """
        stays = champion or died.route == DIRECT
        if not stays:
            self.broken = died.says
        if died.told:
            return
        if stays:
            self._crashed = (died.says, time.monotonic())
        _log.error("version %s of %s has crashed: %s", self.version, self.system, died.says)
        name = os.urandom(12).hex()
        asked = Asked(lambda kinds: {}, [name], name, round(now.timestamp() * 1_000_000))
        one = Waiting(asked, {}, died.route, died.revision, time.perf_counter(), done=lambda _: None)
        one.failed = Failed(died.says)
        try:
            self._journal.write([self._failure(one)])
        except OSError as error:
            _log.error("the log cannot be written: %s", error)

    def put(self, waiting: Waiting) -> None:
        """Hand a request in."""
        self._queue.put(waiting)

    def stop(self) -> None:
        """Answer what waits, and end."""
        self._queue.put(None)

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    # ------------------------------------------------------------------------------------------------------------------

    def _answer_forever(self) -> None:
        over = False
        while not over:
            group, over = self._next()
            if group:
                self._answer(group)
                self._delivered(group)
        self._mark.close()

    def _next(self) -> tuple[list[Waiting], bool]:
        """All that waits, and whether it is the last."""
        first = self._queue.get()
        group: list[Waiting] = []
        rows = 0
        while first is not None:
            group.append(first)
            rows += first.rows
            if rows >= _MOST_ROWS:
                return group, False
            try:
                first = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _answer(self, group: list[Waiting]) -> None:
        first = next((one for one in group if one.route != DIRECT), group[0])
        self._mark.begin(first.route, first.revision)
        try:
            self._split(group, *self._answers(_together(group)))
        except Exception as error:  # noqa: BLE001 - whatever a model raises
            if len(group) == 1:
                group[0].failed = Failed(self._said(error))
            else:
                for one in group:
                    self._alone(one)
        answered = [one for one in group if one.failed is None]
        failed = [one for one in group if one.failed is not None]
        self._look(answered, failed)
        self._mark.end()
        try:
            records = [self._record(answered)] if answered else []
            self._journal.write([*records, *(self._failure(one) for one in failed)])
        except Exception as error:  # noqa: BLE001 - an answer that is not logged is not given
            _log.error("the log cannot be written: %s", error)
            for one in answered:
                one.failed = error

    def _alone(self, one: Waiting) -> None:
        try:
            self._split([one], *self._answers(one.columns))
        except Exception as error:  # noqa: BLE001 - as above
            one.failed = Failed(self._said(error))

    def _said(self, error: Exception) -> str:
        """What a model raised; errors quote what was asked, and of private inputs nothing is written anywhere."""
        if self.private & self.model.kinds.keys():
            return f"The model raised {type(error.__cause__ or error).__name__}"
        return str(error) if isinstance(error, ShelflifeError) else f"{type(error).__name__}: {first_line(error)}"

    def _look(self, answered: list[Waiting], failed: list[Waiting]) -> None:
        """Tell a row that the model cannot answer from a model that cannot answer."""
        if answered:
            self._failures, self._crashed = 0, None
            if self._good is None:
                self._good = {name: values[:1] for name, values in answered[0].columns.items()}
            return
        self._failures += len(failed)
        says = str(failed[0].failed)
        if self._good is None:
            crashed = self._failures >= _IN_A_ROW
        else:
            try:
                self._answers(self._good)
                crashed = False
            except Exception:  # noqa: BLE001 - whatever a model raises
                crashed = True
        if crashed and self._crashed is None:
            _log.error("version %s of %s has crashed: %s", self.version, self.system, says)
        self._crashed = (says, time.monotonic()) if crashed else None

    def _answers(self, columns: Columns) -> tuple[Answers, list[Any]]:
        found = self.model.answer(frame(columns, self.model.kinds))
        return found, scored(self.plan, found)

    @staticmethod
    def _split(group: list[Waiting], answers: Answers, scores: list[Any]) -> None:
        if len(group) == 1:
            group[0].answers, group[0].scores = answers, scores
            return
        start = 0
        for one in group:
            end = start + one.rows
            shares = None if answers.scores is None else answers.scores[start:end]
            one.answers = Answers(answers.predictions[start:end], shares, answers.classes)
            one.scores = scores[start:end]
            start = end

    # ---- what is logged ----------------------------------------------------------------------------------------------

    def _record(self, group: list[Waiting]) -> bytes:
        """The answers of a batch, in which the rows of all requests follow each other."""
        shadow = group[0].route == "shadow"
        said = self._head("shadows" if shadow else "predictions", group)
        said["prediction"] = list(chain.from_iterable(_answers_of(one).predictions.tolist() for one in group))
        scores = list(chain.from_iterable(one.scores for one in group))
        if scores[0] is not None and not (shadow and isinstance(scores[0], dict)):
            said["score"] = scores
        return packed(said, {} if shadow else self._inputs(group))

    def _inputs(self, group: list[Waiting]) -> Columns:
        columns = _together(group)
        return {name: hidden(values) if name in self.private else values for name, values in columns.items()}

    def _failure(self, one: Waiting) -> bytes:
        said = self._head("shadows", [one])
        return packed({**said, "error": str(one.failed)}, {})

    def _head(self, kind: str, group: list[Waiting]) -> dict[str, Any]:
        now = time.perf_counter()
        return {
            "kind": kind, "system": self.system, "version": str(self.version),
            "id": list(chain.from_iterable(one.asked.ids for one in group)),
            "requests": [
                (one.rows, one.asked.time, one.asked.key, one.route, one.revision, round((now - one.begun) * 1000, 3))
                for one in group
            ],
        }  # fmt: skip


def _answers_of(one: Waiting) -> Answers:
    assert one.answers is not None
    return one.answers


def _together(group: list[Waiting]) -> Columns:
    """The columns of all requests of a batch as one."""
    if len(group) == 1:
        return group[0].columns
    found = {}
    for name, first in group[0].columns.items():
        parts = [one.columns[name] for one in group]
        found[name] = np.concatenate(parts) if isinstance(first, np.ndarray) else list(chain.from_iterable(parts))
    return found
