"""The codes of findings: short, stable, one page of the docs each."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from shelflife.check.result import Severity


@dataclass(frozen=True)
class Code:
    """What a code stands for.

    ``kind`` is integrity, performance, relation, kpi, adoption, freshness, plan, version or drift; harm pages, drift is
    a note.
    """

    name: str
    kind: str
    severity: Severity


CODES = MappingProxyType(
    {
        "SL101": Code("nulls", "integrity", "page"),
        "SL102": Code("missing column", "integrity", "page"),
        "SL103": Code("type changed", "integrity", "page"),
        "SL104": Code("never-seen values", "integrity", "page"),
        "SL105": Code("infinite values", "integrity", "page"),
        "SL106": Code("empty text", "integrity", "page"),
        "SL201": Code("numeric drift", "drift", "note"),
        "SL202": Code("category drift", "drift", "note"),
        "SL203": Code("text drift", "drift", "note"),
        "SL204": Code("vector drift", "drift", "note"),
        "SL205": Code("time drift", "drift", "note"),
        "SL301": Code("performance", "performance", "page"),
        "SL302": Code("performance, estimated", "performance", "page"),
        "SL303": Code("relation changed", "relation", "page"),
        "SL401": Code("KPI missed", "kpi", "page"),
        "SL402": Code("overridden", "adoption", "page"),
        "SL403": Code("escalated", "adoption", "page"),
        "SL501": Code("feed stale", "freshness", "page"),
        "SL502": Code("feed volume", "freshness", "page"),
        "SL601": Code("review overdue", "plan", "note"),
        "SL701": Code("an alias was moved outside", "version", "page"),
    }
)
