from __future__ import annotations

import datetime as dt
import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shelflife.errors import BadInput
from shelflife.profile import Profile, Reference
from shelflife.profile import counts as counting
from shelflife.profile.layout import Layout

# Not shrunk: that takes minutes with tables, which are small to begin with.
quick = settings(
    max_examples=7,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

NASTY = [0.0, -0.0, 5e-324, -5e-324, 1e300, -1e300, 1.7976931348623157e308, -1.7976931348623157e308, 1 / 3]
MOMENTS = st.datetimes(dt.datetime(1969, 12, 25), dt.datetime(1970, 1, 9))


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, values, values, st.none())


FLOATS = st.one_of(st.sampled_from(NASTY), st.floats())
CHANCES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]))
COLUMNS: dict[str, tuple[st.SearchStrategy[Any], pa.DataType]] = {
    "float": (_maybe(FLOATS), pa.float64()),
    "single": (_maybe(st.floats(width=32)), pa.float32()),
    "whole": (_maybe(st.integers(-(2**63), 2**63 - 1)), pa.int64()),
    "byte": (st.integers(0, 255), pa.uint8()),
    "decimal": (_maybe(st.decimals(-(10**9), 10**9, places=4)), pa.decimal128(20, 4)),
    "plan": (_maybe(st.sampled_from(["pro", "free", "", "Ω"])), pa.string()),
    "coded": (_maybe(st.sampled_from(["a", "b", "c"])), pa.dictionary(pa.int8(), pa.string())),
    "name": (_maybe(st.text(max_size=3)), pa.large_string()),
    "flag": (_maybe(st.booleans()), pa.bool_()),
    "said": (_maybe(st.text(max_size=20)), pa.string()),
    "seen": (_maybe(MOMENTS), pa.timestamp("ms", "UTC")),
    "day": (_maybe(st.dates(dt.date(1960, 1, 1), dt.date(2026, 1, 1))), pa.date32()),
    "vector": (_maybe(st.lists(_maybe(FLOATS), min_size=2, max_size=3)), pa.list_(pa.float64())),
    "nothing": (st.none(), pa.null()),
    "class": (_maybe(st.sampled_from(["a", "b", "c"])), pa.string()),
    "truth": (_maybe(st.sampled_from(["a", "b", "c", "z"])), pa.string()),
    "yes": (_maybe(st.booleans()), pa.bool_()),
    "right": (_maybe(st.sampled_from([0.0, 1.0])), pa.float64()),
    "p_a": (_maybe(CHANCES), pa.float64()),
    "p_b": (_maybe(CHANCES), pa.float32()),
    "p_c": (_maybe(CHANCES.map(lambda p: round(p, 2))), pa.float64()),
    "high": (_maybe(st.floats(0.5, 1)), pa.float64()),
    "guess": (_maybe(FLOATS), pa.float64()),
    "price": (_maybe(FLOATS), pa.float64()),
}
ROLES: dict[str, dict[str, Any]] = {
    "no outcome": {},
    "positive": {"prediction": "yes", "score": "p_a", "outcome": "right"},
    "positive without prediction": {"score": "p_a", "outcome": "right"},
    "confidence": {"prediction": "class", "score": "high", "outcome": "truth"},
    "classes": {"prediction": "class", "score": ["p_a", "p_b", "p_c"], "outcome": "class_true"},
    "classes without prediction": {"score": ["p_a", "p_b", "p_c"], "outcome": "class_true"},
    "no score": {"prediction": "class", "outcome": "truth"},
    "no truth yet": {"prediction": "yes", "score": "p_a"},
    "regression": {"prediction": "guess", "outcome": "price", "task": "regression"},
}
KINDS = {"said": "text", "vector": "vector"}


@st.composite
def tables(draw: st.DrawFn, odd: bool = False) -> pa.Table:
    rows = draw(st.integers(1, 14))
    made = {"ts": pa.array(draw(st.lists(_maybe(MOMENTS), min_size=rows, max_size=rows)), pa.timestamp("us"))}
    for name, (values, kind) in COLUMNS.items():
        found = draw(st.lists(values, min_size=rows, max_size=rows))
        if odd and name.startswith("p_") and pa.types.is_float64(kind):
            found[0] = draw(FLOATS)  # a later score may be anything
        made[name] = pa.array(found, kind)
    made["class_true"] = made["class"].take(pa.array(draw(st.permutations(range(rows)))))
    return pa.table(made)


