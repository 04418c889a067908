from __future__ import annotations

from datetime import timedelta

import pytest

from shelflife import durations
from shelflife.errors import BadInput


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("90m", 90 * durations.MINUTE),
        ("2h", 2 * durations.HOUR),
        ("1d", durations.DAY),
        (" 4 W ", 4 * durations.WEEK),
        ("0d", 0),
        ("1.5h", 90 * durations.MINUTE),
        ("2y", 730 * durations.DAY),
        (timedelta(hours=3), 3 * durations.HOUR),
    ],
)
def test_durations_read_as_people_write_them(written: str | timedelta, expected: int) -> None:
    assert durations.parse(written, option="--every") == expected


@pytest.mark.parametrize("written", ["", "7", "d", "7x", "seven days", "-1d", "1e9d", "9999999d", "nan"])
def test_what_is_not_a_duration_names_the_option_and_the_units(written: str) -> None:
    with pytest.raises(BadInput, match=r"--every asks for a duration"):
        durations.parse(written, option="--every")
