"""Many rows at once are read as they are one by one: the same columns and names, or left to those who know more."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelflife.errors import BadInput
from shelflife.gateway import app, asked, bulk

NAMES = st.sampled_from(
    ["a", "b 1", "class", "é", "inputs", "id", "self", "input0", "0", "", "rows", 'a"b', "a\\b", "a\nb"]
)
GOOD = {
    "numeric": st.one_of(st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
    "boolean": st.one_of(st.none(), st.booleans()),
    "vector": st.one_of(st.none(), st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=3)),
    "text": st.one_of(st.none(), st.text(max_size=5)),
    "category": st.one_of(st.none(), st.text(max_size=5)),
    "time": st.one_of(st.none(), st.just("2026-05-01T13:00:00Z")),
}
BAD = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.text(max_size=4), st.lists(st.integers(), max_size=2),
    st.just("2026-05-01"), st.just(10**400), st.just({}),
)  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> tuple[dict[str, str], bytes]:
    """Kinds of inputs, and a body that mostly fits them."""
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(sorted(GOOD)), min_size=1, max_size=4))
    if draw(st.booleans()):
        kinds = dict.fromkeys(kinds, "numeric")
    rows: list[Any] = draw(
        st.lists(st.fixed_dictionaries({name: GOOD[kind] for name, kind in kinds.items()}), max_size=4)
    )
    said: dict[str, Any] = {"rows": rows}
    for name in draw(st.sets(st.sampled_from(asked.OURS))):
        said[name] = draw(st.one_of(st.none(), st.text(max_size=3), st.lists(st.text(max_size=2), max_size=3)))
    match draw(st.integers(0, 8)):
        case 0 if rows:
            rows[-1][draw(NAMES)] = draw(BAD)
        case 1 if rows:
            del rows[0][next(iter(rows[0]))]
        case 2:
            said[draw(NAMES)] = draw(BAD)
        case 3:
            rows.append(draw(BAD))
        case 4 if rows:
            rows[0] = dict(reversed(rows[0].items()))
    return kinds, json.dumps(said).encode()


def one_by_one(body: bytes, kinds: dict[str, str]) -> Any:
    try:
        rows, names, single = app._named(app._object(body), kinds)
        return "no rows" if single or not rows else (asked.of_rows(rows, kinds), names)
    except BadInput as error:
        return str(error)


@given(bodies())
def test_what_is_read_at_once_is_what_is_read_row_by_row(made: tuple[dict[str, str], bytes]) -> None:
    kinds, body = made
    expected = one_by_one(body, kinds)
    if isinstance(expected, str):
        with contextlib.suppress(BadInput):
            assert bulk.read(body, kinds) is None
        return
    at_once = bulk.read(body, kinds)
    if at_once is None:
        return
    columns, names = at_once
    expected, expected_names = expected
    assert names == expected_names
    assert list(columns) == list(expected) == list(kinds)
    for name, values in columns.items():
        assert type(values) is type(expected[name])
        if isinstance(values, list):
            assert values == expected[name]
        else:
            np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("kind", sorted(GOOD))
@pytest.mark.parametrize("known", [True, False])
def test_what_fits_is_read_at_once(kind: str, known: bool) -> None:
    value: Any = {"numeric": 1, "boolean": True, "vector": [1, 2.5], "time": "2026-05-01T13:00:00Z"}.get(kind, "x")
    kinds = {"a": kind, "b": "numeric"}
    body = json.dumps({"rows": [{"b": 2.5, "a": value if known else None}] * 3, "key": "k"}).encode()
    found = bulk.read(body, kinds)
    assert found is not None
    assert found[1] == {"key": "k"}
    np.testing.assert_array_equal(found[0]["a"], asked.column([value if known else None] * 3, kind, "a"))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"rows": []}', b'{"rows": 3}', b'{"rows": [{"a": 1}], "more": 1}',
     b'{"rows": [{"a": "\xff"}]}', b'{"rows": [{"a": 1, "b": 2}]}', b'{"rows": [{"a": true}]}', b'{"a": 1}',
     b"[" * 100_000, b'{"id": ' + b"[" * 100_000],
)  # fmt: skip
def test_what_does_not_fit_is_left(body: bytes) -> None:
    assert bulk.read(body, {"a": "numeric"}) is None
