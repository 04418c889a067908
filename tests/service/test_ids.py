"""Every id of a table once: digests, claims, and what was claimed before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from shelflife.observe import ids
from shelflife.system import System

NAME, KIND = "parcel-delay", "predictions"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=20))
def test_few_ids_and_many_have_the_same_digests(some: list[str]) -> None:
    many = pa.chunked_array([pa.array(some, pa.string()), pa.array([str(n) for n in range(6_000)])])
    found = ids.digests(many)
    assert found[: len(some)].tolist() == ids.digests(some).tolist()
    assert len(set(found.tolist())) == len({*some, *(str(n) for n in range(6_000))})
    assert found.dtype == ids.DIGEST


@pytest.mark.parametrize("seed", range(5))
def test_an_id_belongs_to_the_batch_that_claimed_it_first(system: System, seed: int) -> None:
    rng = np.random.default_rng(seed)
    owner: dict[int, int] = {}
    for batch in range(1, 6):
        numbers = rng.integers(0, 60, rng.integers(0, 40))
        digests = ids.digests([str(n) for n in numbers])
        with system.database.writing() as connection:
            before = ids.known(connection, NAME, KIND, digests)
            mine = ids.claim(connection, NAME, KIND, batch, digests, numbers)
            again = ids.claim(connection, NAME, KIND, batch, digests, numbers)
        assert before == set(ids.digests([str(n) for n in numbers if n in owner]).tolist())
        expected = [place for place, n in enumerate(numbers) if n not in owner and n not in numbers[:place].tolist()]
        assert mine.tolist() == expected
        assert again.tolist() == expected
        owner.update((int(numbers[place]), batch) for place in expected)
    with system.database.reading() as connection:
        asked = ids.digests([str(n) for n in range(60)])
        assert ids.times(connection, NAME, KIND, asked) == [n if n in owner else None for n in range(60)]
        assert ids.known(connection, NAME, "outcomes", asked) == set()


def test_what_is_forgotten_can_come_again_and_what_is_erased_cannot(system: System) -> None:
    digests = ids.digests(["old", "new", "erased"])
    with system.database.writing() as connection:
        ids.claim(connection, NAME, KIND, 1, digests, np.array([10, 20, 20]))
        ids.erase(connection, NAME, "erased")
        ids.forget(connection, NAME, before=20)
    with system.database.writing() as connection:
        assert ids.claim(connection, NAME, KIND, 2, digests, np.array([10, 20, 20])).tolist() == [0]
        assert ids.times(connection, NAME, KIND, digests) == [10, 20, None]


def test_no_question_goes_through_all_that_was_observed(system: System) -> None:
    """Each id is looked up; on SQLite the plan of every question says so."""
    if not system.database.is_sqlite:
        pytest.skip("PostgreSQL plans by how many rows there are")
    asked: list[tuple[str, Any]] = []

    def note(*given_: Any) -> None:
        asked.append((given_[2], given_[3]))

    digests = ids.digests([str(n) for n in range(50)])
    event.listen(system.database.engine, "before_cursor_execute", note)
    with system.database.writing() as connection:
        for batch in (1, 2):
            ids.claim(connection, NAME, KIND, batch, digests, np.arange(50))
        ids.known(connection, NAME, KIND, digests)
        ids.times(connection, NAME, KIND, digests)
        ids.taken_back(connection, NAME, KIND, 1, digests)
        ids.any_of(connection, NAME, KIND, digests, [1])
    event.remove(system.database.engine, "before_cursor_execute", note)
    questions = [(said, given_) for said, given_ in asked if "observed" in said]
    assert len(questions) == 7
    with system.database.reading() as connection:
        for said, given_ in questions:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", given_).all()
            looked = [row[-1] for row in plan if " observed" in row[-1]]
            assert all("id=?" in one for one in looked), plan
