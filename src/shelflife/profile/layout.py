"""What is counted, and in which cell: fixed once by the reference, so that profiles can be added and compared."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import pyarrow as pa

from shelflife.profile import category, joint, moment, numeric, residual, text, vector
from shelflife.profile.runs import Counted, Runs


class Part(Protocol):
    """One kind of column: which cells it has and how rows are counted into them.

    ``count`` must depend on nothing but the rows of a run, whatever their order, and its counts and sums must add.
    """

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def cells(self) -> int: ...
    @property
    def sums(self) -> int: ...
    @property
    def extremes(self) -> int: ...
    def count(self, batch: pa.RecordBatch, runs: Runs) -> Counted: ...


_PARTS: dict[str, tuple[type, Callable[[dict[str, Any]], Part]]] = {
    "numeric": (numeric.Numeric, numeric.part),
    "category": (category.Category, category.part),
    "text": (text.Text, text.part),
    "time": (moment.Moment, moment.part),
    "vector": (vector.Vector, vector.part),
    "joint": (joint.Joint, joint.part),
    "residual": (residual.Residual, residual.part),
}


@dataclass(frozen=True)
class Place:
    """Where one part lies in the flat arrays of a profile."""

    counts: slice
    sums: slice
    extremes: slice


@dataclass(frozen=True)
class Segment:
    """The rows that have one value in one column."""

    column: str
    value: str


@dataclass(frozen=True)
class Layout:
    """What a reference counts.

    Attributes
    ----------
    parts
        The columns, each of one kind; at most one is the score × prediction × outcome table.
    time
        The column of times, or None where all rows are one bucket.
    bucket
        Length of a bucket in microseconds.
    segments
        Values whose rows are also counted apart.
    zoned
        Whether the reference's times carried a zone; buckets are in UTC either way.
    """

    parts: tuple[Part, ...]
    time: str | None
    bucket: int | None
    segments: tuple[Segment, ...] = ()
    zoned: bool = field(default=False, compare=False)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where each part lies in the flat arrays."""
        ends = [
            [0, *itertools.accumulate(getattr(part, what) for part in self.parts)]
            for what in ("cells", "sums", "extremes")
        ]
        return tuple(Place(*(slice(end[i], end[i + 1]) for end in ends)) for i in range(len(self.parts)))

    @property
    def widths(self) -> tuple[int, int, int]:
        """Lengths of the flat arrays of counts, of sums and of extremes."""
        if not self.parts:
            return 0, 0, 0
        last = self.places[-1]
        return last.counts.stop, last.sums.stop, last.extremes.stop

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, each once."""
        read = [column for part in self.parts for column in part.columns]
        read += [segment.column for segment in self.segments]
        return tuple(dict.fromkeys([*([self.time] if self.time else []), *read]))

    @cached_property
    def id(self) -> str:
        """Digest of all that is counted: profiles with one id can be added and compared."""
        counted = dataclasses.replace(self, zoned=False)  # buckets are in UTC either way
        return hashlib.sha256(counted.to_json().encode()).hexdigest()

    @property
    def outcome(self) -> joint.Joint | residual.Residual | None:
        """The table of what was said and what was true, if there is one."""
        for part in self.parts:
            if isinstance(part, joint.Joint | residual.Residual):
                return part
        return None

    @cached_property
    def _index(self) -> dict[tuple[bool, str], Place]:
        return {(part.kind == "outcome", part.name): place for part, place in self.find()}

    def place(self, part: Part) -> Place:
        """Where one part lies."""
        return self._index[part.kind == "outcome", part.name]

    def find(self) -> Iterator[tuple[Part, Place]]:
        """Each part with its place."""
        yield from zip(self.parts, self.places, strict=True)

    def to_json(self) -> str:
        """As text, from which `from_json` makes the same layout again."""
        plain = dataclasses.asdict(self)
        plain["parts"] = [{"is": _word(part), **found} for part, found in zip(self.parts, plain["parts"], strict=True)]
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, written: str) -> Layout:
        """The layout that `to_json` wrote."""
        plain = json.loads(written)
        parts = tuple(_PARTS[found["is"]][1](found) for found in plain["parts"])
        segments = tuple(Segment(**found) for found in plain["segments"])
        return cls(parts, plain["time"], plain["bucket"], segments, plain["zoned"])


def _word(part: Part) -> str:
    return next(word for word, (kind, _) in _PARTS.items() if isinstance(part, kind))
