"""A real market whose days jump by: asked of a gateway, outcomes a day late, renewed by its plan and by a person.

`python -m tests.renew.market [WEEKS]`: after 26 weeks of history one that learnt noise is stopped by the gates, and a
first version is made and approved; from then on the loop looks every day, and whoever may approves over HTTP what the
gates let pass. In a week in which it tempts, a trainer is tried whose model is good offline and bad live; it goes back
in the canary. At the end all is compared with never renewing, with a model that is fresh each week, and with renewing
by the calendar.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import uvicorn
from tests.service.conftest import Server, serving

from shelflife import plan, trainers
from shelflife.gateway.app import Gateway
from shelflife.loop import Loop
from shelflife.routes import current
from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.workspace import Settings

NAME = "market"
DAY, A_DAY = timedelta(days=1), 48  # rows
START = datetime(1996, 5, 7, tzinfo=UTC)
INPUTS = ("period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
HISTORY, WEEKS = 26, 108
BAD, BOLD = "tests.renew.apprentices:noise", "tests.renew.apprentices:scaled"
TRIED = 34  # the week from which on the bold one is tried, until it is better offline
# The gates ask less of it; it is watched longer for that, until it is known of so many of its answers whether they were
# right.
CAREFUL = {
    "challenger": None, "gates": [{"metric": "accuracy", "not_worse_by": 0.1}, "data_checks"],
    "rollout": {"steps": [0.5, 1.0], "bake": {"rows": 300}, "abort_if": {"error": {"worse_by": 0.02}}},
}  # fmt: skip

PLAN: dict[str, Any] = {
    "shelflife": 1, "system": NAME, "title": "Will the price go up?",
    "objective": {"why": "Buy before it does", "owner": "lead"},
    "people": {
        "lead": {"name": "Lead", "role": "owner", "email": "lead@example.com"},
        "analyst": {"name": "Analyst", "role": "analyst", "email": "analyst@example.com"},
    },
    "model": {
        "name": NAME, "task": "classification", "inputs": dict.fromkeys(INPUTS, "numeric"), "prediction": "said",
        "score": "chance", "outcome": {"name": "price_up", "within": "1d"},
    },
    "watch": {
        "bucket": "1d", "false_alarms": {"at_most": 1, "per": "180d"}, "drift": {"tolerance": 0.05},
        "performance": {"metric": "accuracy", "at_least": 0.7},
    },
    "renew": {
        "when": ["performance"], "challenger": {"every": "2d", "better_by": 0.07},
        "data": {"windows": ["4w", "13w", "26w", "all"], "validate": "1w"},
        "gates": [{"metric": "accuracy", "at_least": 0.5}, {"metric": "accuracy", "not_worse_by": 0.0},
                  "beats_baseline", "data_checks"],
        "approve": {"by": "owner", "within": "3d"},
        "rollout": {"steps": [0.25, 1.0], "bake": {"time": "1d"}, "abort_if": {"error": {"worse_by": 0.05}}},
    },
}  # fmt: skip
# A connection that is idle for long is closed by the server, at a moment when the client may ask.
_PATIENT: dict[str, Any] = {"timeout": 120, "limits": httpx.Limits(keepalive_expiry=1.0)}


def data() -> Path | None:
    """The table, where it is there."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    found = Path(os.environ.get("SHELFLIFE_DATA", beside)) / "electricity.parquet"
    return found if found.is_file() else None


