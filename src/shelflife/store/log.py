"""An append-only log in segments: what was appended is on the disk before `append` returns, or it was not appended.

A segment is a file of records, each a length, a checksum and that many bytes. A group of records is written by one
call and one fsync, so that many writers share its cost. What a crash leaves half-written was never acknowledged: it
stands at the end of the segment that was written last, and reading stops there. Anything else that does not fit was
acknowledged and is damaged, which is told.

Whoever cannot wait for the disk writes first and syncs soon after: what was written outlives its process, and what was
synced the machine. Segments that are handed over are there for another process to take while the writer lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_HEAD = struct.Struct("<III")  # length, checksum of the record, checksum of these two
_LOCK = "lock"
OVER = ".over"  # ends the name of a segment that was handed over


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
        self.write(records, sync=True)

    def write(self, records: Sequence[bytes], *, sync: bool = False) -> None:
        """Hand records to the machine: the death of this process loses none of them; a power cut may, until `sync`.

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
            if sync:
                os.fdatasync(self._file)
        except OSError:
            # Whatever reached the disk must not be followed by what counts: it is cut off, or else the segment ends.
            self._spoilt = True
            os.ftruncate(self._file, self._bytes)
            self._spoilt = False
            raise
        self._bytes += sum(len(part) for part in parts)

    def sync(self) -> None:
        """Wait until the disk has all that was written."""
        os.fdatasync(self._file)

    def seal(self) -> Path | None:
        """Close the open segment and begin another; the closed one, or None where it held nothing."""
        if not self._bytes and not self._spoilt:
            return None
        following = self._begin(self._number + 1)
        os.close(self._file)
        sealed = self.open
        self._number, self._file, self._bytes, self._spoilt = self._number + 1, following, 0, False
        return sealed

    def turn(self) -> Callable[[], None] | None:
        """Begin another segment; what hands the one before it over, and may take its time. None where it held nothing.

        Nobody may write meanwhile, but may while it is handed over.
        """
        if not self._bytes and not self._spoilt:
            return None
        file, path = self._file, self.open
        begun = self._open(self._number + 1)
        self._number, self._file, self._bytes, self._spoilt = self._number + 1, begun, 0, False

        def hand_over() -> None:
            _sync_folder(self.folder)
            os.fdatasync(file)
            os.close(file)
            path.rename(path.with_suffix(OVER))

        return hand_over

    def handed_over(self) -> int:
        """How many bytes of segments that were handed over wait to be taken."""
        found = 0
        for path in self.folder.glob(f"*{OVER}"):
            with contextlib.suppress(FileNotFoundError):
                found += path.stat().st_size
        return found

    def close(self) -> None:
        """Close the log; what it still holds is for whoever adopts its folder."""
        os.close(self._file)
        # Beside others it stays though it is empty: the last of a folder is the one that was open.
        if not self._bytes and _segments(self.folder) == [self.open]:
            self.open.unlink()
            (self.folder / _LOCK).unlink()
            self.folder.rmdir()
        os.close(self._lock)

    def _begin(self, number: int) -> int:
        made = self._open(number)
        _sync_folder(self.folder)
        return made

    def _open(self, number: int) -> int:
        return os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

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
def adopted(root: Path, *, living: bool = False) -> Iterator[list[Path]]:
    """The segments of processes that are gone, oldest first, locked meanwhile so that nobody else adopts them.

    Folders that are empty at the end are removed.

    Parameters
    ----------
    living
        Whether also those that living processes have handed over; one process at a time then has any at all, and
        others none.
    """
    held: list[tuple[Path, int]] = []
    found: list[Path] = []
    with contextlib.ExitStack() as stack:
        if living and root.is_dir():
            try:
                stack.callback(os.close, _locked(root))
            except BlockingIOError:
                yield found
                return
        try:
            for folder in sorted(root.glob("[!.]*/")):
                try:
                    held.append((folder, _locked(folder)))
                except FileNotFoundError:
                    continue
                except BlockingIOError:
                    found += sorted(folder.glob(f"*{OVER}")) if living else []
            found += [segment for folder, _ in held for segment in _segments(folder)]
            yield sorted(found, key=lambda segment: segment.stat().st_mtime_ns)
        finally:
            for folder, lock in held:
                if not _segments(folder):
                    with contextlib.suppress(OSError):
                        (folder / _LOCK).unlink(missing_ok=True)
                        folder.rmdir()
                os.close(lock)


def _segments(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".log", OVER))


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
