"""Rows become typed columns; each that cannot be used is told why, and no other is lost by it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelflife.errors import BadInput
from shelflife.observe.rows import check_columns, from_arrow, from_json
from shelflife.observe.shapes import RowKind, shape
from shelflife.testing import plans

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
PLAN = plans.minimal(
    **{
        "model.inputs": {"text": "text", "channel": "category", "age": "numeric", "new": "boolean", "since": "time",
                         "place": "vector"},
        "objective.kpis": [{"name": "solved", "at_least": 0.7}],
    }
)  # fmt: skip


def read(row: Any, kind: RowKind = "predictions") -> Any:
    return from_json([row], shape(PLAN, kind), now=NOW)


def row(**more: Any) -> dict[str, Any]:
    return {"id": "a", "time": "2026-05-01T10:00:00+02:00", "inputs": {"text": "hello", "age": 3}, **more}


def test_a_row_keeps_its_values_in_their_types() -> None:
    inputs = {
        "text": "hello",
        "channel": "mail",
        "age": 3,
        "new": True,
        "since": "2020-01-01T00:00:00Z",
        "place": [1, 2.5],
    }
    found = read(row(inputs=inputs, prediction="billing", score=0.75, version="7")).table.to_pylist()[0]
    assert found["time"] == datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
    assert found["inputs"] == {**inputs, "age": 3.0, "since": datetime(2020, 1, 1, tzinfo=UTC), "place": [1.0, 2.5]}
    assert (found["prediction"], found["score"], found["version"]) == ("billing", 0.75, "7")


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        (7, "a row is to be an object"),
        ([], "a row is to be an object"),
        (None, "a row is to be an object"),
        ({"time": "2026-05-01T10:00:00Z"}, "`id` is missing"),
        (row(id=""), "`id` is to have 1 to 200 characters; found 0"),
        (row(id="x" * 201), "`id` is to have 1 to 200 characters; found 201"),
        (row(id=[1]), "`id` is to be text; found [1]"),
        ({"id": "a"}, "`time` is missing"),
        (row(time="yesterday"), "`time` is to be a time with its zone, as 2026-05-01T13:00:00Z; found \"yesterday\""),
        (row(time="2026-05-01T10:00:00"), "`time` is to be a time with its zone"),
        (row(time=1_777_000_000), "`time` is to be a time with its zone"),
        (row(time="2026-05-03T10:00:00Z"), "`time` lies in the future: 2026-05-03T10:00:00Z"),
        (row(time="1066-10-14T09:00:00Z"), "`time` lies before 1900: 1066-10-14T09:00:00Z"),
        (row(time="9999-12-31T23:59:59-12:00"), "`time` lies in the future: 10000-01-01T11:59:59Z"),
        (row(inputs=[1]), "`inputs` is to be an object of names and values; found [1]"),
        (row(inputs={"age": "old"}), "`inputs.age` is to be a number; found \"old\""),
        (row(inputs={"age": True}), "`inputs.age` is to be a number; found true"),
        (row(inputs={"age": 10**400}), "`inputs.age` is to be a number of 64 bits"),
        (row(inputs={"new": 1}), "`inputs.new` is to be true or false; found 1"),
        (row(inputs={"text": {"a": 1}}), "`inputs.text` is to be text"),
        (row(inputs={"place": "here"}), "`inputs.place` is to be a list of numbers"),
        (row(inputs={"place": [1, "x"]}), "`inputs.place` is to be a list of numbers"),
        (row(score="high"), "`score` is to be a number; found \"high\""),
        (row(score=3), "`score` is to be from 0 to 1; found 3.0"),
        (row(score=-0.1), "`score` is to be from 0 to 1; found -0.1"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_why(given_: Any, why: str) -> None:
    found = read(given_)
    assert len(found.table) == 0
    assert found.rejected[0].startswith(why), found.rejected[0]


def test_one_bad_row_among_many_costs_no_other() -> None:
    rows = [row(id=str(number)) for number in range(10_000)]
    rows[4_321]["inputs"] = {"age": "old"}
    found = from_json(rows, shape(PLAN, "predictions"), now=NOW)
    assert list(found.rejected) == [4_321]
    assert found.table["id"].to_pylist() == [str(number) for number in range(10_000) if number != 4_321]
    assert found.places.tolist() == [number for number in range(10_000) if number != 4_321]


def test_labels_may_be_numbers_or_truth_values_and_names_nobody_knows_are_told() -> None:
    found = read(row(prediction=True, extra=1, inputs={"age": 3, "shoe": 44}))
    assert found.table["prediction"][0].as_py() == "true"
    assert read(row(prediction=3)).table["prediction"][0].as_py() == "3"
    assert found.ignored == ("extra", "inputs.shoe")


def test_outcomes_feedback_and_kpis_have_their_own_words() -> None:
    assert read({"id": "a", "outcome": "billing"}, "outcomes").table["time"][0].as_py() == NOW
    assert read({"id": "a"}, "outcomes").rejected == {0: "`outcome` is missing"}
    assert len(read({"id": "f", "what": "override", "prediction_id": "a"}, "feedback").table) == 1
    assert "`what` is to be one of override" in read({"id": "f", "what": "shrug"}, "feedback").rejected[0]
    kpi = read({"kpi": "solved", "time": "2026-04-01T00:00:00Z", "value": 0.7}, "kpis").table
    assert kpi["id"].to_pylist() == ["solved@2026-04-01T00:00:00"]
    assert (
        "`kpi` is to be one of solved"
        in read({"kpi": "x", "time": "2026-04-01T00:00:00Z", "value": 1}, "kpis").rejected[0]
    )


def test_a_row_may_have_the_plans_own_names_beside_ours() -> None:
    named = plans.minimal(**{"model.prediction": "said", "model.score": "sure", "model.outcome.name": "was"})

    def table(*rows: dict[str, Any], kind: RowKind = "predictions") -> Any:
        given_ = [{"id": str(place), "time": "2026-05-01T10:00:00Z", **one} for place, one in enumerate(rows)]
        return from_json(given_, shape(named, kind), now=NOW)

    flat = {"age": 3, "channel": "mail", "said": "billing", "sure": 0.5}
    nested = {"inputs": {"age": 3, "channel": "mail"}, "prediction": "billing", "score": 0.5}
    parts = {**flat, "inputs": {"channel": "mail"}}
    del parts["channel"]
    found = table(flat, nested, {**flat, "inputs": None}, parts)
    assert found.ignored == ()
    first, *others = [{**one, "id": ""} for one in found.table.to_pylist()]
    assert others == [first] * 3
    assert first["inputs"] == {"age": 3.0, "channel": "mail", "text": None}
    # What stands in its place counts, and the other is told.
    both = table({"age": 4, "inputs": {"age": 3}, "said": "x", "prediction": "y"})
    assert (both.table["inputs"][0].as_py()["age"], both.table["prediction"][0].as_py()) == (3.0, "y")
    assert both.ignored == ("age", "said")
    assert table({"age": "old"}).rejected == {0: '`inputs.age` is to be a number; found "old"'}
    assert table({"was": "late"}, kind="outcomes").table["outcome"].to_pylist() == ["late"]
    # As of a table: where prediction and outcome have one name, it is not known whose it is.
    assert read({"id": "a", "time": "2026-05-01T10:00:00Z", "intent": "x"}).ignored == ("intent",)


def test_scores_of_classes_are_chances_on_every_way_in() -> None:
    several = plans.minimal(**{"model.score": ["mail", "phone"]})
    nested = [{"mail": 0.2, "phone": 0.8}, {"mail": 1.0, "phone": None}, {"mail": 0.0, "phone": 1.5}]
    rows = [{"id": str(place), "time": "2026-05-01T10:00:00Z", "score": one} for place, one in enumerate(nested)]
    assert from_json(rows, shape(several, "predictions"), now=NOW).rejected == {
        2: "`score.phone` is to be from 0 to 1; found 1.5"
    }
    times = pa.array([NOW] * 3)
    flat = pa.table({"id": ["a", "b", "c"], "time": times, "mail": [0.2, -1, 0.1], "phone": [0.8, 0.5, None]})
    assert list(from_arrow(flat, shape(several, "predictions"), now=NOW).rejected) == [1]
    alone = pa.table({"id": ["a", "b", "c"], "time": times, "score": [1.0, math.nan, 1.01]})
    assert list(from_arrow(alone, shape(PLAN, "predictions"), now=NOW).rejected) == [2]
    numbers = plans.minimal(**{"model.task": "regression", "watch.performance.metric": "mae",
                               "watch.performance.at_least": None, "watch.performance.at_most": 1.0})  # fmt: skip
    assert from_arrow(alone, shape(numbers, "predictions"), now=NOW).rejected == {}


def test_a_kpi_is_over_no_fewer_rows_than_none() -> None:
    kpi = {"kpi": "solved", "time": "2026-04-01T00:00:00Z", "value": -3}
    assert read({**kpi, "rows": -4}, "kpis").rejected == {0: "`rows` is to be at least 0; found -4.0"}
    for rows in (0, 10, None):
        assert read({**kpi, "rows": rows}, "kpis").rejected == {}


def test_tables_are_read_flat_or_nested_and_by_the_names_they_have() -> None:
    times = pa.array([NOW - timedelta(hours=1)] * 3, pa.timestamp("ns", "UTC"))
    flat = pa.table({"ticket": ["a", "b", "c"], "time": times, "age": pa.array([1, 2, None], pa.int32()),
                     "channel": pa.array(["x", "y", "x"]).dictionary_encode()})  # fmt: skip
    found = from_arrow(flat, shape(PLAN, "predictions"), now=NOW, columns={"id": "ticket"})
    assert found.rejected == {}
    assert found.table["inputs"].to_pylist()[1]["age"] == 2.0
    again = from_arrow(found.table, shape(PLAN, "predictions"), now=NOW)
    assert again.table == found.table
    naive = flat.set_column(1, "time", times.cast(pa.timestamp("us")))
    assert (
        from_arrow(naive, shape(PLAN, "predictions"), now=NOW, columns={"id": "ticket"}).table["time"]
        == found.table["time"]
    )
    with pytest.raises(BadInput, match=r"There is no column 'tickets' for 'id'. Did you mean 'ticket'\?"):
        from_arrow(flat, shape(PLAN, "predictions"), now=NOW, columns={"id": "tickets"})
    # What the plan calls them is what their people call them.
    plan = plans.minimal(**{"model.prediction": "said", "model.score": "sure", "model.outcome.name": "was"})
    theirs = pa.table({"id": ["a"], "time": times[:1], "said": ["x"], "sure": [0.5], "was": ["y"]})
    read = from_arrow(theirs, shape(plan, "predictions"), now=NOW).table
    assert (read["prediction"].to_pylist(), read["score"].to_pylist()) == (["x"], [0.5])
    assert from_arrow(theirs, shape(plan, "outcomes"), now=NOW).table["outcome"].to_pylist() == ["y"]
    alike = plans.minimal(**{"model.prediction": "was", "model.outcome.name": "was"})
    assert from_arrow(theirs, shape(alike, "predictions"), now=NOW).table["prediction"].to_pylist() == [None]
    bad = pa.table({"id": ["a", "b"], "time": times[:2], "age": ["3", "old"]})
    assert set(from_arrow(bad, shape(PLAN, "predictions"), now=NOW).rejected) == {0, 1}


def test_a_table_without_what_every_row_needs_is_told_once() -> None:
    with pytest.raises(BadInput, match=r"predictions need 'id', and the table has no such column.*It has ts, age\."):
        check_columns(["ts", "age"], shape(PLAN, "predictions"), {"time": "ts"})
    with pytest.raises(BadInput, match=r"Predictions have no column 'tiem'\. Did you mean 'time'\?"):
        check_columns(["id", "ts"], shape(PLAN, "predictions"), {"tiem": "ts"})
    check_columns(["kpi", "time", "value"], shape(PLAN, "kpis"), None)
    check_columns(["id", PLAN.model.outcome.name], shape(PLAN, "outcomes"), None)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_any_json_is_read_or_rejected(value: Any) -> None:
    for given_ in (
        value,
        row(id=value),
        row(time=value),
        row(inputs=value),
        row(inputs={"age": value, "place": value}),
    ):
        found = read(given_)
        assert len(found.table) + len(found.rejected) == 1


def test_numbers_that_are_none_are_kept_as_such() -> None:
    found = read(row(inputs={"age": math.nan})).table["inputs"].to_pylist()[0]["age"]
    assert math.isnan(found)
