"""A first plan from a table that people already have: what the data can tell is filled in, the rest is asked for.

The text teaches: each part says what it is for, and where a figure came from.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shelflife import tables
from shelflife.errors import BadInput, NotEnoughHistory, nearest
from shelflife.lifespan.result import Lifespan
from shelflife.look import words
from shelflife.plan import parse
from shelflife.plan.references import COLUMNS
from shelflife.plan.words import written

_DAY = timedelta(days=1)
# A bucket with fewer rows tells little about a share; with this many a move of a few points shows within days or weeks.
_ROWS_A_BUCKET = 30
_BUCKETS = (timedelta(hours=1), _DAY, 7 * _DAY)
_MOST_SEGMENTS = 2
_ROWS_THAT_DIFFER = 100


@dataclass(frozen=True)
class Draft:
    """A plan as text, and the lifespan that its figures come from where one could be measured."""

    text: str
    lifespan: Lifespan | None
    missing: str | None


def draft(
    data: Any,
    *,
    time: str,
    target: str | None = None,
    system: str | None = None,
    prediction: str | None = None,
    score: str | None = None,
    drop: tuple[str, ...] = (),
    label_delay: str = "1d",
    engine: str = "processes",
    jobs: int | None = None,
    **measuring: Any,
) -> Draft:
    """Write the first plan of a system from a table of its past.

    Parameters
    ----------
    data
        What `shelflife.lifespan` takes: a path or a frame.
    time, target
        Columns: when each row happened, and what turned out true; without a target nothing is measured.
    system
        The system's name; by default made from that of the file.
    prediction, score
        Columns of a model's answers, where the table has them.
    drop
        Columns that are no inputs, such as an id.
    label_delay
        How long after a row its outcome is known.
    engine, jobs
        As of `shelflife.lifespan`.
    measuring
        Other options of `shelflife.lifespan`, such as ``origins``.

    Returns
    -------
    Draft
        Its text is a valid plan.

    Raises
    ------
    BadInput
        Where the table or a column cannot be used.
    """
    from shelflife import lifespan as measure

    named = tuple(name for name in (target, prediction, score) if name is not None)
    apart = {*drop, *named}
    with (
        tempfile.TemporaryDirectory(prefix="shelflife-") as folder,
        tables.open_rows(data, time=time, folder=Path(folder)) as rows,
    ):
        _check(rows, drop)
        facts = _columns(rows, time, apart)
    left = sorted({*apart, *facts.ids, *facts.commas, *facts.taken} - {target})
    answer: Lifespan | None = None
    missing: str | None = "no target was named (--target)"
    if target is not None:
        try:
            answer, missing = measure(
                data, time=time, target=target, drop=left, label_delay=label_delay, engine=engine, jobs=jobs,
                **measuring,
            ), None  # fmt: skip
        except NotEnoughHistory as error:
            said = str(error).rstrip(".")
            missing = said[:1].lower() + said[1:]
    asked = {
        "time": time, "target": target, "system": system, "prediction": prediction or f"predicted_{target or 'answer'}",
        "score": score, "label_delay": label_delay,
    }  # fmt: skip
    text = _write(facts, answer, missing, asked)
    parse(text, source="the draft")  # what is handed out is valid
    return Draft(text, answer, missing)


@dataclass(frozen=True)
class _Facts:
    """What a table says of itself: its name, rows, first and last time, inputs, which make groups.

    And what is no input: its ids, numbers that are words for their decimal commas, names that rows have of their own.
    """

    source: str
    rows: int
    start: datetime
    end: datetime
    inputs: dict[str, str]
    groups: tuple[str, ...]
    ids: tuple[str, ...]
    commas: tuple[str, ...]
    taken: tuple[str, ...]

    @property
    def days(self) -> float:
        return max((self.end - self.start) / _DAY, 1.0)


def _check(rows: tables.Rows, drop: tuple[str, ...]) -> None:
    for name in drop:
        if name not in rows.schema.names:
            raise BadInput(f"--drop names a column {name!r} that is not there. {nearest(name, rows.schema.names)}")
    if rows.rows == 0:
        raise BadInput(f"{rows.source} has no rows; a plan is drafted from what was. Give a table with some.")


def _columns(rows: tables.Rows, time: str, apart: set[str]) -> _Facts:
    from shelflife.profile import Reference

    taken = tuple(name for name in COLUMNS["predictions"] if name in {*rows.schema.names} - {*apart, time})
    names = [name for name in rows.schema.names if name not in {*apart, *taken, time}]
    commas = _commas(rows, names)
    ids = _ids(rows, [name for name in names if name not in commas])
    learnt = Reference.learn(rows, time=time, bucket="1d", exclude=sorted({*apart, *taken, *commas, *ids}))
    parts = [part for part in learnt.layout.parts if part.kind != "outcome" and part.name != time]
    if not parts:
        raise BadInput(f"{rows.source} has no column left that could be an input. Drop fewer, or add some.")
    whole = learnt.profile.whole()
    if not whole.rows.sum():
        raise BadInput(f"{rows.source} has no row with a time in {time!r}. Name another column as --time.")
    first, last = (datetime.fromtimestamp(int(edge) / 1e6, UTC) for edge in (whole.buckets.min(), whole.buckets.max()))
    kinds = {part.name: part.kind for part in parts}
    groups = tuple(name for name, kind in kinds.items() if kind in {"category", "boolean"})
    return _Facts(rows.source, int(whole.rows.sum()), first, last + _DAY, kinds, groups, ids, commas, taken)


def _ids(rows: tables.Rows, names: list[str]) -> tuple[str, ...]:
    """Columns that tell rows apart: words of one kind, another in each of the first rows."""
    for batch in rows.batches(names) if names else ():
        if batch.num_rows < _ROWS_THAT_DIFFER:
            break
        columns = zip(names, batch.columns, strict=True)
        return tuple(name for name, column in columns if _differs(column))
    return ()


def _commas(rows: tables.Rows, names: list[str]) -> tuple[str, ...]:
    """Columns of words that are numbers with a decimal comma, by the first rows."""
    for batch in rows.batches(names) if names else ():
        found = [name for name, column in zip(names, batch.columns, strict=True) if _has_commas(column)]
        return tuple(found)
    return ()


def _has_commas(column: pa.Array) -> bool:
    words = _words(column)
    if words is None or words.null_count == len(words):
        return False
    numbers = pc.match_substring_regex(words, r"^\s*-?\d[\d.]*(,\d+)?\s*$")
    with_comma = pc.any(pc.match_substring(words, ",")).as_py()
    return bool(pc.all(numbers).as_py() and with_comma)


def _words(column: pa.Array) -> pa.Array | None:
    """A column of words; None for any other."""
    words = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return words if words.type in {pa.string(), pa.large_string(), pa.string_view()} else None


def _differs(column: pa.Array) -> bool:
    words = _words(column)
    if words is None:
        return False
    one_word = pc.all(pc.invert(pc.match_substring(words, " "))).as_py()
    return bool(one_word) and words.null_count == 0 and pc.count_distinct(words).as_py() == len(words)


def _bucket(facts: _Facts) -> timedelta:
    """The shortest slice of time that holds enough rows to tell a change of a few points."""
    a_day = facts.rows / facts.days
    return next((span for span in _BUCKETS if a_day * (span / _DAY) >= _ROWS_A_BUCKET), _BUCKETS[-1])


@dataclass(frozen=True)
class _Promise:
    """What fresh models did in the past, and the promise made of it."""

    metric: str
    side: str
    limit: float
    fresh: float
    worse_by: float


def _promise(measured: Lifespan) -> _Promise:
    loss, tolerance = measured.baseline.model_loss, measured.lifespan.tolerance
    if measured.data.metric == "error":
        return _Promise("accuracy", "at_least", _rounded(1 - loss - tolerance, math.floor), 1 - loss, tolerance)
    name = {"brier": "brier", "absolute_error": "mae", "squared_error": "rmse"}[measured.data.metric]
    fresh, most = loss, loss + tolerance
    if name == "rmse":
        fresh, most = math.sqrt(fresh), math.sqrt(most)
    return _Promise(name, "at_most", _rounded(most, math.ceil), fresh, most - fresh)


def _rounded(value: float, towards: Callable[[float], int]) -> float:
    """Three figures, towards the promise that is easier to keep."""
    if value == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return float(f"{towards(value / step) * step:.6g}")


def _scalar(value: str) -> str:
    """Text as YAML writes it: plain where that reads back as the same text, else in quotes."""
    plain = re.fullmatch(r"[A-Za-z_][\w ./()-]*", value) and not value.endswith(" ") and "  " not in value
    if plain and value.lower() not in {"true", "false", "null", "yes", "no", "on", "off"}:
        return value
    return json.dumps(value, ensure_ascii=False)


def _slug(source: str) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", Path(source).stem.lower()).strip("-")
    return (stem or "my-system")[:63]


def _whole_days(days: float) -> str:
    return written(timedelta(days=max(1, round(days))))


def _write(facts: _Facts, answer: Lifespan | None, missing: str | None, asked: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("shelflife.drafting"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,  # noqa: S701 - YAML, not HTML; texts go through `q`
    )  # fmt: skip
    environment.filters |= {"q": _scalar, "span": written, "days": _whole_days, "date": words.date}
    bucket = _bucket(facts)
    system = asked["system"] or _slug(facts.source)
    return environment.get_template("plan.yaml").render(
        asked,
        system=system,
        title=system.replace("-", " ").replace("_", " ").capitalize(),
        facts=facts,
        answer=answer,
        missing=missing,
        promise=_promise(answer) if answer is not None else None,
        task=answer.data.task if answer is not None else "classification",
        bucket=bucket,
        season="week" if bucket < 7 * _DAY and facts.days >= 56 else "none",
        segments=facts.groups[:_MOST_SEGMENTS],
        a_day=facts.rows / facts.days,
    )
