"""A profile: additive counts by bucket and segment, in the cells of one layout."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shelflife.errors import BadInput
from shelflife.profile.layout import Layout, Part
from shelflife.profile.runs import Floats, Ints

_FORMAT = b"shelflife.profile/1"


@dataclass(frozen=True, eq=False)
class Profile:
    """The additive statistics of buckets of rows; ``+`` makes of two profiles the one of all their rows.

    Addition is associative and commutative, and any partition and order of the rows gives the same profile, bit for
    bit: counts are whole numbers, and sums are of values on a grid of binary fractions.

    Attributes
    ----------
    layout
        What is counted where.
    segments, buckets
        Shape (groups,): the segment of each group of rows (0 for all rows, else 1 + its place among the layout's),
        and the start of its bucket in microseconds since 1970 (0 without a time column); sorted by both, each once.
    rows
        Shape (groups,).
    counts, sums, lows, highs
        Shape (groups, width): the flat arrays in which each part of the layout has its place.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from shelflife.profile import Reference
    >>> table = pa.table({"plan": ["pro", "free", "pro", None], "seats": [3, 1, 8, 2]})
    >>> reference = Reference.learn(table)
    >>> halves = reference.count(table.slice(0, 2)) + reference.count(table.slice(2))
    >>> halves == reference.count(table)
    True
    """

    layout: Layout
    segments: Ints
    buckets: Ints
    rows: Ints
    counts: Ints
    sums: Floats
    lows: Floats
    highs: Floats

    def __add__(self, other: Profile) -> Profile:
        """The profile of the rows of both; raises `BadInput` where they count different things."""
        if not isinstance(other, Profile):
            return NotImplemented
        return merged([self, other])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Profile):
            return NotImplemented
        return self.layout.id == other.layout.id and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in _ARRAYS
        )

    __hash__ = None  # type: ignore[assignment] # equal profiles may be large; nobody should look them up by content

    def __repr__(self) -> str:
        whole = self.whole()
        return f"<Profile of {int(whole.rows.sum()):,} rows in {len(whole.rows):,} buckets, {self.layout.id[:8]}>"

    def chosen(self, groups: Any) -> Profile:
        """Only some groups: a boolean or integer index."""
        return Profile(self.layout, *(getattr(self, name)[groups] for name in _ARRAYS))

    def whole(self) -> Profile:
        """Only the groups of all rows, without those of segments."""
        return self.chosen(self.segments == 0)

    def segment(self, place: int) -> Profile:
        """Only the groups of the layout's segment at `place`, from 0."""
        return self.chosen(self.segments == place + 1)

    def between(self, start: int, end: int) -> Profile:
        """Only the buckets that start from `start` to before `end`, in microseconds since 1970."""
        return self.chosen((self.buckets >= start) & (self.buckets < end))

    def moved(self, buckets: Ints, to: Ints) -> Profile:
        """The same with each bucket of `buckets`, which must be sorted, standing at its place in `to` instead."""
        places = to[np.searchsorted(buckets, self.buckets)]
        return _collapsed(Profile(self.layout, self.segments, places, *_values(self)))

    def total(self) -> Profile:
        """All buckets added into one, by segment; it stands at the first bucket."""
        first = int(self.buckets.min()) if len(self.buckets) else 0
        return _collapsed(Profile(self.layout, self.segments, np.full_like(self.buckets, first), *_values(self)))

    def without(self, part: Part) -> Profile:
        """The same with nothing counted in one part, as if its columns had not been there."""
        place = self.layout.place(part)
        counts, sums = self.counts.copy(), self.sums.copy()
        counts[:, place.counts], sums[:, place.sums] = 0, 0.0
        return Profile(self.layout, self.segments, self.buckets, self.rows, counts, sums, self.lows, self.highs)

    def of(self, part: Part) -> Ints:
        """The counts of one part, shape (groups, its cells)."""
        return self.counts[:, self.layout.place(part).counts]

    def sums_of(self, part: Part) -> Floats:
        """The sums of one part, shape (groups, its sums)."""
        return self.sums[:, self.layout.place(part).sums]

    def extremes_of(self, part: Part) -> tuple[Floats, Floats]:
        """Least and greatest values of one part, each of shape (groups, its extremes)."""
        place = self.layout.place(part).extremes
        return self.lows[:, place], self.highs[:, place]

    def to_arrow(self) -> pa.Table:
        """One row a group; the layout travels in the schema's metadata, compressed."""
        columns: dict[str, Any] = {
            "segment": pa.array(self.segments, pa.int32()),
            "bucket": pa.array(self.buckets, pa.int64()),
            "rows": pa.array(self.rows, pa.int64()),
        }
        for name in _ARRAYS[3:]:
            matrix = np.ascontiguousarray(getattr(self, name))
            columns[name] = (
                pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
                if (matrix.shape[1])
                else pa.nulls(len(matrix))
            )
        packed = zlib.compress(self.layout.to_json().encode())
        checksum = f"{self._checksum():08x}"
        return pa.table(columns).replace_schema_metadata({"format": _FORMAT, "layout": packed, "checksum": checksum})

    def _checksum(self) -> int:
        found = 0
        for name in _ARRAYS:
            found = zlib.crc32(np.ascontiguousarray(getattr(self, name)).tobytes(), found)
        return found

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Profile:
        """The profile that `to_arrow` wrote; raises `BadInput` for any other table."""
        metadata = table.schema.metadata or {}
        if metadata.get(b"format") != _FORMAT:
            raise BadInput("A profile is asked for; this table is none. Make one with `shelflife profile DATA --out`.")
        try:
            layout = Layout.from_json(zlib.decompress(metadata[b"layout"]).decode())
            table = table.select(["segment", "bucket", "rows", *_ARRAYS[3:]])
        except (zlib.error, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput("The profile is damaged: what it counts cannot be read. Make it again.") from error
        found = cls.from_groups(layout, table)
        if metadata.get(b"checksum") != f"{found._checksum():08x}".encode():  # noqa: SLF001 - its own
            raise BadInput(
                "The profile is damaged, or of another version: its counts do not fit its checksum. Make it again with"
                " `shelflife profile`."
            )
        return found

    @classmethod
    def from_groups(cls, layout: Layout, table: pa.Table) -> Profile:
        """The profile of groups as `to_arrow` wrote them, by a layout that is known; sorted, and each once."""
        table = table.combine_chunks()
        arrays = [table[name].to_numpy().astype(np.int64) for name in ("segment", "bucket", "rows")]
        counts, sums, extremes = layout.widths
        kinds = [np.int64, np.float64, np.float64, np.float64]
        matrices = []
        for name, width, kind in zip(_ARRAYS[3:], (counts, sums, extremes, extremes), kinds, strict=True):
            if width:
                _check_width(table[name].type, width, name)
                flat = pa.concat_arrays([chunk.flatten() for chunk in table[name].chunks]) if len(table) else []
                matrices.append(np.asarray(flat, dtype=kind).reshape(len(table), width))
            else:
                matrices.append(np.empty((len(table), 0), dtype=kind))
        return cls(layout, *arrays, *matrices)

    def to_bytes(self, *, notes: str = "") -> bytes:
        """The profile as one compressed Arrow file in memory, to send; with notes for whoever opens it."""
        table = self.to_arrow()
        table = table.replace_schema_metadata({**table.schema.metadata, b"notes": notes.encode()})
        out = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(out, table.schema, options=options) as writer:
            writer.write_table(table)
        written: bytes = out.getvalue().to_pybytes()
        return written

    @classmethod
    def from_bytes(cls, written: bytes) -> Profile:
        """The profile that `to_bytes` wrote; raises `BadInput` for anything else."""
        return _read(pa.BufferReader(written), "What was given")[0]

    def save(self, path: str | Path, *, notes: str = "") -> None:
        """Write the profile as one compressed Arrow file, with notes for whoever opens it."""
        Path(path).write_bytes(self.to_bytes(notes=notes))

    @classmethod
    def open(cls, path: str | Path) -> Profile:
        """Read what `save` wrote; raises `BadInput` for what is no profile."""
        return cls.open_with_notes(path)[0]

    @classmethod
    def open_with_notes(cls, path: str | Path) -> tuple[Profile, str]:
        """Read what `save` wrote, with its notes."""
        if not Path(path).is_file():
            raise BadInput(f"There is no file {str(path)!r}.")
        with pa.memory_map(str(path)) if Path(path).stat().st_size else pa.BufferReader(b"") as file:
            return _read(file, str(path))


def _read(file: Any, name: str) -> tuple[Profile, str]:
    try:
        table = pa.ipc.open_file(file).read_all()
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{name} is no profile. Make one with `shelflife profile DATA --out x.profile`.") from error
    return Profile.from_arrow(table), (table.schema.metadata or {}).get(b"notes", b"").decode()


def _check_width(kind: pa.DataType, width: int, name: str) -> None:
    if not pa.types.is_fixed_size_list(kind) or kind.list_size != width:
        raise BadInput(
            f"The profile holds {kind} as its {name}, where its own layout asks for {width}: it is damaged, or of"
            " another version. Make it again with `shelflife profile`."
        )


_ARRAYS = ("segments", "buckets", "rows", "counts", "sums", "lows", "highs")
_WAYS = {"rows": np.add, "counts": np.add, "sums": np.add, "lows": np.minimum, "highs": np.maximum}


def merged(profiles: list[Profile]) -> Profile:
    """All of one or more profiles added.

    Raises
    ------
    BadInput
        Where they count different things.

    Examples
    --------
    >>> from shelflife.profile import Reference
    >>> table = pa.table({"x": [1.0, 2.0, 3.0, 4.0]})
    >>> reference = Reference.learn(table)
    >>> merged([reference.count(table.slice(at, 1)) for at in range(4)]) == reference.profile
    True
    """
    first = profiles[0]
    for other in profiles[1:]:
        if other.layout.id != first.layout.id:
            raise BadInput(
                f"Profiles of one reference are asked for; these are of two ({first.layout.id[:8]} and"
                f" {other.layout.id[:8]}), whose cells mean different things. Count both with one --reference."
            )
    return _collapsed(
        Profile(first.layout, *(np.concatenate([getattr(one, name) for one in profiles]) for name in _ARRAYS))
    )


def _collapsed(profile: Profile) -> Profile:
    """Groups sorted, and those of one segment and bucket made one."""
    order = np.lexsort((profile.buckets, profile.segments))
    segments, buckets = profile.segments[order], profile.buckets[order]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (np.diff(segments) != 0) | (np.diff(buckets) != 0)
    starts = np.flatnonzero(fresh)
    if len(starts) == len(order):
        return profile.chosen(order) if len(order) and (np.diff(order) != 1).any() else profile
    arrays = [way.reduceat(getattr(profile, name)[order], starts, axis=0) for name, way in _WAYS.items()]
    return Profile(profile.layout, segments[starts], buckets[starts], *arrays)


def empty(layout: Layout) -> Profile:
    """The profile of no rows."""
    counts, sums, extremes = layout.widths
    none: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    wide = [np.empty((0, width)) for width in (sums, extremes, extremes)]
    return Profile(layout, none, none, none, np.empty((0, counts), dtype=np.int64), *wide)


def _values(profile: Profile) -> list[Any]:
    return [getattr(profile, name) for name in _ARRAYS[2:]]
