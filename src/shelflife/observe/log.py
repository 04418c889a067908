"""An append-only log in segments: what was appended is on the disk before `append` returns, or it was not appended.

A segment is a file of records, each a length, a checksum and that many bytes. A group of records is written by one
call and one fsync, so that many writers share its cost. What a crash leaves half-written was never acknowledged: it
stands at the end of the segment that was written last, and reading stops there. Anything else that does not fit was
acknowledged and is damaged, which is told.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import uuid
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

_HEAD = struct.Struct("<III")  # length, checksum of the record, checksum of these two
_LOCK = "lock"


class Damaged(Exception):
    """A segment does not hold what was written."""


class Log:
    """The log of one process: a folder of its own, locked while the process lives.

    Parameters
    ----------
    root
        The folder of all logs.
    """

    def __init__(self, root: Path) -> None:
        name = uuid.uuid4().hex
        hidden = root / f".{name}"  # until it is locked, or somebody could adopt it
        hidden.mkdir(parents=True)
        self._lock = _locked(hidden)
        self.folder = hidden.rename(root / name)
        _sync_folder(root)
        self._number = 0
        self._bytes = 0
        self._spoilt = False
        self._file = self._begin(0)

    @property
    def size(self) -> int:
        """How many bytes the open segment holds."""
        return self._bytes

    @property
    def open(self) -> Path:
        """The segment that is written."""
        return self._path(self._number)

    def append(self, records: Sequence[bytes]) -> None:
        """Write records and wait until the disk has them.

        Raises
        ------
        OSError
            Where the disk is full or broken; nothing of the group counts then.
        """
        parts = [part for record in records for part in (_head(record), record)]
        if self._spoilt:
            self.seal()
        try:
            _write_all(self._file, parts)
            os.fdatasync(self._file)
        except OSError:
            # Whatever reached the disk must not be followed by what counts: it is cut off, or else the segment ends.
            self._spoilt = True
            os.ftruncate(self._file, self._bytes)
            self._spoilt = False
            raise
        self._bytes += sum(len(part) for part in parts)

    def seal(self) -> Path | None:
        """Close the open segment and begin another; the closed one, or None where it held nothing."""
        if not self._bytes and not self._spoilt:
            return None
        following = self._begin(self._number + 1)
        os.close(self._file)
        sealed = self.open
        self._number, self._file, self._bytes, self._spoilt = self._number + 1, following, 0, False
        return sealed

    def close(self) -> None:
        """Close the log; what it still holds is for whoever adopts its folder."""
        os.close(self._file)
        # Beside others it stays though it is empty: the last of a folder is the one that was open.
        if not self._bytes and list(self.folder.glob("*.log")) == [self.open]:
            self.open.unlink()
            (self.folder / _LOCK).unlink()
            self.folder.rmdir()
        os.close(self._lock)

    def _begin(self, number: int) -> int:
        made = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        _sync_folder(self.folder)
        return made

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:010d}.log"


def records(segment: Path, *, sealed: bool = False) -> Iterator[bytes]:
    """The records of a segment, in order; of one that was not sealed up to what a crash left half-written.

    Raises
    ------
    Damaged
        After the last good record, where what follows was acknowledged and is not what was written.
    """
    with segment.open("rb") as file:
        while head := file.read(_HEAD.size):
            length, checksum, of_head = _HEAD.unpack(head.ljust(_HEAD.size, b"\0"))
            if zlib.crc32(head[: _HEAD.size - 4]) == of_head:
                record = file.read(length)
                if len(record) == length and zlib.crc32(record) == checksum:
                    yield record
                    continue
                torn = len(record) < length
            else:
                # A file may have grown on the disk before what belongs there was written.
                torn = len(head) < _HEAD.size or not any(head + file.read())
            if sealed or not torn:
                raise Damaged(f"{segment} is damaged after {file.tell():,} of {segment.stat().st_size:,} bytes.")
            return


@contextlib.contextmanager
def adopted(root: Path) -> Iterator[list[Path]]:
    """The segments of processes that are gone, oldest first, locked meanwhile so that nobody else adopts them.

    Folders that are empty at the end are removed.
    """
    held: list[tuple[Path, int]] = []
    try:
        for folder in sorted(root.glob("[!.]*/")):
            with contextlib.suppress(BlockingIOError, FileNotFoundError):
                held.append((folder, _locked(folder)))
        found = [segment for folder, _ in held for segment in sorted(folder.glob("*.log"))]
        yield sorted(found, key=lambda segment: segment.stat().st_mtime_ns)
    finally:
        for folder, lock in held:
            if not list(folder.glob("*.log")):
                with contextlib.suppress(OSError):
                    (folder / _LOCK).unlink(missing_ok=True)
                    folder.rmdir()
            os.close(lock)


def _head(record: bytes) -> bytes:
    length, checksum = len(record), zlib.crc32(record)
    return _HEAD.pack(length, checksum, zlib.crc32(_HEAD.pack(length, checksum, 0)[:-4]))


def _locked(folder: Path) -> int:
    """A lock on a folder that its process holds for life; raises `BlockingIOError` where another one holds it."""
    opened = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        raise
    return opened


def _write_all(file: int, parts: Sequence[bytes]) -> None:
    joined = b"".join(parts)
    view = memoryview(joined)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
