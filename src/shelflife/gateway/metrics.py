"""``GET /metrics`` of the gateway; of all workers together where there are several."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

METRICS = CONTENT_TYPE_LATEST.encode()
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
SHARED = "PROMETHEUS_MULTIPROC_DIR"  # in the environment: the folder where workers leave their figures


class Metrics:
    """What this worker did since it began."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "shelflife_gateway_requests", "Requests, by who answered and how.",
            ("system", "version", "route", "status"), registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "shelflife_gateway_seconds", "Time until an answer.", ("system", "version", "route"), buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._shadows = Counter(
            "shelflife_gateway_shadows", "Rows for the shadow, by what became of them.",
            ("system", "version", "became"), registry=self.registry,
        )  # fmt: skip
        self._read = Gauge(
            "shelflife_gateway_routes_read", "When the database was last asked for the routes, in seconds since 1970;"
            " of several workers the one that knows least.", registry=self.registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self._disk = Gauge(
            "shelflife_gateway_routes_from_disk", "Workers that began while the database was away, and answer by the"
            " routes of their disk until it is there.", registry=self.registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self._known: dict[tuple[str, str, str, int], tuple[Any, Any]] = {}

    def request(self, system: str, version: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        key = system, version, route, status
        found = self._known.get(key)
        if found is None:
            counts = self._requests.labels(system, version, route, str(status))
            found = self._known[key] = counts, self._seconds.labels(system, version, route)
        found[0].inc()
        found[1].observe(seconds)

    def shadow(self, system: str, version: int, became: str, rows: int) -> None:
        """Count rows that a shadow answered, failed, or was too far behind for."""
        self._shadows.labels(system, str(version), became).inc(rows)

    def routes(self, read: datetime | None, *, from_disk: bool) -> None:
        """Tell when the routes were last read, and whether they are those of the disk."""
        self._read.set(0 if read is None else read.timestamp())
        self._disk.set(from_disk)

    def text(self) -> bytes:
        """What Prometheus reads."""
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
