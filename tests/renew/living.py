"""A desk whose days go by: questions come, versions answer by the routes, outcomes come a day later."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from shelflife import models, plan
from shelflife.observe.keep import keep
from shelflife.observe.rows import from_arrow
from shelflife.renew import registry
from shelflife.routes import current
from shelflife.system import System
from shelflife.testing import plans
from shelflife.testing.clock import ManualClock

DESK = "support-desk"
DAY = timedelta(days=1)
ROWS = 300

RENEW: dict[str, Any] = {
    "when": ["performance"], "challenger": {"every": "2w", "better_by": 0.02},
    "data": {"windows": ["8d", "all"], "validate": "4d"},
    "gates": [{"metric": "accuracy", "not_worse_by": 0.02}, "beats_baseline", "data_checks", "reproducible",
              {"latency_p95": "5s"}, {"function": "tests.renew.apprentices:thorough"}],
    "approve": {"by": "owner", "within": "3d"},
    "rollout": {"steps": [0.3, 1.0], "bake": {"rows": 50, "time": "1d"}, "abort_if": {"error": {"worse_by": 0.02}}},
}  # fmt: skip


def written(train: str = "tests.renew.apprentices:train", **renew: Any) -> plan.Written:
    """The smallest plan that renews; parts of that by name, None to leave one out."""
    raw = json.loads(plans.text())
    raw["people"] |= {
        "lead": {"name": "Lead", "role": "owner", "email": "lead@example.com"},
        "deputy": {"name": "Deputy", "role": "owner", "email": "deputy@example.com"},
        "analyst": {"name": "Analyst", "role": "analyst", "email": "analyst@example.com"},
    }
    raw["people"]["agents"] = {"name": "Agents", "role": "affected", "size": 12}
    raw["brief"] = [
        {"to": "lead", "on": ["renewal_started", "approval_needed", "promoted", "rejected", "rolled_back", "change"]},
        {"to": "agents", "on": ["promoted", "rolled_back"], "acknowledge": {"share": 0.8, "within": "3d"}},
        {"to": "analyst", "on": ["rejected", "rolled_back"]},
    ]
    raw["objective"]["owner"] = "lead"
    raw["model"] |= {
        "inputs": {"age": "numeric", "channel": "category"}, "train": train, "prediction": "said", "score": "chance",
        "outcome": {"name": "intent", "within": "1d"}, "segments": ["channel"],
    }  # fmt: skip
    raw["renew"] = {word: said for word, said in {**RENEW, **renew}.items() if said is not None}
    return plan.parse(json.dumps(raw))


class Desk:
    """A workspace and its days.

    Parameters
    ----------
    turns
        The day from which on ages mean something else.
    moves
        By how much they do so more each day.
    """

    def __init__(
        self, system: System, clock: ManualClock, *, turns: int = 10**9, moves: float = 0.0
    ) -> None:  # fmt: skip
        self.system, self.clock, self.turns = system, clock, turns
        self.day, self.moves = 0, moves
        self.noise = 0.2  # of what decides beside the age
        self.billing: float | None = None  # the share of this outcome, where it is another one than it would be
        self.wrong: list[float] = []
        self._models: dict[int, models.Model] = {}
        self._late: list[tuple[pa.Table, Any]] = []

    def rows(self) -> pa.Table:
        """The questions of a day."""
        draw = np.random.default_rng(self.day)
        many = ROWS if self.billing is None else 20 * ROWS
        age = draw.normal(size=many)
        limit = (0.0 if self.day < self.turns else 1.0) + self.moves * self.day
        outcome = np.where(age + draw.normal(scale=self.noise, size=many) > limit, "billing", "card")
        if self.billing is not None:  # rows of each are what they were
            of = np.where(draw.random(ROWS) < self.billing, "billing", "card")
            places = [draw.choice(np.flatnonzero(outcome == one)) for one in of]
            age, outcome = age[places], of
        start = np.datetime64(self.clock.now().replace(tzinfo=None), "us")
        times = start + np.arange(ROWS) * np.timedelta64(86_400_000_000 // ROWS, "us")
        return pa.table({
            "id": [f"{self.day}-{place}" for place in range(ROWS)], "time": pa.array(times, pa.timestamp("us", "UTC")),
            "age": age, "channel": np.where(draw.random(ROWS) < 0.5, "web", "mail"), "outcome": outcome,
        })  # fmt: skip

    def late(self) -> None:
        """The outcomes of the day before are still to come: of a desk that is gone on with."""
        self.day -= 1
        self.clock.advance(-DAY)
        self._late = [self.rows().select(["id", "outcome"])]
        self.day += 1
        self.clock.advance(DAY)

    def live(self, days: int = 1, *, tend: bool = True) -> None:
        """Let days go by."""
        for _ in range(days):
            rows = self.rows()
            said, shadows = self.answered(rows), self.beside(rows)
            self.clock.advance(DAY)
            self._keep("predictions", said.drop_columns(["outcome"]))
            if shadows is not None:
                self._keep("shadows", shadows)
            for table in self._late:
                self._keep("outcomes", table)
            self._late = [rows.select(["id", "outcome"])]
            self.day += 1
            if tend:
                self.tend()

    def answered(self, rows: pa.Table) -> pa.Table:
        """What the versions say by the routes."""
        with self.system.database.reading() as connection:
            routed = current(connection).get(DESK)
        none = [None] * len(rows)
        if routed is None:
            return rows.append_column("prediction", pa.array(none, pa.string()))
        versions = [routed.version(key) for key in rows["id"].to_pylist()]
        said: list[Any] = list(none)
        chances: list[Any] = list(none)
        for version in set(versions):
            answers = self.model(version).answer(models.of_table(rows, self.model(version).kinds))
            scores = models.scored(self.plan, answers)
            for place, own in enumerate(versions):
                if own == version:
                    said[place], chances[place] = answers.predictions[place], scores[place]
        self.wrong.append(
            float(np.mean([one != true for one, true in zip(said, rows["outcome"].to_pylist(), strict=True)]))
        )
        routes = ["canary" if version == routed.canary else "champion" for version in versions]
        made = rows.append_column("prediction", pa.array(said, pa.string())).append_column("score", pa.array(chances))
        made = made.append_column("version", pa.array(list(map(str, versions))))
        return made.append_column("route", pa.array(routes)).append_column("latency", pa.array([5.0] * len(rows)))

    def beside(self, rows: pa.Table) -> pa.Table | None:
        """What the shadow says of the same questions, unheard, as a gateway logs it."""
        with self.system.database.reading() as connection:
            routed = current(connection).get(DESK)
        if routed is None or routed.shadow is None:
            return None
        shadow = self.model(routed.shadow)
        answers = shadow.answer(models.of_table(rows, shadow.kinds))
        every = {"version": str(routed.shadow), "route": "shadow", "revision": float(routed.revision), "latency": 5.0}
        return pa.table({
            "id": rows["id"], "time": rows["time"], "prediction": pa.array(answers.predictions.tolist()),
            "score": pa.array(models.scored(self.plan, answers)),
            **{name: pa.array([value] * len(rows)) for name, value in every.items()},
        })  # fmt: skip

    def model(self, version: int) -> models.Model:
        """A version, loaded."""
        if version not in self._models:
            with self.system.database.reading() as connection:
                found = registry.one(connection, DESK, version)
            folder = registry.artifact(self.system.settings, found)
            self._models[version] = models.load(folder, self.plan, expected=found.digest)
        return self._models[version]

    @property
    def plan(self) -> plan.Plan:
        return self.system.plan(DESK).plan

    def tend(self, times: int = 1) -> None:
        """Let the loop look, and all that can go on do so."""
        for _ in range(times):
            self.system.renewing.tend(DESK)
            self.system.renewing.join()

    @property
    def newest(self) -> Any:
        """The newest renewal."""
        return self.system.renewing.renewals(DESK)[0]

    def first(self) -> None:
        """Its first version, made and approved."""
        self.live(12, tend=False)
        self.system.renewing.start(DESK, because="the first version", by="analyst")
        self.tend()
        self.system.renewing.decide(self.newest.number, approve=True, person="lead", reason="")
        self.tend()
        self.live(2)

    def failed(self, name: str, version: int) -> None:
        """A version could not answer a request."""
        said = {"id": name, "time": self.clock.now(), "version": str(version), "route": "champion", "error": "KeyError"}
        self._keep("shadows", pa.table({column: [value] for column, value in said.items()}))

    def _keep(self, kind: Any, table: pa.Table) -> None:
        read = from_arrow(table, self.system.shape(DESK, kind), now=self.clock.now())
        assert not read.rejected, next(iter(read.rejected.values()))
        keep(self.system.database, self.system.tables, source=f"{kind} {self.day} {table.num_rows}", system=DESK,
             kind=kind, rows=read.table, now=self.clock.now())  # fmt: skip
