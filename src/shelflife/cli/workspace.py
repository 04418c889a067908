"""What commands on a workspace have in common: where it is, and who asks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from shelflife.cli.frame import panel
from shelflife.errors import BadInput

if TYPE_CHECKING:
    from shelflife.system import System
    from shelflife.workspace import Settings

workspace = panel("Workspace")

Home = Annotated[
    Path | None, workspace("The workspace's folder; $SHELFLIFE_HOME, else .shelflife here.", "--workspace")
]
By = Annotated[str | None, workspace("Who does it, for the ledger; your login by default.")]


@contextlib.contextmanager
def opened(home: Path | None, *, make: bool = False) -> Iterator[System]:
    """The workspace, opened; made where it is not there yet and that was asked for."""
    try:
        from shelflife.system import System
    except ImportError as error:
        raise BadInput(f"A workspace needs {error.name}: pip install 'shelflife[server]'.") from error
    settings = settings_of(home)
    system = System(settings, make=make or settings.database is not None)
    try:
        yield system
    finally:
        system.close()


def is_there(home: Path | None) -> bool:
    """Whether there is a workspace to open."""
    try:
        settings = settings_of(home)
    except ImportError:
        return False
    return settings.is_there or settings.database is not None


def settings_of(home: Path | None) -> Settings:
    """Where the workspace keeps its things, which needs nothing of it."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from shelflife.workspace import Settings

    try:
        return Settings() if home is None else Settings(home=home)
    except ValidationError as error:
        first = error.errors()[0]
        name = f"SHELFLIFE_{'_'.join(str(part) for part in first['loc']).upper()}"
        asked = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"The setting {name} cannot be used; asked for is {asked}.") from error
    except SettingsError as error:
        # Of all settings only this one is read as JSON; what it says may be a secret.
        raise BadInput(
            'The setting SHELFLIFE_TABLE_OPTIONS asks for JSON, as {"aws_region": "eu-west-1"}; what it says is none.'
        ) from error


def somebody(by: str | None) -> str:
    """Who does it: as said, else the login."""
    import getpass

    if by:
        return by
    with contextlib.suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return os.environ.get("USER", "somebody")


def moment(written: str | None, option: str) -> datetime | None:
    """A date or a moment as people write it, in UTC where no zone is said."""
    if written is None:
        return None
    wanted = f"{option} asks for a date or a moment, as 2026-05-01; found {written!r}."
    if written[10:11] in {"+", "-"}:  # a zone behind a date would be read as a time
        raise BadInput(wanted)
    try:
        found = datetime.fromisoformat(written)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput(wanted) from error
