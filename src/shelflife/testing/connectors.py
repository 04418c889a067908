"""Whether a connector keeps its word; for those who write one."""

from __future__ import annotations

import itertools
from typing import Any

from shelflife.observe.connectors import Connector


def check_connector(connector: Connector, mark: str) -> None:
    """Read a source from its beginning and from each of some marks on, and compare.

    Parameters
    ----------
    connector
        Over a source with rows at two marks at least, which nobody writes to meanwhile.
    mark
        The column that grows.

    Raises
    ------
    AssertionError
        Where rows come out of order, without a mark, or where reading on from a mark leaves rows out or brings older.
    """
    marks = _marks(connector, mark, None)
    assert len(set(marks)) > 1, "The source needs rows at two marks at least."
    assert None not in marks, "A row without a mark was handed out."
    assert all(one <= two for one, two in itertools.pairwise(marks)), f"Rows are not in the order of {mark!r}."
    for since in {marks[0], marks[len(marks) // 2], marks[-1]}:
        expected = [one for one in marks if one >= since]
        found = _marks(connector, mark, since)
        assert found == expected, f"From {since!r} on {len(expected)} rows are there; {len(found)} were handed out."


def _marks(connector: Connector, mark: str, since: object) -> list[Any]:
    return [one for table in connector.read(mark, since) for one in table[mark].to_pylist()]
