"""Everything watched as bounded means over additive counts: which cells each stream adds up, over which others.

A stream of shares is two weighted sums of a bucket's counts, hits over rows, so all streams of all buckets are two
products with sparse matrices. A graded stream (an error, a loss) keeps the counts of each of its few values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shelflife.check.codes import CODES
from shelflife.detect import estimate
from shelflife.profile import category, joint, moment, numeric, residual, text, vector
from shelflife.profile.counts import Profile
from shelflife.profile.layout import Layout, Place

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DECILES = np.arange(1, 10) / 10
# The evidence is shared out: a third each to performance, integrity and drift, so that a thousand columns of drift do
# not drown one of harm.
_FAMILIES = {"performance": 1.0, "relation": 0.5, "integrity": 1.0, "drift": 1.0}
_LEAST_SEGMENT_ROWS = 50
_COMPLETE = 0.999
# Known outcomes of a predicted class from which its chance of an error is learnt from its own rows alone.
LEAST_OF_CLASS = 500


@dataclass(frozen=True)
class Stream:
    """What one stream is about.

    Attributes
    ----------
    code
        The code of the finding that it leads to.
    column, segment
        The column, and the place of the segment in the layout from 1 (0: all rows).
    what
        What the share is of, in words that follow a number: *of values are below 3*.
    rises
        Whether a rise rings; else a fall does.
    """

    code: str
    column: str | None
    segment: int
    what: str
    rises: bool

    @property
    def key(self) -> tuple[str, str | None, int]:
        """Streams with one key lead to one finding."""
        return self.code, self.column, self.segment


@dataclass(frozen=True)
class Share:
    """A share before its directions are told apart: hits are weighted counts, rows are counts.

    ``only`` limits it to rows that wait for their outcome, or to buckets whose outcomes are complete; counts of other
    columns do not tell such rows apart, so hits of a bucket are taken in proportion.
    """

    code: str
    column: str | None
    what: str
    hits: tuple[tuple[int, float], ...]
    rows: tuple[int, ...]
    both: bool
    novelty: tuple[float, float] | None = None
    only: Literal["waiting", "complete"] | None = None


@dataclass(frozen=True)
class Graded:
    """A stream of few values: the cells that count rows of each, now and in the reference."""

    stream: Stream
    cells: Ints
    values: Floats
    reference_cells: Ints
    reference_values: Floats


@dataclass(frozen=True)
class Streams:
    """All streams of one reference: the shares, then the graded ones.

    Attributes
    ----------
    streams
        What each is about.
    weights
        Shape (streams,); how the budget is shared out.
    tolerance
        Shape (streams,).
    """

    streams: tuple[Stream, ...]
    weights: Floats
    tolerance: Floats
    graded: tuple[Graded, ...]
    novelty: Floats
    _hits: Any
    _rows: Any
    _of: Ints
    _flip: NDArray[np.bool_]
    _waiting: NDArray[np.bool_]
    _complete: NDArray[np.bool_]
    _states: tuple[Ints, Ints, Ints]

    @property
    def shares(self) -> int:
        """How many of the streams are shares."""
        return len(self._of)

    def observe(self, profile: Profile, *, reference: bool = False) -> tuple[Floats, Floats]:
        """Hits and rows of the streams of shares in each bucket, both of shape (buckets, shares).

        Of the reference all rows count for what is expected of them, whether their outcomes are known or not.
        """
        counts = profile.counts.astype(np.float64)
        hits = np.asarray(counts @ self._hits)
        rows = np.asarray(counts @ self._rows)
        if self._waiting.any() or self._complete.any():
            hits = np.clip(hits, 0.0, np.where(self._waiting | self._complete, rows, np.inf))
            total, waiting, known = (counts[:, cells].sum(axis=1) for cells in self._states)
            waits, done = waiting / np.maximum(total, 1.0), known / np.maximum(total, 1.0)
            kept = np.ones(hits.shape)
            if not reference:
                kept[:, self._waiting] = waits[:, None]
            kept[:, self._complete] = (done >= _COMPLETE)[:, None]
            hits, rows = hits * kept, rows * kept
        hits, rows = hits[:, self._of], rows[:, self._of]
        return np.where(self._flip, rows - hits, hits), rows


def build(reference: Profile, tolerance: float, integrity: float | None = None) -> Streams:
    """The streams that a reference's layout and counts give."""
    layout = reference.layout
    whole = reference.whole().counts.sum(axis=0)
    shares = [share for part, place in layout.find() for share in _shares(part, place, whole)]
    if isinstance(layout.outcome, residual.Residual):
        shares += _expected(layout.outcome, layout)
    if isinstance(layout.outcome, joint.Joint):
        shares += _truths(layout.outcome, layout.place(layout.outcome).counts.start)
    graded = list(_graded(reference))
    streams, of, flip = [], [], []
    for index, share in enumerate(shares):
        for rises in (True, False) if share.both else (True,):
            streams.append(Stream(share.code, share.column, 0, share.what, rises))
            of.append(index)
            flip.append(not rises)
    streams += [one.stream for one in graded]
    size = layout.widths[0]
    hits = _matrix([share.hits for share in shares], size)
    rows = _matrix([tuple((cell, 1.0) for cell in share.rows) for share in shares], size)
    novelty = np.array([shares[i].novelty or (np.nan, np.nan) for i in of]).reshape(-1, 2)
    return Streams(
        tuple(streams),
        _weights(streams),
        np.array([_tolerance(stream, tolerance, integrity) for stream in streams]),
        tuple(graded),
        novelty,
        hits,
        rows,
        np.array(of, dtype=np.int64),
        np.array(flip, dtype=bool),
        np.array([share.only == "waiting" for share in shares], dtype=bool),
        np.array([share.only == "complete" for share in shares], dtype=bool),
        _states(layout),
    )


