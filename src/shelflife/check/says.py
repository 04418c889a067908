"""What was found in sentences that a person could say aloud. Pure: values in, text out."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

from shelflife.look import words
from shelflife.profile.residual import Residual

if TYPE_CHECKING:
    from shelflife.check.result import Audit, FalseAlarms, Finding, Verdict
    from shelflife.check.streams import Stream
    from shelflife.profile.layout import Layout


def finding(
    code: str, column: str | None, segment: str | None, stream: Stream, observed: float, reference: float,
    limit: float, since: datetime | None, layout: Layout,
) -> str:  # fmt: skip
    """One finding: what it is now, what it was, since when."""
    start = f"Since {words.date(since)}, " if since is not None else ""
    where = f" where {segment.replace('=', ' is ', 1)}" if segment else ""
    number = isinstance(layout.outcome, Residual) and code.startswith("SL3")
    now, then, most = (words.number(value) if number else words.share(value) for value in (observed, reference, limit))
    if code == "SL301":
        what = "predictions are off by" if number else "predictions are wrong"
        said = f"{what} {now} on average" if number else f"{now} of predictions are wrong"
        never = " None is right: look whether predictions and outcomes are still spelt alike."
        return _sentence(
            f"{start}{said}{where}, against {then} in the reference; promised is at most {most}."
            f"{never if not number and observed > 0.9999 else ''}"
        )
    if code == "SL302":
        said = f"predictions can be expected to be off by {now} on average" if number else (
            f"{now} of predictions can be expected to be wrong"
        )  # fmt: skip
        return _sentence(
            f"{start}{said}{where} (estimated, outcomes are not known yet), against {then} in the reference; promised"
            f" is at most {most}."
        )
    if code == "SL303":
        gap = words.number(abs(observed)) if number else words.points(abs(observed))
        way = "more" if observed > 0 else "less"
        told = "inputs" if number else "scores"
        return _sentence(
            f"{start}predictions are wrong {gap} {way} than their {told} say{where}: what is true of the same {told}"
            " has changed."
        )
    if "never seen" in stream.what:
        return _sentence(f"{start}{now} {_of(stream.what, column)}; promised is at most {most}.")
    return _sentence(f"{start}{now} {_of(stream.what, column)}, against {then} in the reference.")


def _of(what: str, column: str | None) -> str:
    """*of values are missing* as *of 'income' is missing*: the column named where its values are spoken of."""
    if what.startswith("of words "):
        return f"of the words of {column!r} {what.removeprefix('of words ')}"
    for kind in ("values", "texts", "lags", "lengths"):
        if what.startswith(f"of {kind} "):
            rest = what.removeprefix(f"of {kind} ")
            noun = {"values": "", "texts": " texts", "lags": " lags (seconds)", "lengths": " vector lengths"}[kind]
            verb, _, tail = rest.partition(" ")
            singular = {"are": "is", "have": "has", "say": "says", "were": "was"}
            return f"of {column!r}{noun} {singular.get(verb, verb) if not noun else verb} {tail}"
    return f"{what} in {column!r}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def too_few_outcomes(needed: int | None) -> str:
    """That the inputs show no change and too few outcomes are known to say the same of performance."""
    would = f"about {needed:,} would do" if needed else "the reference has too few as well"
    return f"Performance is unknown: too few outcomes are known to tell ({would}). The inputs show no change."


def again(times: int, last: datetime | None) -> str:
    """That something came back after it was over."""
    when = "" if last is None else f", {'on' if times == 1 else 'last on'} {words.date(last)}"
    return f" It came back {'once' if times == 1 else f'{times} times'}{when}."


def means(then: float, now: float) -> str:
    """What the mean of a column was and is; nothing where it hardly moved."""
    before, after = words.number(then), words.number(now)
    return "" if before == after or not math.isfinite(then + now) else f" Its mean is {after}; it was {before}."


def untimed(column: str, share: float) -> str:
    """Rows that cannot be put in their bucket."""
    return f"{words.share(share)} of rows have no time in {column!r}; they were left out of everything."


def together(columns: list[str]) -> str:
    """Other columns in which the same began at the same time."""
    shown = ", ".join(repr(column) for column in columns[:4])
    more = f" and {len(columns) - 4} more" if len(columns) > 4 else ""
    return f" So it is in {shown}{more}."


def missing_column(column: str) -> str:
    """A column of the reference that the current data lacks."""
    return f"The column {column!r} is gone: the reference has it, the current data does not."


def type_changed(column: str, kind: str, found: str) -> str:
    """A column whose type no longer fits."""
    before = "held nothing in the reference" if kind == "nothing" else f"was {kind}"
    return f"The column {column!r} {before} and now holds {found}; it cannot be compared."


def no_chance(column: str, low: float, high: float) -> str:
    """Scores that are no probabilities."""
    return (
        f"The score {column!r} now goes from {words.number(low)} to {words.number(high)}; it was a chance, from 0 to 1."
    )


def no_phase(season: str) -> str:
    """That the reference and the current data share no phase of the season."""
    return (
        f"Nothing can be said: the reference has no bucket in the phases of the {season} that the current data lies in."
        f" Give a reference of a whole {season}, or leave out --season."
    )


def unjudged(*, known_before: bool) -> str:
    """That there is nothing to judge performance by."""
    why = (
        "no outcome is known yet, and there are no scores to estimate it from"
        if known_before
        else "the reference has no known outcome to compare with"
    )
    return f"Performance is unknown: {why}. The inputs show no change."


def verdict(
    verdict: Verdict, findings: tuple[Finding, ...], rows: int, columns: int, sees: float | None,
    start: datetime | None, end: datetime | None, needed: int | None,
) -> str:  # fmt: skip
    """The whole answer: the worst first, then how much was looked at and what it could have shown."""
    looked = f"{words.plural(rows, 'row')} and {words.plural(columns, 'column')} were checked"
    if start is not None and end is not None:
        looked += f", {words.date(start)} to {words.date(end)}"
    if verdict == "unknown":
        first = "Nothing can be said yet: there is insufficient data."
        return (
            f"{first} {looked}{f'; about {needed:,} rows would do' if needed else '; the reference has too few rows'}."
        )
    if verdict == "pass":
        least = words.points(sees or 0.0)
        return f"No change was found; a share that had moved by {least} throughout would have shown. {looked}."
    harm = sum(finding.severity == "page" for finding in findings)
    counted = [words.plural(harm, "finding of harm", "findings of harm")] if harm else []
    if len(findings) > harm:
        counted.append(words.plural(len(findings) - harm, "note of drift", "notes of drift"))
    return f"{findings[0].says} In all there {_are(findings)} {' and '.join(counted)}; {looked}."


def _are(findings: tuple[Finding, ...]) -> str:
    return "is" if len(findings) == 1 else "are"


def audit(found: Audit) -> str:
    """What the audit measured in words."""
    return (
        f"Audit: {words.plural(found.alarms, 'false alarm')} in {found.buckets:,} shuffled buckets; the budget allows"
        f" {words.number(found.expected)}."
    )


def budget(found: FalseAlarms) -> str:
    """The stated budget in words."""
    if found.per_days is None:
        return f"at most {words.share(found.at_most)} of such checks ring though nothing has changed"
    alarms = "false alarm" if found.at_most <= 1 else "false alarms"
    return f"at most {words.number(found.at_most)} {alarms} in {words.days(found.per_days)}"
