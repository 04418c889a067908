"""Where rows are fetched from: one file a kind of source, and those that other packages bring.

A package brings one by an entry point of the group ``shelflife.connectors``: a callable that takes the plan's
``options`` and answers a `Connector`. `shelflife.testing.connectors.check_connector` tries whether it keeps its word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

import pyarrow as pa

from shelflife.errors import BadInput, nearest
from shelflife.plan.spec import Pull

GROUP = "shelflife.connectors"
_NAMED = re.compile(r"\$\{(\w+)\}")
_SECRET = 4  # characters; what is shorter says nothing, and stands in many a word
ROWS = 100_000  # in one table, where a connector can choose


class Connector(Protocol):
    """A source of rows of which one column, the mark, only grows."""

    def read(self, mark: str, since: Any | None) -> Iterator[pa.Table]:
        """All rows whose mark is at least `since` (None: all that have one), in the order of the mark.

        In tables of any size; each is kept by itself, so that few large ones cost less than many small. A row at
        `since` itself is handed out again: others may have come at the same mark.
        """
        ...


def connector(pull: Pull) -> Connector:
    """The connector that a plan names.

    Raises
    ------
    BadInput
        Where the environment lacks what its address names, or no package brings such a connector.
    """
    if pull.sql is not None:
        from shelflife.observe.connectors.sql import Sql

        assert pull.query is not None
        return Sql(_filled(pull.sql), pull.query)
    if pull.table is not None:
        from shelflife.observe.connectors.table import Table

        return Table(_filled(pull.table))
    found = {point.name: point for point in entry_points(group=GROUP)}
    if pull.connector not in found:
        known = nearest(str(pull.connector), sorted(found)) if found else "No installed package brings any."
        raise BadInput(f"There is no connector {pull.connector!r}. {known}")
    made: Connector = found[pull.connector].load()({name: _filled(value) for name, value in pull.options.items()})
    return made


def hidden(pull: Pull, said: str) -> str:
    """A text with ``${NAME}`` again for what the environment says there."""
    texts = " ".join(filter(None, (pull.sql, pull.table, *pull.options.values())))
    values = {value: name for name in _NAMED.findall(texts) if len(value := os.environ.get(name, "")) >= _SECRET}
    for value, name in sorted(values.items(), key=lambda one: -len(one[0])):
        for form in (value, quote(value, safe=""), quote_plus(value)):
            said = said.replace(form, f"${{{name}}}")
    return said


def _filled(value: str) -> str:
    """A text with what it names of the environment; secrets have no place in a plan."""

    def of(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise BadInput(f"The plan asks for ${{{match[1]}}} from the environment, where it is not set.")
        return os.environ[match[1]]

    return _NAMED.sub(of, value)
