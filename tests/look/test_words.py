"""Words hold for numbers that nobody planned for; the examples stand in the module."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelflife.look import words

NUMBERS = [words.number, words.signed, words.share, words.points, words.days]


@pytest.mark.parametrize("say", NUMBERS)
@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_what_is_missing_is_unknown(say, missing):
    assert say(missing) == "unknown"


@given(st.floats(min_value=-1e12, max_value=1e12))
def test_a_number_can_be_read_back(value):
    read = float(words.number(value).replace(",", "").replace("−", "-"))
    assert read == pytest.approx(value, rel=0.006, abs=1e-11)


@given(st.floats(min_value=1 / 1440, max_value=20_000))
def test_a_duration_is_near_the_truth(value):
    size, unit = words.days(value).replace(",", "").split()
    days = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7, "year": 365.25}[unit.rstrip("s")]
    assert float(size) * days == pytest.approx(value, rel=0.2)


@pytest.mark.parametrize(
    ("every", "age", "said"),
    [(7, 0, "0 weeks"), (14, 28, "4 weeks"), (1, 1, "1 day"), (1 / 24, 1 / 24, "1 hour"), (1 / 96, 0.5, "720 minutes")],
)
def test_ages_keep_the_unit_of_their_slices(every, age, said):
    assert words.age(age, every) == said


def test_moments_keep_their_clock():
    assert words.moment(datetime(2027, 3, 12, 9, 30, tzinfo=UTC), 0.5, short=True) == "12 Mar 2027, 09:30"
    assert words.exact(datetime(2027, 3, 12, 9, 30, tzinfo=UTC)) == "2027-03-12T09:30:00+00:00"
    assert (words.date(None), words.exact(None)) == ("unknown", "")


def test_open_intervals():
    assert words.between(None, 14) == "at most 2 weeks"
    assert words.between(None, None) == "unknown"


def test_no_negative_nought():
    assert words.number(-0.0) == "0"
    assert words.signed(-1e-30) != "−0"
