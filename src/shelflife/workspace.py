"""Where a workspace keeps its things: a folder with a SQLite database and tables in it, by default."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shelflife.errors import BadInput

_STORES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl", "file")
_DATABASE = "shelflife.db"
_MARK = ".gitignore"  # written last of all that makes a workspace: where it stands one was made whole
_MARKED = "*\n"


class Settings(BaseSettings):
    """Where things are kept; each can be set in the environment with ``SHELFLIFE_`` before its name."""

    model_config = SettingsConfigDict(env_prefix="SHELFLIFE_", extra="ignore")

    home: Path = Field(default=Path(".shelflife"), description="The folder of the workspace: database, tables, log.")
    database: str | None = Field(default=None, description="An SQLAlchemy URL; by default SQLite in the workspace.")
    tables: str | None = Field(default=None, description="A folder or s3://bucket/prefix; by default in the workspace.")
    table_options: dict[str, str] = Field(default={}, description="Options of the object store, as JSON.")

    @field_validator("tables")
    @classmethod
    def _reachable(cls, value: str | None) -> str | None:
        scheme, there, _ = (value or "").partition("://")
        if there and scheme not in _STORES:
            raise ValueError(f"a folder, or an address that begins with {'://, '.join(_STORES[:-1])}://; found {value}")
        return value

    @property
    def database_url(self) -> str | Path:
        """The URL of the database, or the file that it is."""
        return self.database or (self.home / _DATABASE).absolute()

    @property
    def tables_root(self) -> str:
        """Where the tables lie."""
        return self.tables or str((self.home / "tables").absolute())

    @property
    def log_folder(self) -> Path:
        """The folder of all logs."""
        return self.home / "log"

    @property
    def is_there(self) -> bool:
        """Whether the folder is that of a workspace, be it one that is just being made."""
        return self._is_marked or (self.home / _DATABASE).is_file()

    @property
    def was_made(self) -> bool:
        """Whether a workspace was made here and used, whatever is left of it."""
        return self._is_marked or (self.is_there and any((self.home / name).exists() for name in ("tables", "log")))

    @property
    def is_read_only(self) -> bool:
        """Whether the workspace can be read and not written to."""
        found = [path for path in (self.home, self.home / _DATABASE) if path.exists()]
        return self.database is None and not all(os.access(path, os.W_OK) for path in found)

    def prepare(self, *, make: bool) -> None:
        """Make the folder where it is not there yet; raises `BadInput` where that was not asked for or cannot be."""
        home = self.home
        if self.is_there:
            return
        if not make:
            raise BadInput(f"There is no workspace {str(home)!r}. `shelflife plan apply` makes one.")
        try:
            home.mkdir(parents=True, exist_ok=True)
            if any(home.iterdir()) and not self.is_there:
                raise BadInput(
                    f"The folder {str(home)!r} holds other things and no workspace. Name one that is empty or not there"
                    f" yet, as {str(home / '.shelflife')!r}."
                )
            if os.name == "posix":
                home.chmod(0o700)  # what customers wrote is nobody else's
        except OSError as error:
            raise BadInput(f"Cannot make the workspace {str(home)!r}: {error.strerror}.") from error

    def mark(self) -> None:
        """Say that all of the workspace was made, and that Git is to leave it out."""
        if not (self.home / _MARK).exists():
            with contextlib.suppress(OSError):  # of one that was made elsewhere and can only be read here
                (self.home / _MARK).write_text(_MARKED, encoding="utf-8")

    @property
    def _is_marked(self) -> bool:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (self.home / _MARK).read_text(encoding="utf-8") == _MARKED
        return False

    @property
    def served_folder(self) -> Path:
        """The folder of the logs of all gateways."""
        return self.home / "served"

    @property
    def artifacts_folder(self) -> Path:
        """The folder of artifacts: of each system its own, and ``fetched`` from elsewhere."""
        return self.home.absolute() / "artifacts"
