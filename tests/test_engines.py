"""Work on processes goes on, whatever becomes of one of them."""

from __future__ import annotations

import pytest

from shelflife.engines import parse
from shelflife.errors import ShelflifeError


def _grows(number: int) -> int:
    """Work after which its process is taken to hold too much memory, and makes room for a fresh one."""
    from joblib.externals.loky import process_executor

    process_executor._MEMORY_LEAK_CHECK_DELAY = process_executor._MAX_MEMORY_LEAK_SIZE = -1
    return number


@pytest.mark.timeout(120)
def test_work_goes_on_where_processes_make_room_for_fresh_ones_and_warnings_are_errors() -> None:
    engine = parse("processes", jobs=2)
    assert sorted(engine.run(_grows, range(20), died=ShelflifeError())) == list(range(20))