def _states(layout: Layout) -> tuple[Ints, Ints, Ints]:
    """The cells that count each row once by whether its outcome is known: all, those that wait, those known."""
    part = layout.outcome
    none = np.empty(0, dtype=np.int64)
    if part is None:
        return none, none, none
    start = layout.place(part).counts.start
    if isinstance(part, residual.Residual):
        states = start + np.arange(3)
        return states, states[[residual.NO_OUTCOME]], states[[residual.KNOWN]]
    cells = _confusion(part, start)
    return cells.ravel(), cells[:, -1], cells[:, :-1].ravel()


def _confusion(part: joint.Joint, start: int) -> Ints:
    """The cells of what was said (rows) and what was true (columns; the last is not known yet)."""
    scored, shape, _ = part.shapes
    found: Ints = np.arange(int(np.prod(shape))).reshape(shape) + start + int(np.prod(scored))
    return found


def _truths(part: joint.Joint, start: int) -> Iterator[Share]:
    """How often each class turns out true, of buckets whose outcomes are all in: what is late is seldom typical."""
    if part.outcome is None:
        return
    cells = _confusion(part, start)
    rows = tuple(cells[:, :-1].ravel().tolist())
    # Of two classes one says it all.
    for place, word in list(enumerate(part.classes))[1 if len(part.classes) == 2 else 0 :]:
        true = tuple((int(cell), 1.0) for cell in cells[:, place])
        yield Share("SL202", part.outcome, f"of outcomes are {word!r}", true, rows, both=True, only="complete")


def _matrix(columns: list[tuple[tuple[int, float], ...]], size: int) -> Any:
    from scipy import sparse

    lengths = [len(column) for column in columns]
    cells = np.array([cell for column in columns for cell, _ in column], dtype=np.int64)
    values = np.array([value for column in columns for _, value in column], dtype=np.float64)
    starts = np.append(0, np.cumsum(lengths)).astype(np.int64)
    return sparse.csc_array((values, cells, starts), shape=(size, len(columns)))


def _tolerance(stream: Stream, tolerance: float, integrity: float | None) -> float:
    kind = CODES[stream.code].kind
    if kind == "integrity" and integrity is not None:
        return integrity
    # A column may drift by the tolerance; that it stays whole is promised five times as narrowly. Half of an
    # error's difference from what was expected lies on the stream's scale.
    return tolerance * {"integrity": 0.2, "relation": 0.5}.get(kind, 1.0)


def _weights(streams: list[Stream]) -> Floats:
    """Equal weights to families, within them to columns, within those to streams."""
    found = np.zeros(len(streams))
    families: dict[str, dict[Any, list[int]]] = {}
    for index, stream in enumerate(streams):
        family = families.setdefault(CODES[stream.code].kind, {})
        family.setdefault((stream.column, stream.segment), []).append(index)
    total = sum(_FAMILIES[name] for name in families)
    for name, columns in families.items():
        for members in columns.values():
            found[members] = _FAMILIES[name] / total / len(columns) / len(members)
    return found


def _shares(part: Any, place: Place, whole: Ints) -> Iterator[Share]:
    start = place.counts.start
    counts = whole[place.counts]
    if isinstance(part, numeric.Numeric):
        yield from _numeric(part, start, counts, "SL201", part.name, "values")
    elif isinstance(part, moment.Moment):
        yield from _numeric(part.lags, start, counts, "SL205", part.name, "lags")
    elif isinstance(part, vector.Vector):
        at = start
        for index, along in enumerate(part.along):
            found = counts[at - start : at - start + along.cells]
            name = "lengths" if index == 0 else f"projections {index}"
            yield from _numeric(along, at, found, "SL204", part.name, name, missing=index == 0)
            at += along.cells
    elif isinstance(part, category.Category):
        yield from _category(part, start)
    elif isinstance(part, text.Text):
        yield from _text(part, start)


