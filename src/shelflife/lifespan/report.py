"""The answer as a page, as a badge and as a notebook's output."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from shelflife.lifespan import charts, says
from shelflife.look import ink, label, page, words
from shelflife.look.charts import NARROW, svg

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shelflife.lifespan.result import Baseline, Cell, Lifespan


def html(result: Lifespan) -> str:
    """The answer as one self-contained page: the sentence, the label, the pictures, the numbers, how we know."""
    first, rest = _sentences(result.says)
    return page.render(
        "report.html",
        package="shelflife.lifespan",
        result=result,
        first=first,
        rest=rest,
        label=Markup(label.html(label_of(result))),  # noqa: S704 - the label escapes its words
        decay=_figure(charts.decay, charts.decay_title, result),
        survival=_figure(charts.survival, charts.survival_title, result),
        map=_figure(charts.decay_map, charts.map_title, result),
        matrix=_matrix(result),
        limit=says.limit(result.data, result.lifespan),
        cadences=_cadences(result),
        baselines=_baselines(result),
        control=says.control(result.control) if result.control else None,
        notes=_notes(result),
        metric=metric(result),
        evidence=_evidence(result),
    )


def badge(result: Lifespan) -> str:
    """The best-before badge as a small SVG picture."""
    made = label_of(result)
    return label.badge("best before", _best_before(result, short=True), made.freshness)


def fragment(result: Lifespan) -> str:
    """The sentence, the label and the decay curve as a piece of HTML for notebooks, with a sheet of its own."""
    picture = _figure(charts.decay, charts.decay_title, result)
    first, rest = _sentences(result.says)
    style = (
        ink.css(".shelflife") + label.CSS + ".shelflife{background:var(--paper);color:var(--ink);padding:1rem;"
        f"max-width:60rem;font:16px/1.5 {ink.FONT}}}.shelflife>p,.shelflife div>p{{margin:0 0 .75rem;max-width:44rem}}"
        ".shelflife .shelf-says{font-size:1.25rem;line-height:1.35;font-weight:600}"
        ".shelflife .shelf-body{display:flex;flex-wrap:wrap;gap:1.5rem 2.5rem;align-items:flex-start}"
        ".shelflife .shelf-body>*{flex:1 1 16rem}.shelflife .shelf-body>div{flex:1 1 34rem;max-width:42rem}"
        ".shelflife .shelf-title{font-weight:600;margin:0}.shelflife .shelf-how{font-size:.875rem;color:var(--muted)}"
    )
    made = Markup(
        '<div class="shelflife"><style>{}</style><p class="shelf-says">{}</p>{}<div class="shelf-body"><div>'
        '<p class="shelf-title">{}</p><p class="shelf-how">{}</p>{}</div>{}</div></div>'
    ).format(
        Markup(style),  # noqa: S704 - made here
        first,
        Markup("<p>{}</p>").format(rest) if rest else "",
        picture["title"],
        picture["how"],
        picture["wide"],
        Markup(label.html(label_of(result))),  # noqa: S704 - the label escapes its words
    )
    return str(made)


def label_of(result: Lifespan) -> label.Label:
    """The label of a model made at the end of the history."""
    data, parts = result.data, result.ingredients
    return label.Label(
        name=f"Model of {data.target}",
        made_on=words.moment(data.end, data.every_days),
        best_before=_best_before(result),
        # Made just now, it is fresh by definition; without a verdict even that word would promise something.
        freshness="unknown" if result.lifespan.verdict == "unknown" else "fresh",
        promised=charts.promise(result),
        observed=_observed(result),
        ingredients=f"data: {parts.data}; code: {parts.code}; environment: {parts.environment}; seed {parts.seed}",
        keeper="not named yet",
        made_on_exact=words.exact(data.end),
        best_before_exact=words.exact(result.best_before),
    )


def metric(result: Lifespan) -> str:
    """The metric in words: what a loss of this size counts."""
    known = {
        "error": "share of rows predicted wrong",
        "brier": "Brier score",
        "absolute_error": f"absolute error, in units of {result.data.target}",
        "squared_error": f"squared error, in squared units of {result.data.target}",
    }
    return known.get(result.data.metric, result.data.metric.replace("_", " "))


def _best_before(result: Lifespan, *, short: bool = False) -> str:
    answer = result.lifespan
    if result.best_before is not None:
        return words.moment(result.best_before, result.data.every_days, short=short)
    if answer.verdict == "unknown":
        return words.UNKNOWN
    if answer.verdict == "no expiry seen":
        return f"no expiry seen in {words.days(answer.watched_days)}"
    return f"not reached in {words.days(answer.watched_days)}"


def _observed(result: Lifespan) -> str:
    answer = result.lifespan
    if answer.verdict == "unknown":
        return "unknown: too little to tell"
    if answer.verdict == "no expiry seen":
        return f"no expiry seen in {words.days(answer.watched_days)}"
    if answer.median_days is None:
        return f"{answer.expired} of {words.plural(len(result.origins), 'model')} expired"
    interval = ""
    if answer.low_days is not None or answer.high_days is not None:
        interval = f" ({words.between(answer.low_days, answer.high_days)})"
    return f"half last {words.days(answer.median_days)}{interval}"


def _evidence(result: Lifespan) -> str:
    answer = result.lifespan
    ended = f"{answer.expired} of {words.plural(len(result.origins), 'model')} ended"
    if answer.log10_evidence <= 0:
        return f"{ended}; no evidence that models of this kind expire"
    power = answer.log10_evidence
    odds = words.number(10**power, 2) if power < 6 else f"ten to the power of {words.number(power, 2)}"
    return f"{ended}; a bet on the promise being broken would have made {odds} of 1"


def _sentences(text: str) -> tuple[str, str]:
    """The first sentence, which stands alone, and what follows it."""
    first, *rest = re.split(r"(?<=[.!?])\s+(?=[A-Z0-9])", text, maxsplit=1)
    return first, rest[0] if rest else ""


def _figure(
    draw: Callable[..., Any], title: Callable[[Lifespan], tuple[str, str]], result: Lifespan
) -> dict[str, str | Markup]:
    """A picture in two widths, since words in a picture that shrinks become too small, and its title as text."""
    # A number and its sign stay on one line.
    answer, how = (text.replace(" %", "\u00a0%") for text in title(result))
    drawn = {
        "wide": svg(draw(result), heading=False),
        "narrow": svg(draw(result, width=NARROW), heading=False),
    }
    return {"title": answer, "how": how, **{name: Markup(text) for name, text in drawn.items()}}  # noqa: S704


def _matrix(result: Lifespan) -> dict[str, Any]:
    """The decay map as a table: models down, slices of time across; None is a gap, before birth there is nothing."""
    starts = _slices(result)
    births: dict[datetime, dict[datetime, Cell]] = {}
    for cell in result.decay_map:
        births.setdefault(cell.born, {})[cell.start] = cell
    rows = []
    for born, cells in sorted(births.items()):
        lived = [start for start in starts if start >= min(cells)]
        said = [_cell(cells.get(start), result.data.task) for start in lived]
        rows.append((born, len(starts) - len(lived), said))
    return {"starts": starts, "rows": rows}


def _cell(cell: Cell | None, task: str) -> str | None:
    if cell is None:
        return None
    return words.signed(round(cell.excess * 100, 1) if task == "classification" else cell.excess)


def _slices(result: Lifespan) -> list[datetime]:
    """When each slice of the map starts, also of those that no model was scored on."""
    every = timedelta(days=result.data.every_days)
    found: list[datetime] = []
    for start in sorted({cell.start for cell in result.decay_map}):
        # One is missing where more than half of one is; a start a little off the grid is a slice of its own.
        while found and start - found[-1] > 1.5 * every:
            found.append(found[-1] + every)
        found.append(start)
    return found


def _cadences(result: Lifespan) -> list[dict[str, Any]]:
    most = max((abs(cadence.expected_excess) for cadence in result.cadence), default=0.0) or 1.0
    chosen = result.recommended_cadence_days
    return [
        {
            "row": cadence,
            "bar": round(100 * max(0.0, cadence.expected_excess) / most),
            "chosen": chosen is not None and abs(cadence.every_days - chosen) < 1e-6,
        }
        for cadence in result.cadence
    ]


def _baselines(result: Lifespan) -> list[Baseline]:
    """Every rival once, the hardest first."""
    listed = result.baselines or (result.baseline,)
    return sorted(dict.fromkeys(listed), key=lambda baseline: baseline.loss)


def _notes(result: Lifespan) -> list[str]:
    # The control has a section of its own.
    told = says.control(result.control) if result.control else None
    return [note for note in result.notes if note != told]