@functools.cache
def _base() -> pa.Table:
    random = np.random.default_rng(0)
    made: dict[str, Any] = {"ts": [dt.datetime(1970, 1, 1) + dt.timedelta(hours=h) for h in range(120)]}
    for name, (_, kind) in COLUMNS.items():
        if pa.types.is_floating(kind):
            values: Any = random.random(120) if name != "right" else random.integers(2, size=120).astype(float)
            values = values if name != "high" else 0.5 + values / 2
        elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
            values = random.integers(2, size=120).astype(bool if pa.types.is_boolean(kind) else int)
        elif name in {"class", "truth", "coded", "plan", "name"}:
            values = random.choice(["a", "b", "c"] if name != "plan" else ["pro", "free"], size=120)
        elif name == "said":
            values = [" ".join(random.choice(["my", "card", "is", "lost", "Straße"], 5)) for _ in range(120)]
        elif name == "vector":
            values = random.normal(size=(120, 3)).tolist()
        else:
            values = [None] * 120
        made[name] = pa.array(values).cast(kind) if name != "coded" else pa.array(values).dictionary_encode().cast(kind)
    made["class_true"] = made["class"]
    return pa.table(made)


def _learnt(extra: pa.Table, form: str, timed: bool) -> Reference:
    data = pa.concat_tables([_base(), extra]).unify_dictionaries()
    time = {"time": "ts", "bucket": "1d"} if timed else {}
    return Reference.learn(data, segments=["plan", "coded"], kinds=KINDS, **ROLES[form], **time)


def _pieces(table: pa.Table, data: st.DataObject) -> list[pa.Table]:
    """The rows in another order, cut anywhere."""
    order = data.draw(st.permutations(range(table.num_rows)), label="order")
    cuts = data.draw(st.lists(st.integers(0, table.num_rows), max_size=4), label="cuts")
    shuffled = table.take(pa.array(order, pa.int64()))
    ends = [0, *sorted(cuts), table.num_rows]
    return [shuffled.slice(start, end - start) for start, end in itertools.pairwise(ends)]


@pytest.mark.parametrize("form", ROLES)
@quick
@given(extra=tables(), table=tables(odd=True), timed=st.booleans(), data=st.data())
def test_any_partition_and_order_of_the_rows_gives_the_same_profile(
    form: str, extra: pa.Table, table: pa.Table, timed: bool, data: st.DataObject
) -> None:
    reference = _learnt(extra, form, timed)
    whole = reference.count(table)
    pieces = _pieces(table, data)
    parts = [reference.count(piece) for piece in pieces]
    assert functools.reduce(lambda left, right: left + right, parts) == whole
    assert functools.reduce(lambda left, right: right + left, parts) == whole
    assert counting.merged(parts) == whole
    assert reference.count(batch for piece in pieces for batch in piece.to_batches()) == whole
    untimed = table["ts"].null_count if timed else 0
    assert whole.whole().rows.sum() == table.num_rows - untimed
    for part, _ in reference.layout.find():
        if part.kind in {"numeric", "category", "boolean", "time"}:
            assert (whole.of(part).sum(axis=1) == whole.rows).all()  # each row has one cell
    assert not np.isnan(whole.sums).any()


@quick
@given(extra=tables(), table=tables(), form=st.sampled_from(list(ROLES)), timed=st.booleans(), data=st.data())
def test_addition_is_associative_and_commutative_and_no_rows_add_nothing(
    extra: pa.Table, table: pa.Table, form: str, timed: bool, data: st.DataObject
) -> None:
    reference = _learnt(extra, form, timed)
    a, b, c = reference.count(extra), reference.count(table), reference.profile
    none = counting.empty(reference.layout)
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + none == none + a == a
    assert none + none == none == reference.count(table.slice(0, 0))
    assert (a + b).total().rows.sum() == a.rows.sum() + b.rows.sum()
    assert reference.count(pa.concat_tables([_base(), extra]).unify_dictionaries()) == c


@quick
@given(extra=tables(), form=st.sampled_from(list(ROLES)), timed=st.booleans())
def test_a_profile_comes_back_from_arrow_and_from_its_file(
    tmp_path_factory: pytest.TempPathFactory, extra: pa.Table, form: str, timed: bool
) -> None:
    reference = _learnt(extra, form, timed)
    profile = reference.count(extra)
    folder = tmp_path_factory.mktemp("profiles")
    for one in (profile, reference.profile, counting.empty(reference.layout), profile.whole()):
        assert Profile.from_arrow(one.to_arrow()) == one
        one.save(folder / "x.profile", notes="Grüße")
        assert Profile.open_with_notes(folder / "x.profile") == (one, "Grüße")
    again = Layout.from_json(reference.layout.to_json())
    assert again == reference.layout
    assert again.id == reference.layout.id
    reference.save(folder / "reference")
    opened = Reference.open(folder / "reference")
    assert opened == reference
    assert opened.count(extra) == profile  # a layout that was read counts as the one that was written


