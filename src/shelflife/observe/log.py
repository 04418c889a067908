"""An append-only log in segments: what was appended is on the disk before `append` returns, or it was not appended.

A segment is a file of records, each a length, a checksum and that many bytes. A group of records is written by one
call and one fsync, so that many writers share its cost. What a crash leaves half-written was never acknowledged: it
stands at the end of a segment, its checksum does not fit, and reading stops there.
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

_HEAD = struct.Struct("<II")
_LOCK = "lock"


class Log:
    """The log of one process: a folder of its own, locked while the process lives.

    Parameters
    ----------
    root
        The folder of all logs.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / uuid.uuid4().hex
        self.folder.mkdir(parents=True)
        self._lock = _locked(self.folder)
        _sync_folder(root)
        self._number = 0
        self._bytes = 0
        self._file = self._begin()

    @property
    def size(self) -> int:
        """How many bytes the open segment holds."""
        return self._bytes

    def append(self, records: Sequence[bytes]) -> None:
        """Write records and wait until the disk has them.

        Raises
        ------
        OSError
            Where the disk is full or broken; nothing of the group counts then.
        """
        parts = []
        for record in records:
            parts += [_HEAD.pack(len(record), zlib.crc32(record)), record]
        try:
            _write_all(self._file, parts)
            os.fdatasync(self._file)
        except OSError:
            # Whatever reached the disk must not be followed by what counts.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._bytes)
                os.lseek(self._file, self._bytes, os.SEEK_SET)
            raise
        self._bytes += sum(len(part) for part in parts)

    def seal(self) -> Path | None:
        """Close the open segment and begin another; the closed one, or None where it held nothing."""
        if not self._bytes:
            return None
        os.close(self._file)
        sealed = self._path(self._number)
        self._number += 1
        self._bytes = 0
        self._file = self._begin()
        return sealed

    def close(self) -> None:
        """Close the log; what it still holds is for whoever adopts its folder."""
        os.close(self._file)
        empty = not self._bytes
        if empty:
            self._path(self._number).unlink()
        if empty and not list(self.folder.glob("*.log")):
            (self.folder / _LOCK).unlink()
            self.folder.rmdir()
        os.close(self._lock)

    def _begin(self) -> int:
        made = os.open(self._path(self._number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        _sync_folder(self.folder)
        return made

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:010d}.log"


def records(segment: Path) -> Iterator[bytes]:
    """The records of a segment, in order, up to what a crash left half-written."""
    with segment.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            record = file.read(length)
            if len(record) < length or zlib.crc32(record) != checksum:
                return
            yield record


@contextlib.contextmanager
def adopted(root: Path) -> Iterator[list[Path]]:
    """The segments of processes that are gone, oldest first, locked meanwhile so that nobody else adopts them.

    Folders that are empty at the end are removed.
    """
    held: list[tuple[Path, int]] = []
    try:
        for folder in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []:
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