def _numeric(
    part: numeric.Numeric, start: int, counts: Ints, code: str, column: str, name: str, *, missing: bool = True
) -> Iterator[Share]:
    rows = tuple(range(start + numeric.LOW_INFINITY, start + part.cells))
    everything = tuple(range(start, start + part.cells))
    if missing:
        absent = ((start + numeric.NULL, 1.0), (start + numeric.NAN, 1.0))
        yield Share("SL101", column, "of values are missing", absent, everything, both=True)
        infinite = ((start + numeric.LOW_INFINITY, 1.0), (start + part.cells - 1, 1.0))
        yield Share("SL105", column, "of values are infinite", infinite, everything, both=False)
    for edge in _thresholds(part, counts):
        below = tuple((cell, 1.0) for cell in range(start + numeric.LOW_INFINITY, start + numeric.BELOW + edge + 1))
        words = f"of {name} are below {part.edges[edge]:.4g}"
        if edge == len(part.edges) - 1:
            words = f"of {name} are within what the reference held"
        yield Share(code, column, words, below, rows, both=True)


def _thresholds(part: numeric.Numeric, counts: Ints) -> list[int]:
    """The edges nearest to the reference's deciles, and the outermost two."""
    inner = counts[numeric.BELOW : part.above + 1].astype(np.float64)
    total = inner.sum()
    last = len(part.edges) - 1
    if total == 0:
        return [0, last]
    below = np.cumsum(inner)[:-1] / total  # share below each edge
    nearest = {int(np.argmin(np.abs(below - decile))) for decile in _DECILES}
    return sorted(nearest | {0, last})


def _category(part: category.Category, start: int) -> Iterator[Share]:
    everything = tuple(range(start, start + part.cells))
    rows = everything[1:]
    yield Share("SL101", part.name, "of values are missing", ((start, 1.0),), everything, both=True)
    if not part.open:
        unseen = (float(part.novelty[0]), float(part.novelty[1])) if part.novelty[0] else None
        yield Share("SL104", part.name, "of values were never seen in the reference",
                    ((start + part.cells - 1, 1.0),), rows, both=False, novelty=unseen)  # fmt: skip
    if part.kind == "boolean":
        yield Share("SL202", part.name, "of values are true", ((start + 2, 1.0),), rows, both=True)
        return
    for place, value in enumerate(part.values):
        yield Share("SL202", part.name, f"of values are {value!r}", ((start + 1 + place, 1.0),), rows, both=True)
    if part.others or part.open:
        other = ((start + len(part.values) + 1, 1.0),)
        yield Share("SL202", part.name, "of values are none of the commonest", other, rows, both=True)


def _text(part: text.Text, start: int) -> Iterator[Share]:
    everything = (start + text.NULL, start + text.EMPTY, start + text.DOCUMENTS)
    documents = (start + text.DOCUMENTS,)
    yield Share("SL101", part.name, "of texts are missing", ((start + text.NULL, 1.0),), everything, both=True)
    yield Share("SL106", part.name, "of texts are empty", ((start + text.EMPTY, 1.0),), everything[1:], both=False)
    unseen = ((start + text.UNSEEN, 1.0 / text.PARTS),)
    novelty = (float(part.novelty[0]), float(part.novelty[1])) if part.novelty[0] else None
    yield Share("SL203", part.name, "of words were never seen in the reference", unseen, documents,
                both=False, novelty=novelty)  # fmt: skip
    lengths = range(start + part.lengths.start, start + part.lengths.stop)
    for place, longest in enumerate(text.LENGTHS):
        short = tuple((cell, 1.0) for cell in lengths[: place + 1])
        yield Share("SL203", part.name, f"of texts have at most {longest} words", short, documents, both=True)
    for place, term in enumerate(part.terms):
        with_term = ((start + part.first_term + place, 1.0),)
        yield Share("SL203", part.name, f"of texts say {term!r}", with_term, documents, both=True)


def _graded(reference: Profile) -> Iterator[Graded]:
    layout = reference.layout
    part = layout.outcome
    if part is None:
        return
    place = layout.place(part).counts
    for segment in range(len(layout.segments) + 1):
        counts = reference.chosen(reference.segments == segment).counts[:, place].sum(axis=0)
        if segment and _known(part, counts) < _LEAST_SEGMENT_ROWS:
            continue
        if isinstance(part, joint.Joint):
            yield from _joint(part, place.start, counts, segment)
        else:
            yield from _residual(part, place.start, segment)


