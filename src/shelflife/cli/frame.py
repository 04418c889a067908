"""What every command does around its answer: options, files that can be written, errors, standard output for JSON."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from shelflife.errors import BadInput, ShelflifeError

if TYPE_CHECKING:
    from rich.console import Console

STOPPED = 130


def check_after(context: typer.Context, *given: Any) -> None:
    """Refuse options before the word of a group: they would be of the list that the group alone prints."""
    if any(one not in (None, False) for one in given):
        raise BadInput(f"Options come after the word: `{context.command_path} {context.invoked_subcommand} …`.")


def panel(name: str) -> Callable[..., Any]:
    """Options shown together in the help."""

    def option(text: str, *names: str, **more: Any) -> Any:
        return typer.Option(*names, help=text, rich_help_panel=name, **more)

    return option


def names(written: str | None) -> list[str] | None:
    """Names written with commas; None where nothing was."""
    return None if written is None else [name.strip() for name in written.split(",") if name.strip()]


def as_json(found: Any) -> str:
    """Dataclasses and lists of them as JSON, moments as the API writes them: ``2026-05-01T10:00:00Z``."""
    import dataclasses
    import json

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, datetime):
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return value.isoformat() if isinstance(value, date) else str(value)

    return json.dumps(found, indent=2, ensure_ascii=False, default=plain)


def answer(
    work: Callable[[], Any],
    show: Callable[[Console, Any, list[tuple[str, Path]]], None],
    *,
    files: Mapping[str, tuple[Path | None, Callable[[Any], str]]],
    json: str | None,
    status: Callable[[Any], int],
    inputs: Iterable[str] = (),
) -> int:
    """Do the work, write what was asked for and print the answer; the exit status.

    Parameters
    ----------
    work
        Makes the result, which has a ``to_json``.
    show
        Prints it, and the names of the files written.
    files
        What else is written, by what it is called: where (None: not asked for), and its text.
    json
        Where the JSON goes; ``-`` is standard output, and everything else then goes to standard error.
    status
        What the command ends with.
    inputs
        What is read, and so must not be written over.
    """
    if json not in (None, "-"):
        files = {**files, "JSON": (Path(str(json)), lambda result: str(result.to_json()))}
    outputs = [path for path, _ in files.values() if path is not None]
    for output_path in outputs:
        check_writable(output_path, inputs)
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise BadInput(f"Two results cannot be written to one file; found {', '.join(map(str, outputs))}.")
    from rich.console import Console

    # With the JSON on standard output everything else, workers' prints too, goes to standard error.
    with standard_output_aside(json == "-") as output:
        console = Console(stderr=json == "-", highlight=False, emoji=False)
        try:
            result = work()
        except ShelflifeError as error:
            complain(error)
            return error.exit_code
        except KeyboardInterrupt:
            Console(stderr=True).print("shelflife: stopped; nothing was written.")
            return STOPPED
        try:
            if json == "-":
                output.write(result.to_json())
                output.flush()
            written = []
            for kind, (path, text) in files.items():
                if path is not None:
                    path.write_text(text(result), encoding="utf-8")
                    written.append((kind, path))
        except OSError as error:
            raise BadInput(f"Cannot write {error.filename or 'the results'}: {error.strerror}.") from error
        show(console, result, written)
    return status(result)


def complain(error: ShelflifeError) -> None:
    """Print an error for the person who can do something about it."""
    from rich.console import Console

    Console(stderr=True, highlight=False, soft_wrap=True, emoji=False).print(f"shelflife: {error}", markup=False)


def complaining(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose errors are one clear sentence and a status."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except ShelflifeError as error:
            complain(error)
            raise typer.Exit(error.exit_code) from error

    return run


def check_writable(path: Path | None, inputs: Iterable[str] = ()) -> None:
    """Raise `BadInput` where a file cannot be, before the work is done."""
    if path is not None and path.exists() and any(Path(read).exists() and path.samefile(read) for read in inputs):
        raise BadInput(f"Cannot write {str(path)!r}: it is what is read. Name another file.")
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise BadInput(f"Cannot write {str(path)!r}: {'it is a folder' if path.is_dir() else 'its folder is missing'}.")


@contextlib.contextmanager
def standard_output_aside(aside: bool) -> Iterator[Any]:
    """Standard output for one purpose only: what anything else prints goes to standard error."""
    if not aside:
        yield sys.stdout
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(kept, "w", encoding="utf-8") as output:
            yield output
    finally:
        sys.stdout.flush()
        if not output.closed:
            output.close()
