"""The answer as a page and as a notebook's output."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from shelflife.check import charts, says
from shelflife.check.codes import CODES
from shelflife.look import ink, page, words
from shelflife.look.charts import NARROW, svg

if TYPE_CHECKING:
    from shelflife.check.result import Check, Finding, Performance, Shape

SIGNS = {"pass": ("✓", "pass"), "fail": ("✗", "fail"), "unknown": ("?", "unknown")}
HARM = {"page": "■ harm", "note": "□ drift"}
# Beyond so many the page would be long and say little; the JSON has all.
_MOST_FINDINGS = 50


def html(result: Check) -> str:
    """The answer as one self-contained page: the verdict, what was found, performance, evidence, every column."""
    first, rest = _sentences(result.says)
    shapes = {column.name: column.shape for column in result.columns}
    timed = result.start is not None and result.end is not None
    failing = {None, *(finding.segment for finding in result.findings)}
    tracked = [row for row in result.performance if _drawable(row) and row.segment in failing] if timed else []
    drawn = _picture(charts.evidence_title(result), _evidence(result)) if timed and result.evidence.log10 else None
    return page.render(
        "report.html",
        package="shelflife.check",
        result=result,
        sign=SIGNS[result.verdict],
        first=first,
        rest=rest,
        facts=_facts(result),
        findings=[_found(finding, shapes) for finding in result.findings[:_MOST_FINDINGS]],
        more=max(0, len(result.findings) - _MOST_FINDINGS),
        performance=[_figures(row) for row in result.performance if not row.of_class],
        classes=[_figures(row) for row in result.performance if row.of_class],
        segmented=any(row.segment for row in result.performance),
        pictures=[_picture(charts.performance_title(row), _of(result, row)) for row in tracked],
        evidence=drawn,
        columns=[(column, charts.sparkline(column.track)) for column in result.columns],
        audit=says.audit(result.audit) if result.audit is not None else None,
        budget=says.budget(result.false_alarms),
    )


def fragment(result: Check) -> str:
    """The sentence and the findings as a piece of HTML for notebooks, with a sheet of its own."""
    sign, word = SIGNS[result.verdict]
    first, rest = _sentences(result.says)
    items = [
        Markup("<li><b>{} {}</b> {}</li>").format(HARM[finding.severity], finding.code, _together(finding.says))
        for finding in result.findings[:10]
    ]
    style = (
        ink.css(".shelflife")
        + ".shelflife{background:var(--paper);color:var(--ink);padding:1rem;max-width:60rem;"
        + f"font:16px/1.5 {ink.FONT}}}.shelflife p{{margin:0 0 .75rem;max-width:44rem}}"
        + ".shelflife .says{font-size:1.25rem;line-height:1.35;font-weight:600}.shelflife ul{padding-left:1.1rem}"
    )
    made = Markup('<div class="shelflife"><style>{}</style><p class="says">{} {}: {}</p><p>{}</p>{}</div>').format(
        Markup(style),  # noqa: S704 - made here
        sign,
        word,
        _together(first),
        _together(rest),
        Markup("<ul>{}</ul>").format(Markup("").join(items)) if items else "",
    )
    return str(made)


def _facts(result: Check) -> list[tuple[str, str]]:
    facts = [("Verdict", " ".join(SIGNS[result.verdict]))]
    if result.start is not None and result.end is not None:
        facts.append(("From, to", f"{words.date(result.start)} to {words.date(result.end)}"))
    facts += [
        ("Rows", f"{result.rows:,} against {result.reference_rows:,} of the reference"),
        ("Buckets", f"{result.buckets:,}" + (f" of {words.days(result.bucket_days)}" if result.bucket_days else "")),
        ("Budget", says.budget(result.false_alarms)),
        ("Watched", words.plural(result.streams, "stream")),
    ]
    sees = "nothing" if result.sees is None else f"a share that moved by {words.points(result.sees)}"
    return [*facts, ("Would have shown", sees)]


def _found(finding: Finding, shapes: dict[str, Shape | None]) -> dict[str, Any]:
    number = (
        finding.kind in {"performance", "relation"}
        and max((abs(v) for v in (finding.observed, finding.reference, finding.limit) if v is not None), default=0.0)
        > 1.0
    )
    shown = words.number if number else words.share
    told = [
        ("since", words.date(finding.since)) if finding.since is not None else None,
        ("noticed", words.date(finding.at)) if finding.at is not None else None,
        ("now", shown(finding.observed)) if finding.observed is not None else None,
        ("reference", shown(finding.reference)) if finding.reference is not None else None,
        ("limit", shown(finding.limit)) if finding.limit is not None else None,
        ("rows", f"{finding.rows:,}"),
        ("evidence", words.evidence(finding.log10_evidence)) if finding.log10_evidence is not None else None,
    ]
    shape = shapes.get(finding.column) if finding.column is not None and finding.segment is None else None
    return {
        "finding": finding,
        "name": CODES[finding.code].name,
        "sign": HARM[finding.severity],
        "says": _together(finding.says),
        "told": [(name, _together(value)) for name, value in filter(None, told)],
        "bars": _bars(shape) if shape is not None and finding.code != "SL101" else [],
    }


def _bars(shape: Shape) -> list[tuple[str, str, str, float, float]]:
    most = max([*shape.reference, *shape.current, 1e-12])
    return [
        (label, words.share(then), words.share(now), round(100 * then / most, 1), round(100 * now / most, 1))
        for label, then, now in zip(shape.labels, shape.reference, shape.current, strict=True)
    ]


def _figures(row: Performance) -> dict[str, str]:
    ends = "" if row.low is None else f"{words.number(row.low)} to {words.number(row.high)}"
    return {
        "metric": row.metric.replace("_", " "),
        "segment": row.segment or "",
        **{
            name: "–" if getattr(row, name) is None else words.number(getattr(row, name))
            for name in ("reference", "observed", "estimated", "limit")
        },
        "interval": ends or "–",
    }


def _drawable(row: Performance) -> bool:
    return row.track is not None and sum(point.value is not None for point in row.track.points) > 1


def _of(result: Check, row: Performance) -> Callable[..., Any]:
    return lambda **options: charts.performance(result, row, **options)


def _evidence(result: Check) -> Callable[..., Any]:
    return lambda **options: charts.evidence(result, **options)


def _picture(title: tuple[str, str], draw: Callable[..., Any]) -> dict[str, str | Markup]:
    """A picture in two widths, since words in a picture that shrinks become too small, and its title as text."""
    answer, how = (_together(text) for text in title)
    drawn = {"wide": svg(draw(), heading=False), "narrow": svg(draw(width=NARROW), heading=False)}
    return {"title": answer, "how": how, **{name: Markup(text) for name, text in drawn.items()}}  # noqa: S704


def _sentences(text: str) -> tuple[str, str]:
    """The first sentence, which stands alone, and what follows it."""
    first, *rest = re.split(r"(?<=[.!?])\s+(?=[A-Z0-9])", text, maxsplit=1)
    return _together(first), _together(rest[0]) if rest else ""


def _together(text: str) -> str:
    # A number and its sign stay on one line.
    return text.replace(" %", "\u00a0%")