def test_what_was_read_from_a_file_adds_to_what_was_not(tmp_path: Path) -> None:
    reference = _learnt(_base(), "classes", timed=True)
    halves = [reference.count(_base().slice(0, 50)), reference.count(_base().slice(50))]
    halves[0].save(tmp_path / "half")
    assert Profile.open(tmp_path / "half") + halves[1] == reference.count(_base())


def test_profiles_of_two_references_do_not_add_and_are_not_equal() -> None:
    table = pa.table({"x": [1.0, 2.0, 3.0]})
    one, other = Reference.learn(table), Reference.learn(table.slice(1))
    with pytest.raises(
        BadInput, match=r"Profiles of one reference .* these are of two \([0-9a-f]{8} and [0-9a-f]{8}\)"
    ):
        _ = one.profile + other.profile
    assert one.profile != other.count(table)
    with pytest.raises(TypeError):
        _ = one.profile + 1


def test_what_is_no_profile_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no profile")
    with pytest.raises(BadInput, match=r"text is no profile"):
        Profile.open(tmp_path / "text")
    with pytest.raises(BadInput, match=r"There is no file"):
        Profile.open(tmp_path / "absent")
    with pa.ipc.new_file(str(tmp_path / "arrow"), pa.schema({"x": pa.int64()})) as writer:
        writer.write_table(pa.table({"x": [1]}))
    with pytest.raises(BadInput, match=r"this table is none"):
        Profile.open(tmp_path / "arrow")


def test_a_layout_without_columns_counts_rows() -> None:
    reference = Reference.learn(pa.table({"x": [1, 2, 3]}), exclude=["x"])
    found = reference.count(pa.table({"x": [1, 2]})) + reference.profile
    assert found.rows.tolist() == [5]
    assert Profile.from_arrow(found.to_arrow()) == found


@pytest.fixture(scope="module")
def long() -> pa.Table:
    """More rows than are counted at once, over more buckets than are counted one by one, out of order."""
    random = np.random.default_rng(1)
    rows = 150_000
    return pa.table(
        {
            "ts": pa.array(random.integers(-40 * 86_400, 40 * 86_400, rows) * 1_000_000, pa.timestamp("us")),
            "x": random.lognormal(0, 1, rows),
            "y": np.where(random.random(rows) < 0.01, np.nan, random.normal(1e9, 1, rows)),
            "plan": random.choice(["a", "b", "c"], rows),
            "v": pa.FixedSizeListArray.from_arrays(pa.array(random.normal(size=rows * 37)), 37),
            "p": random.random(rows),
            "said": random.random(rows) < 0.5,
            "true": random.integers(2, size=rows),
        }
    )


def test_many_rows_and_buckets_are_the_same_in_any_pieces_and_with_any_threads(long: pa.Table) -> None:
    from shelflife.profile.kernel import Kernel

    roles: dict[str, Any] = {"prediction": "said", "score": "p", "outcome": "true", "segments": ["plan"]}
    reference = Reference.learn(long, time="ts", **roles)
    whole = reference.profile
    assert len(whole.whole().rows) == 80
    cuts = [0, 1, 70_001, 140_000, long.num_rows]
    parts = [reference.count(long.slice(a, b - a)) for a, b in itertools.pairwise(cuts)]
    assert counting.merged(parts[::-1]) == whole
    assert Kernel(reference.layout, threads=1).count(long.sort_by("ts").to_batches(max_chunksize=9_999)) == whole
    segments = [whole.segment(place) for place in range(3)]
    assert sum(one.rows.sum() for one in segments) == long.num_rows
    for name in ("counts", "rows"):
        stacked = [getattr(one, name) for one in segments]
        assert (sum(stacked) == getattr(whole.whole(), name)).all()


def test_a_part_of_the_buckets_is_the_profile_of_their_rows(long: pa.Table) -> None:
    reference = Reference.learn(long.select(["ts", "x"]), time="ts")
    start, end = -3 * 86_400_000_000, 2 * 86_400_000_000
    ticks = long["ts"].cast(pa.int64()).to_numpy()
    inside = long.filter(pa.array((ticks >= start) & (ticks < end)))
    assert reference.profile.between(start, end) == reference.count(inside)
    moved = reference.count(inside)
    days = np.unique(moved.buckets)
    assert moved.moved(days, np.full(len(days), days[0])) == moved.total()


def test_many_rows_far_from_the_reference_are_the_same_in_any_pieces() -> None:
    random = np.random.default_rng(0)
    reference = Reference.learn(pa.table({"x": random.normal(size=1_000)}))
    table = pa.table({"x": random.normal(12_000, 1_000, size=100_000)})
    whole = reference.count(table)
    for cut in range(7_777, 100_000, 7_777):
        assert reference.count(table.slice(0, cut)) + reference.count(table.slice(cut)) == whole
