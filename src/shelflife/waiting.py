"""Where a client's batches wait while the service is away: a folder of one user, with a file for each batch.

What lies there is sent with this user's token. So only what this user wrote counts, and only if it goes where rows go.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_WAY = re.compile(r"/api/v1/systems/[^/?#\s]+/(predictions|outcomes|feedback|kpis)")
_BLOCK = 4096  # bytes of the disk that the smallest file takes


@dataclass(frozen=True)
class Batch:
    """A batch that waits: in which file, where it goes, and how many rows it has."""

    file: Path
    path: str
    rows: int

    def body(self) -> bytes:
        """The rows, as they are sent."""
        return self.file.read_bytes().split(b"\n", 2)[2]

    def done(self) -> None:
        """Take it out of the folder."""
        with contextlib.suppress(OSError):  # another process of the same folder was faster
            self.file.unlink()


class Waiting:
    """The folder.

    Parameters
    ----------
    folder
        It is made where it is not there, and is for this user alone from then on.
    most_bytes
        How much may wait in it.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self._most_bytes = folder, most_bytes
        self._held = 0  # bytes, as of the last look, and what was put since

    def put(self, path: str, rows: int, body: bytes) -> Path:
        """Keep a batch, and in which file; raises `OSError` where it cannot be kept."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_own(self.folder)
        size = max(_BLOCK, len(body))
        if self._held + size > self._most_bytes:
            self._look()
        if self._held + size > self._most_bytes:
            raise OSError(f"{self.folder} is full: {self._most_bytes:,} bytes may wait there")
        # No two batches have one name, whichever process of whichever machine they are of.
        written = self.folder / f"{uuid.uuid4().hex}.part"
        try:
            with written.open("xb") as file:
                file.write(f"{path}\n{rows}\n".encode() + body)
            kept = written.replace(written.with_suffix(".json"))
        except OSError:
            with contextlib.suppress(OSError):
                written.unlink()
            raise
        self._held += size
        return kept

    def batches(self) -> Iterator[Batch]:
        """What waits, the oldest first; nothing where the folder is not this user's."""
        for file in self._look():
            try:
                with file.open("rb") as opened:
                    path, rows = opened.readline()[:-1].decode(), int(opened.readline())
            except (OSError, ValueError):
                continue  # another process was faster, or it is no batch
            if _WAY.fullmatch(path):
                yield Batch(file, path, rows)

    def _look(self) -> list[Path]:
        """The files of this user, the oldest first."""
        found = []
        with contextlib.suppress(OSError):  # there is no folder as long as nothing had to wait
            _make_own(self.folder)
            for file in self.folder.glob("*.json"):
                with contextlib.suppress(OSError):
                    told = file.lstat()
                    if stat.S_ISREG(told.st_mode) and _is_own(told):
                        found.append((told.st_mtime_ns, file, max(_BLOCK, told.st_size)))
        self._held = sum(size for _, _, size in found)
        return [file for _, file, _ in sorted(found)]


def own_folder(url: str) -> Path:
    """The folder of this user for a service, which the next process finds again, however it spells the URL."""
    at = urlsplit(url)
    port = at.port or {"http": 80, "https": 443}.get(at.scheme)
    name = re.sub(r"[^0-9A-Za-z]", "-", f"{at.scheme}://{at.hostname}:{port}{at.path.rstrip('/')}")
    # The XDG base directories say where state is kept, and that a relative one does not count.
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    try:
        state = given if given.is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError:  # a user without a home; the next process finds nothing
        state = Path(tempfile.mkdtemp(prefix="shelflife-"))
    return state / "shelflife" / f"client-{name}"


def _make_own(folder: Path) -> None:
    """Close a folder to others; raises `OSError` where it is not this user's."""
    told = folder.lstat()
    if not stat.S_ISDIR(told.st_mode) or not _is_own(told):
        raise OSError(f"{folder} is no folder of this user's; name another one by `folder=`")
    if os.name == "posix" and stat.S_IMODE(told.st_mode) & 0o077:
        folder.chmod(0o700)


def _is_own(told: os.stat_result) -> bool:
    return os.name != "posix" or told.st_uid == os.geteuid()
