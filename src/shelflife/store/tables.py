"""Delta tables, one of each kind of row of each system, in a local folder or an object store."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pyarrow.dataset as ds

_TRIES = 8


class Tables:
    """The tables of a workspace.

    Parameters
    ----------
    root
        A folder, or the URL of a place in an object store (``s3://bucket/prefix``).
    options
        Options of the object store, such as ``aws_endpoint_url``; what the environment says counts besides.
    """

    def __init__(self, root: str, options: Mapping[str, str] | None = None) -> None:
        self.root = root.rstrip("/")
        self.options = dict(options or {})
        if self.root.startswith("s3://"):
            # Without it two writers could each believe to have written the same version.
            self.options.setdefault("aws_conditional_put", "etag")

    def address(self, system: str, kind: str) -> str:
        """Where a table lies."""
        return f"{self.root}/{system}/{kind}"

    def open(self, system: str, kind: str) -> Any:
        """The `deltalake.DeltaTable`, or None where nothing was written yet."""
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            return DeltaTable(self.address(system, kind), storage_options=self.options or None)
        except TableNotFoundError:
            return None

    def append(self, system: str, kind: str, rows: pa.Table) -> None:
        """Add rows in one commit; columns that the table has not yet are added to it."""
        from deltalake import write_deltalake

        where, options = self.address(system, kind), self.options or None
        self._tried(lambda: write_deltalake(where, rows, mode="append", schema_mode="merge", storage_options=options))

    def has_batch(self, system: str, kind: str, batch: int) -> bool:
        """Whether rows of a batch were written; files whose statistics exclude it are not read."""
        found = self.open(system, kind)
        if found is None:
            return False
        return bool(found.to_pyarrow_dataset().head(1, filter=pc.field("batch") == batch, columns=["batch"]).num_rows)

    def batch(self, system: str, kind: str, batch: int, columns: list[str]) -> pa.Table:
        """Columns of the rows of a batch; none where it was not written."""
        found = self.dataset(system, kind)
        if found is None:
            return pa.table({name: pa.array([], pa.null()) for name in columns})
        return found.to_table(columns=columns, filter=pc.field("batch") == batch)

    def dataset(self, system: str, kind: str) -> ds.Dataset | None:
        """All rows as an Arrow dataset, None where there are none yet."""
        found = self.open(system, kind)
        return None if found is None else found.to_pyarrow_dataset()

    def compact(self, system: str, kind: str) -> tuple[int, int]:
        """Make few large files of many small ones; files before and after. No row changes."""
        found = self.open(system, kind)
        if found is None:
            return 0, 0
        before = len(found.file_uris())
        self._tried(self.open(system, kind).optimize.compact)
        self._tried(self.open(system, kind).create_checkpoint)
        return before, len(self.open(system, kind).file_uris())

    def delete(self, system: str, kind: str, predicate: str) -> int:
        """Remove the rows that a SQL predicate names; how many."""
        if self.open(system, kind) is None:
            return 0
        done: list[Any] = []
        self._tried(lambda: done.append(self.open(system, kind).delete(predicate)))
        return int(done[-1].get("num_deleted_rows") or 0)

    def erase(self, system: str, kind: str, ids: Sequence[str]) -> int:
        """Remove all rows of some ids, and feedback about them, from every version; how many."""
        if not ids:
            return 0
        some = ", ".join(map(quoted, ids))
        gone = self.delete(system, kind, f"id IN ({some})")
        if kind == "feedback":
            gone += self.delete(system, kind, f"prediction_id IN ({some})")
        # Files of versions before still hold them.
        self.vacuum(system, kind, keep=timedelta(0))
        return gone

    def vacuum(self, system: str, kind: str, *, keep: timedelta, full: bool = False) -> int:
        """Remove files that no version of the last `keep` needs; how many.

        If `full`, also files as old that no version ever needed: what a writer that was killed has left.
        """
        found = self.open(system, kind)
        if found is None:
            return 0
        hours = max(0, int(keep / timedelta(hours=1)))
        return len(found.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False, full=full))

    def version(self, system: str, kind: str) -> int | None:
        """The number of the newest version."""
        found = self.open(system, kind)
        return None if found is None else int(found.version())

    @staticmethod
    def _tried(commit: Any) -> None:
        """Commit, and again where another writer was first."""
        from deltalake.exceptions import CommitFailedError, DeltaError

        for attempt in range(_TRIES):
            try:
                commit()
            except CommitFailedError:
                if attempt + 1 == _TRIES:
                    raise
                time.sleep(0.01 * 2**attempt)
            except DeltaError as error:
                # The first writers of a new table may each try to make it.
                if "already exists" not in str(error) or attempt + 1 == _TRIES:
                    raise
                time.sleep(0.01 * 2**attempt)
            else:
                return


def quoted(value: str) -> str:
    """A text in a predicate."""
    return "'" + value.replace("'", "''") + "'"


def moment(value: datetime) -> str:
    """A moment in a predicate."""
    return f"arrow_cast('{value:%Y-%m-%dT%H:%M:%S.%fZ}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