def _known(part: joint.Joint | residual.Residual, counts: Ints) -> int:
    if isinstance(part, residual.Residual):
        return int(counts[residual.KNOWN])
    scored, _, _ = part.tables(counts)
    return int(scored[..., : joint.UNKNOWN].sum())


def chances(part: joint.Joint, counts: Ints) -> Floats | None:
    """The chance of an error in each score bin and predicted class, shape (BINS, classes + 1), from a reference.

    None where there are no scores, or no outcomes to learn from.
    """
    scored, _, _ = part.tables(counts)
    scored = scored[: joint.BINS]
    right, wrong = (scored[..., state].astype(np.float64) for state in (joint.RIGHT, joint.WRONG))
    if part.form == "none" or (right + wrong).sum() == 0:
        return None
    if part.form == "positive":
        place = part.classes.index(part.positive or "")
        is_positive = np.arange(right.shape[1]) == place
        positive = np.where(is_positive, right, wrong).sum(axis=1)
        chance = estimate.calibrated(positive, (right + wrong).sum(axis=1))
        found = np.where(is_positive, 1.0 - chance[:, None], chance[:, None])
        found[:, -1] = 1.0  # a prediction that is none of the classes is never right
        return found
    pooled = estimate.calibrated(wrong.sum(axis=1), (right + wrong).sum(axis=1))
    found = np.repeat(pooled[:, None], right.shape[1], axis=1)
    for place in range(right.shape[1]):
        rows = right[:, place] + wrong[:, place]
        if rows.sum() >= LEAST_OF_CLASS:
            found[:, place] = estimate.calibrated(wrong[:, place], rows)
    return found


def _joint(part: joint.Joint, start: int, counts: Ints, segment: int) -> Iterator[Graded]:
    shape = part.shapes[0]
    cells = np.arange(int(np.prod(shape))).reshape(shape) + start
    if part.outcome is not None:
        known = cells[..., : joint.UNKNOWN].ravel()
        values = np.broadcast_to([0.0, 1.0], (*shape[:2], 2)).ravel()
        stream = Stream("SL301", None, segment, "of predictions are wrong", rises=True)
        yield Graded(stream, known, values, known, values)
    found = chances(part, counts)
    if found is None:
        return
    scored = cells[: joint.BINS]
    waiting = scored[..., joint.UNKNOWN].ravel()
    stream = Stream("SL302", None, segment, "of predictions can be expected to be wrong", rises=True)
    yield Graded(stream, waiting, found.ravel(), scored.ravel(), np.repeat(found.ravel(), 3))
    if segment == 0:
        known = scored[..., : joint.UNKNOWN].ravel()
        # The difference of an error and its chance, from -1 to 1, on the scale of a stream.
        off = (np.stack([0.0 - found, 1.0 - found], axis=-1) + 1.0) / 2.0
        for rises in (True, False):
            values = off.ravel() if rises else 1.0 - off.ravel()
            words = "is how often predictions are wrong beyond what scores say"
            yield Graded(Stream("SL303", None, 0, words, rises), known, values, known, values)


def _residual(part: residual.Residual, start: int, segment: int) -> Iterator[Graded]:
    if part.outcome is None:
        return
    cells = np.arange(part.losses.start, part.losses.stop) + start
    values = np.arange(residual.STEPS + 1) / residual.STEPS
    stream = Stream("SL301", None, segment, "of the reference's loss scale is lost on average", rises=True)
    yield Graded(stream, cells, values, cells, values)


def _expected(part: residual.Residual, layout: Layout) -> Iterator[Share]:
    """The loss that a regression's rows can be expected to have, and what it has beyond that."""
    if not part.model:
        return
    starts = {other.name: place.counts.start for other, place in layout.find() if other is not part}
    start = layout.place(part).counts.start
    states = tuple(start + state for state in (residual.NO_PREDICTION, residual.NO_OUTCOME, residual.KNOWN))
    foreseen = [(starts[name] + cell, weight) for name, weights in part.model for cell, weight in enumerate(weights)]
    foreseen += [(state, part.base) for state in states]
    words = "of the reference's loss scale can be expected to be lost"
    yield Share("SL302", None, words, tuple(foreseen), states, both=False, only="waiting")
    lost = [
        (cell, step / residual.STEPS)
        for step, cell in enumerate(range(start + part.losses.start, start + part.losses.stop))
    ]
    beyond = [(cell, weight / 2) for cell, weight in lost] + [(cell, -weight / 2) for cell, weight in foreseen]
    beyond += [(states[2], 0.5)]
    words = "is the loss beyond what the inputs say"
    yield Share("SL303", None, words, tuple(beyond), (states[2],), both=True, only="complete")
