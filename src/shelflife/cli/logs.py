"""What a service says while it runs: lines for people, or JSON objects for programs, on standard error."""

from __future__ import annotations

import logging

FORMS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
# What every record has; the rest is what a message is about.
_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"}


class _Text(logging.Formatter):
    """A line for people: when, how bad, what, and what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        about = " ".join(f"{name}={value!r}" for name, value in vars(record).items() if name not in _OWN)
        said = super().format(record)
        first, *rest = said.split("\n")
        return "\n".join([f"{first}  {about}".rstrip(), *rest])


def configure(form: str, level: str) -> None:
    """Write what is logged to standard error."""
    handler = logging.StreamHandler()
    if form == "json":
        from pythonjsonlogger.json import JsonFormatter

        names = {"levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter("%(levelname)s %(name)s %(message)s", rename_fields=names, timestamp="time"))
    else:
        handler.setFormatter(_Text("%(asctime)s %(levelname)-7s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("shelflife").setLevel(level.upper())
