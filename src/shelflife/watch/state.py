"""What watching remembers, in SQL: references, how far each system was watched, profiles of buckets."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from sqlalchemy import Connection, insert, select, update

from shelflife.detect.detector import Detector
from shelflife.durations import micros
from shelflife.profile.counts import Profile, empty, merged
from shelflife.profile.layout import Layout
from shelflife.profile.reference import Reference
from shelflife.store.schema import profiles, references, watches
from shelflife.watch.rows import Reach


@dataclass(frozen=True)
class Watch:
    """How far a system was watched.

    Attributes
    ----------
    reference, promise
        By which it is watched: the number of the one, a digest of what the plan says of the other.
    start
        The first bucket that is watched, in microseconds; rows of before are the reference's.
    reach
        Which rows were taken.
    told, late
        Of how many predictions an outcome was here when it was due, since this watching began; how many came later.
    detector
        The evidence so far.
    at
        When it was last looked at.
    """

    reference: int
    promise: str
    start: int
    reach: Reach
    detector: Detector
    at: datetime
    told: int = 0
    late: int = 0


def watch_of(connection: Connection, system: str) -> Watch | None:
    """How far a system was watched; None before the first time."""
    row = connection.execute(select(watches).where(watches.c.system == system)).one_or_none()
    if row is None:
        return None
    detector = Detector.from_bytes(row.detector)
    reach = Reach(row.batch, row.end, row.due)
    return Watch(row.reference, row.promise, row.start, reach, detector, row.at, row.told, row.late)


def keep_watch(connection: Connection, system: str, watch: Watch) -> None:
    """Note how far a system was watched."""
    values = {
        "reference": watch.reference, "promise": watch.promise, "start": watch.start, "batch": watch.reach.batch,
        "end": watch.reach.end, "due": watch.reach.due, "detector": watch.detector.to_bytes(), "at": watch.at,
        "told": watch.told, "late": watch.late,
    }  # fmt: skip
    if connection.execute(update(watches).where(watches.c.system == system).values(**values)).rowcount == 0:
        connection.execute(insert(watches).values(system=system, **values))


def add_reference(
    connection: Connection, system: str, reference: Reference, *, source: str, start: datetime | None,
    end: datetime | None, at: datetime, by: str,
) -> tuple[int, str]:  # fmt: skip
    """Keep a reference; its number, and the digest of its content."""
    content = reference.profile.to_bytes(notes=json.dumps(reference.notes))
    digest = hashlib.sha256(content).hexdigest()
    made = connection.execute(
        insert(references).values(
            system=system, rows=int(reference.profile.whole().rows.sum()), start=start, end=end, source=source,
            sha256=digest, content=content, at=at, by=by,
        )
    )  # fmt: skip
    key = made.inserted_primary_key
    assert key is not None
    return int(key[0]), digest


def reference_number(connection: Connection, system: str) -> int | None:
    """The number of a system's newest reference."""
    query = select(references.c.number).where(references.c.system == system).order_by(references.c.number.desc())
    return connection.execute(query.limit(1)).scalar()


def reference_times(connection: Connection, number: int) -> tuple[int | None, int]:
    """The time before which its rows lie, None where they are of another table; and when it was taken: microseconds."""
    row = connection.execute(select(references.c.end, references.c.at).where(references.c.number == number)).one()
    return None if row.end is None else micros(row.end), micros(row.at)


def reference_profile(connection: Connection, number: int) -> Profile:
    """A reference's counts."""
    content = connection.execute(select(references.c.content).where(references.c.number == number)).scalar_one()
    return Profile.from_bytes(content)


def profile_of(connection: Connection, layout: Layout, reference: int, of: str, *, start: int, end: int) -> Profile:
    """The counts of some buckets, from `start` to before `end` in microseconds: of `made` or `known` rows."""
    query = select(profiles.c.content).where(
        profiles.c.reference == reference, profiles.c.of == of, profiles.c.bucket >= start, profiles.c.bucket < end
    )
    return _read(layout, [row.content for row in connection.execute(query.order_by(profiles.c.bucket))])


def add_profile(connection: Connection, reference: int, of: str, new: Profile) -> None:
    """Add rows to the counts of their buckets."""
    for bucket in sorted(set(new.buckets.tolist())):
        added = new.between(bucket, bucket + 1)
        which = (profiles.c.reference == reference, profiles.c.of == of, profiles.c.bucket == bucket)
        before = connection.execute(select(profiles.c.content).where(*which)).scalar()
        if before is not None:
            added = merged([_read(new.layout, [before]), added])
        values = {"rows": int(added.whole().rows.sum()), "content": _written(added)}
        if before is not None:
            connection.execute(update(profiles).where(*which).values(**values))
        else:
            connection.execute(insert(profiles).values(reference=reference, of=of, bucket=bucket, **values))


def _written(profile: Profile) -> bytes:
    """The counts without their layout, which the reference has."""
    table = profile.to_arrow().replace_schema_metadata(None)
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    found: bytes = out.getvalue().to_pybytes()
    return found


def _read(layout: Layout, written: list[bytes]) -> Profile:
    return merged(
        [empty(layout), *(Profile.from_groups(layout, pa.ipc.open_stream(one).read_all()) for one in written)]
    )
