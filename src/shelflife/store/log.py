"""An append-only log in segments: what was appended is on the disk before `append` returns, or it was not appended.

A segment is a file of records, each a length, a checksum and that many bytes. A group of records is written by one
call and one fsync, so that many writers share its cost. What a crash leaves half-written was never acknowledged: it
stands at the end of a segment, its checksum does not fit, and reading stops there.

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

_HEAD = struct.Struct("<II")
_LOCK = "lock"
_OVER = ".over"  # ends the name of a segment that was handed over


class Log:
    """The log of one process: a folder of its own, locked while the process lives.

    Parameters
    ----------
    root
        The folder of all logs.
    """

    def __init__(self, root: Path) -> None:
        while True:
            self.folder = root / uuid.uuid4().hex
            self.folder.mkdir(parents=True)
            try:
                self._lock = _locked(self.folder)
                break
            except (BlockingIOError, FileNotFoundError):
                continue  # somebody took it for one that is left, and removes it
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
        self.write(records, sync=True)

    def write(self, records: Sequence[bytes], *, sync: bool = False) -> None:
        """Hand records to the machine: the death of this process loses none of them; a power cut may, until `sync`.

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
            if sync:
                os.fdatasync(self._file)
        except OSError:
            # Whatever reached the disk must not be followed by what counts.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._bytes)
                os.lseek(self._file, self._bytes, os.SEEK_SET)
            raise
        self._bytes += sum(len(part) for part in parts)

    def sync(self) -> None:
        """Wait until the disk has all that was written."""
        os.fdatasync(self._file)

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

    def turn(self) -> Callable[[], None] | None:
        """Begin another segment; what hands the one before it over, and may take its time. None where it held nothing.

        Nobody may write meanwhile, but may while it is handed over.
        """
        if not self._bytes:
            return None
        file, path = self._file, self._path(self._number)
        begun = self._open(self._number + 1)
        self._file, self._number, self._bytes = begun, self._number + 1, 0

        def hand_over() -> None:
            _sync_folder(self.folder)
            os.fdatasync(file)
            os.close(file)
            path.rename(path.with_suffix(_OVER))

        return hand_over

    def handed_over(self) -> int:
        """How many bytes of segments that were handed over wait to be taken."""
        found = 0
        for path in self.folder.glob(f"*{_OVER}"):
            with contextlib.suppress(FileNotFoundError):
                found += path.stat().st_size
        return found

    def close(self) -> None:
        """Close the log; what it still holds is for whoever adopts its folder."""
        os.close(self._file)
        empty = not self._bytes
        if empty:
            self._path(self._number).unlink()
        if empty and not _segments(self.folder):
            (self.folder / _LOCK).unlink()
            self.folder.rmdir()
        os.close(self._lock)

    def _begin(self) -> int:
        made = self._open(self._number)
        _sync_folder(self.folder)
        return made

    def _open(self, number: int) -> int:
        return os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

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
            for folder in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []:
                try:
                    held.append((folder, _locked(folder)))
                except FileNotFoundError:
                    continue
                except BlockingIOError:
                    found += sorted(folder.glob(f"*{_OVER}")) if living else []
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
    return sorted(path for path in folder.iterdir() if path.suffix in (".log", _OVER))


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
