"""Where a workspace keeps its things: a folder with a SQLite database and tables in it, by default."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things are kept; each can be set in the environment with ``SHELFLIFE_`` before its name."""

    model_config = SettingsConfigDict(env_prefix="SHELFLIFE_", extra="ignore")

    home: Path = Field(default=Path(".shelflife"), description="The folder of the workspace: database, tables, log.")
    database: str | None = Field(default=None, description="An SQLAlchemy URL; by default SQLite in the workspace.")
    tables: str | None = Field(default=None, description="A folder or s3://bucket/prefix; by default in the workspace.")
    table_options: dict[str, str] = Field(default={}, description="Options of the object store, as JSON.")

    @property
    def database_url(self) -> str:
        """The URL of the database."""
        return self.database or f"sqlite:///{(self.home / 'shelflife.db').absolute()}"

    @property
    def tables_root(self) -> str:
        """Where the tables lie."""
        return self.tables or str((self.home / "tables").absolute())

    @property
    def log_folder(self) -> Path:
        """The folder of all logs."""
        return self.home / "log"

    @property
    def served_folder(self) -> Path:
        """The folder of the logs of all gateways."""
        return self.home / "served"

    @property
    def artifacts_folder(self) -> Path:
        """The folder of artifacts that were fetched from elsewhere."""
        return self.home / "artifacts"
