"""``GET /metrics``: what Prometheus fetches; of this process what it did, and of every system how it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool

from shelflife.api.access import Known
from shelflife.api.problems import Problem
from shelflife.system import System
from shelflife.tokens import Token
from shelflife.views import status

router = APIRouter(tags=["health"])

_STATES = ("fresh", "ageing", "stale", "unknown")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """What this process did since it began."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._rows = Counter(
            "shelflife_rows", "Rows that were sent, by what became of them.", ("system", "kind", "became"),
            registry=self.registry,
        )  # fmt: skip
        self._requests = Histogram(
            "shelflife_request_seconds", "Time until an answer, by route and status.", ("method", "route", "status"),
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        for collector in (ProcessCollector, PlatformCollector):
            collector(registry=self.registry)

    def rows(self, system: str, kind: str, *, accepted: int, duplicate: int, rejected: int) -> None:
        """Count rows."""
        for became, count in (("accepted", accepted), ("duplicate", duplicate), ("rejected", rejected)):
            if count:
                self._rows.labels(system, kind, became).inc(count)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).observe(seconds)


class _Now(Collector):
    """How every system stands at this moment."""

    def __init__(self, found: list[status.Status], tasks: list[status.TaskStatus]) -> None:
        self._found, self._tasks = found, tasks

    def collect(self) -> Iterator[Metric]:
        """Gauges of each system."""
        fresh = GaugeMetricFamily(
            "shelflife_freshness", "1 for the state that it is in.", labels=("system", "of", "state")
        )
        living = GaugeMetricFamily("shelflife_findings", "Findings that live.", labels=("system", "severity"))
        watched = GaugeMetricFamily(
            "shelflife_watched_until_seconds", "The end of the last bucket that was watched.", labels=("system",)
        )
        for one in self._found:
            for of in ("feeds", "knowledge", "model"):
                for state in _STATES:
                    fresh.add_metric((one.system, of, state), float(getattr(one, of).state == state))
            living.add_metric((one.system, "page"), one.pages)
            living.add_metric((one.system, "note"), one.notes)
            if one.watched is not None:
                watched.add_metric((one.system,), one.watched.timestamp())
        yield from (fresh, living, watched)
        begun = GaugeMetricFamily(
            "shelflife_task_begun_seconds", "When what is done again and again was last begun.",
            labels=("system", "task"),
        )  # fmt: skip
        failing = GaugeMetricFamily("shelflife_task_failing", "1 where it cannot be done.", labels=("system", "task"))
        for task in self._tasks:
            begun.add_metric((task.system, task.name), task.at.timestamp())
            failing.add_metric((task.system, task.name), float(task.failed is not None))
        yield from (begun, failing)


@router.get(
    "/metrics", summary="For Prometheus.", responses=Problem.of(401, 403), response_class=Response,
    openapi_extra={"security": [{"token": []}]},
)  # fmt: skip
async def metrics(request: Request) -> Response:
    """Figures of this process, and of the systems that the token may read."""
    token = await Known.of(request).allowed(request, "read", None)
    text = await run_in_threadpool(_text, request.app.state.metrics, request.app.state.system, token)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _text(own: Metrics, system: System, token: Token) -> bytes:
    seen: Any = (lambda name: True) if token.systems is None else token.systems.__contains__
    found = [one for one in status.statuses(system) if seen(one.system)]
    tasks = [one for one in status.tasks(system) if seen(one.system)]
    now = CollectorRegistry()
    now.register(_Now(found, tasks))
    # What all systems sent together is for those who may read all.
    return (generate_latest(own.registry) if token.systems is None else b"") + generate_latest(now)