class Market:
    """A workspace, its service and its gateway, and the days of the table.

    Parameters
    ----------
    table, history
        Its rows, the first weeks of which are known before.
    train, renew
        Who learns, and how it renews where that is not as in `PLAN`.
    """

    def __init__(
        self, system: System, table: Any, clock: ManualClock, *, history: int, train: str | None = None, **renew: Any
    ) -> None:
        self.system, self.clock = system, clock
        self._train, self._renew = train, renew
        self.plans("first")
        self.day = history * 7
        self.wrong: list[bool] = []
        self.approved: list[int] = []
        self.truth = [str(one) for one in table["price_up"].to_pylist()]
        self._times = [f"{one.isoformat()}Z" for one in table["ts"].to_pylist()]
        self._inputs = table.select(INPUTS).to_pylist()
        self._loop, self._served = Loop(system), system.served()
        self._gateway = Gateway(system.settings, clock=clock)
        self._follows = threading.Event()

    def plans(self, because: str, train: str | None = None, **renew: Any) -> None:
        """Let a plan count from now on: its own, or one with another trainer or that renews otherwise."""
        raw = json.loads(json.dumps(PLAN))
        raw["model"] |= {"train": train or self._train} if train or self._train else {}
        raw["renew"] |= self._renew | renew
        raw["renew"] = {word: said for word, said in raw["renew"].items() if said is not None}
        self.system.apply(plan.parse(json.dumps(raw)), by="lead", because=because)

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Its service and its gateway answer, and what was before is known."""
        may = {"lead": ["observe", "read", "act", "decide"], "analyst": ["observe", "read", "act"]}
        tokens = {who: self.system.tokens.make(who, some, by="lead")[0] for who, some in may.items()}
        server = Server(uvicorn.Config(self._gateway, host="127.0.0.1", port=0, log_level="error", lifespan="on"))
        thread = threading.Thread(target=server.run)
        with serving(self.system) as (service, url), contextlib.ExitStack() as stack:
            thread.start()
            assert server.ready.wait(60)
            self._gateway._journal._turn = math.inf  # it is handed over when a day is over, which is less than a turn
            self._drain = service.config.app.state.intake.drain
            self._asked = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/predict/{NAME}"
            self._people = {
                who: stack.enter_context(
                    httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {one}"}, **_PATIENT)
                )
                for who, one in tokens.items()
            }
            self._client = stack.enter_context(httpx.Client(**_PATIENT))
            self._learn()
            yield
            server.should_exit = True
            thread.join()

    def renew(self, because: str) -> Any:
        """Ask for a renewal by hand; what became of it so far."""
        self._post("analyst", f"systems/{NAME}/renewals", {"because": because})
        self.tend()
        return self.renewals[0]

    def first(self) -> list[Any]:
        """One that learnt noise, and the first version; what became of them."""
        self.plans("a trainer that learns noise", BAD)
        bad = self.renew("learns noise")
        self.plans("a trainer that learns")
        return [bad, self.renew("the first version")]

    def dare(self) -> Any:
        """Try the bold trainer until it is over, and go back to the plan before; what became of it."""
        while self.renewals[0].ended is None:
            self.live()
        self.plans("a bold trainer, watched longer", BOLD, **CAREFUL)
        number = self.renew("the bold trainer").number
        while (found := self.system.renewing.renewal(number)[0]).ended is None:
            self.live()
        self.plans("the trainer before")
        return found

    def _learn(self) -> None:
        known = self.day * A_DAY
        for start in range(0, known, 2000):
            these = range(start, min(start + 2000, known))
            self._post("analyst", f"systems/{NAME}/predictions", [
                {"id": str(one), "time": self._times[one], "inputs": self._inputs[one]} for one in these
            ])  # fmt: skip
            self._tell(these)
        self._drain()

    def live(self) -> None:
        """Let a day go by: the loop looks, requests are answered, the outcomes of the day before come."""
        self.tend()
        self._wait()
        these = range(self.day * A_DAY, (self.day + 1) * A_DAY)
        self.wrong += [self._ask(place) != self.truth[place] for place in these]
        self.clock.advance(DAY)
        self._gateway._journal._hand_over()
        assert self._served.take() >= A_DAY
        self._tell(range(max(0, these.start - A_DAY), these.start))
        self._drain()
        self.day += 1

    def tend(self) -> None:
        """Let the loop do what is due, and people what is asked of them."""
        self._loop.tick()
        self.system.renewing.tend(NAME)  # also if it did that a minute ago
        self.system.renewing.join()
        newest = self.renewals[0] if self.renewals else None
        if newest is not None and newest.state == "waiting" and "to approve" in newest.says:
            self._post("lead", f"renewals/{newest.number}/approve", {"reason": "the gates pass"})
            self.approved.append(newest.number)
            self.system.renewing.tend(NAME)
            self.system.renewing.join()

    @property
    def renewals(self) -> list[Any]:
        """All, the newest first."""
        return self.system.renewing.renewals(NAME)

    def _ask(self, place: int) -> str:
        """One request at a time, as they come: those that wait together are asked of the model together."""
        body = {"id": str(place), "time": self._times[place], "inputs": self._inputs[place]}
        answer = self._client.post(self._asked, json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["prediction"])

    def _tell(self, these: range) -> None:
        rows = [{"id": str(one), "outcome": self.truth[one]} for one in these if one < self.day * A_DAY]
        if rows:
            self._post("analyst", f"systems/{NAME}/outcomes", rows)

    def _post(self, who: str, path: str, body: Any) -> None:
        answer = self._people[who].post(f"/{path}", json=body)
        assert answer.status_code == 200, answer.text
        assert not answer.json().get("rejected"), answer.text

    def _wait(self) -> None:
        """Until the gateway has followed the routes, which takes half a second; days are shorter here."""
        with self.system.database.reading() as connection:
            wanted = current(connection)[NAME].revision
        end = time.monotonic() + 60
        while (found := self._gateway._following.serving.get(NAME)) is None or found.routes.revision != wanted:
            assert time.monotonic() < end, "the gateway does not follow the routes"
            self._follows.wait(0.02)


# ---- what else one could do ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """Shares of wrong answers: never renewing, fresh each week, and by the calendar, with how many promotions."""

    never: float
    fresh: float
    calendars: dict[int, tuple[float, int]]

    def recovered(self, wrong: float) -> float:
        """Of the loss between never and fresh."""
        return (self.never - wrong) / (self.never - self.fresh)

    def best(self, promotions: int) -> float:
        """The share of wrong answers of the best calendar with as many promotions or fewer; never renewing is one."""
        return min([self.never, *(share for share, count in self.calendars.values() if count <= promotions)])


def figures(path: Path, begin: int, history: int, weeks: int, train: str | None = None) -> Figures:
    """What other policies would have got wrong, with models of the last 26 weeks and every outcome known at once."""
    table = pq.read_table(path).slice(begin * 7 * A_DAY)
    x = table.select(INPUTS).to_pandas()
    y = np.array([str(one) for one in table["price_up"].to_pylist()], dtype=object)
    edges = np.minimum(np.arange(history + weeks + 1) * 7 * A_DAY, len(y))
    trainer = trainers.resolve(train, "classification", texts_only=False)
    off = np.full((weeks, weeks), np.nan)  # by when it was made, and when it is asked
    for made in range(weeks):
        end = history + made
        rows = slice(edges[max(0, end - 26)], edges[end])
        said = trainer.predict(trainer.fit(x[rows], y[rows], 0), x[edges[end] : edges[-1]]) != y[edges[end] : edges[-1]]
        for week in range(made, weeks):
            part = said[edges[history + week] - edges[end] : edges[history + week + 1] - edges[end]]
            off[made, week] = part.sum()
    rows_asked = edges[-1] - edges[history]
    week = np.arange(weeks)
    by = {every: (off[week // every * every, week].sum() / rows_asked, (weeks - 1) // every) for every in range(2, 27)}
    return Figures(off[0].sum() / rows_asked, off[week, week].sum() / rows_asked, by)


@dataclass(frozen=True)
class Measured:
    """What became of some weeks here: the share of wrong answers, and the states of all renewals, the newest first."""

    wrong: float
    ended: list[str]

    @property
    def promotions(self) -> int:
        """After the first version."""
        return self.ended.count("promoted") - 1


def measured(path: Path, weeks: int, tell: Callable[[str], None]) -> tuple[Measured, Figures]:
    """Let weeks of the whole table go by, and compare with what else one could do."""
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    others = pool.submit(figures, path, 0, HISTORY, weeks)
    clock = ManualClock(START + HISTORY * 7 * DAY)
    with tempfile.TemporaryDirectory() as folder:
        system = System(Settings(home=Path(folder) / "workspace"), clock)
        market = Market(system, pq.read_table(path), clock, history=HISTORY)
        tell(f"{HISTORY} weeks of history are taken in")
        with market.open():
            market.first()
            _run(market, weeks, tell)
        found = Measured(float(np.mean(market.wrong)), [one.state for one in market.renewals])
        assert system.ledger.verify().broken is None
        system.close()
    compared = others.result()
    pool.shutdown()
    return found, compared


def main(weeks: str = str(WEEKS)) -> None:
    path = data()
    if path is None:
        print("electricity.parquet is not there; set SHELFLIFE_DATA to the folder that has it.")
        return
    begun = time.monotonic()
    found, others = measured(
        path, int(weeks), lambda says: print(f"{time.monotonic() - begun:6.0f} s  {says}", flush=True)
    )
    _told(found, others)
    print(f"{time.monotonic() - begun:.0f} seconds")


def _run(market: Market, weeks: int, tell: Callable[[str], None]) -> None:
    """Let weeks go by, and tell what was renewed in each."""
    told, tempting = 0, False
    for week in range(weeks):
        if week >= TRIED and not tempting:
            tempting = market.dare().state != "kept"
        while market.day < min((HISTORY + week + 1) * 7, len(market.truth) // A_DAY):
            market.live()
        wrong = 100 * np.mean(market.wrong[-7 * A_DAY :])
        tell(f"{market.clock.now():%Y-%m-%d}, week {week + 1}: {wrong:.1f} % wrong")
        for one in reversed(market.renewals[: len(market.renewals) - told]):
            if one.ended is None:
                break
            told += 1
            if one.state != "kept":
                tell(f"        renewal {one.number} ({one.reasons[0].says}): {one.state}. {one.says}")


def _told(found: Measured, others: Figures) -> None:
    promotions = found.promotions
    print(f"never renewing {100 * others.never:.1f} % wrong, fresh every week {100 * others.fresh:.1f} %")
    print(f"here {100 * found.wrong:.1f} %: {100 * others.recovered(found.wrong):.0f} % recovered"
          f" with {promotions} promotions")  # fmt: skip
    print("renewals: " + ", ".join(f"{found.ended.count(one)} {one}" for one in sorted(set(found.ended))))
    for every, (share, count) in others.calendars.items():
        if every <= 6 or every in (8, 13, 26):
            print(f"  every {every} weeks: {100 * others.recovered(share):.0f} % with {count} promotions")
    best = 100 * others.recovered(others.best(promotions))
    print(f"a calendar with as many promotions or fewer recovers at most {best:.0f} %")


if __name__ == "__main__":
    main(*sys.argv[1:])
