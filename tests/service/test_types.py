"""Rows are kept in the types of the plan, some of them as digests, and a plan cannot make them others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shelflife import plan
from shelflife.errors import BadInput
from shelflife.system import System
from shelflife.testing import plans

NAME = "support-desk"


@pytest.mark.parametrize("private", [[], ["note"]])
def test_private_inputs_are_kept_as_digests(system: System, private: list[str]) -> None:
    said = json.loads(plans.text(**{"model.private": ["text", "age"] if private else []}))
    system.apply(plan.parse(json.dumps(said)), by="lead", because="private")
    rows = [{"id": str(n), "time": "2026-04-01T10:00:00Z", "inputs": {"text": "hello", "age": n % 2, "channel": "web"}}
            for n in range(4)]  # fmt: skip
    read = system.read(
        NAME, "predictions", [*rows, {"id": "x", "time": "2026-04-01T10:00:00Z", "inputs": {"age": "old"}}]
    )
    assert list(read.rejected) == [4]
    with system.intake(drain_every=3600) as intake:
        intake.submit(NAME, "predictions", read.table).result()
    found = system.tables.open(NAME, "predictions").to_pyarrow_table()["inputs"].to_pylist()
    assert {one["channel"] for one in found} == {"web"}
    assert len({one["text"] for one in found}) == 1
    assert len({one["age"] for one in found}) == 2
    assert ("hello" in {one["text"] for one in found}) == (not private)
    assert all(one["age"] in (0, 1) for one in found) == (not private)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model.inputs": {"age": "category"}}, "'inputs.age' as numbers, and this plan makes it text"),
        ({"model.task": "regression"}, "'prediction' as text, and this plan makes it numbers"),
        ({"model.private": ["age"]}, "'inputs.age' as numbers, and this plan makes it text"),
    ],
)
def test_a_plan_cannot_change_the_type_of_rows_that_are_kept(
    system: System, changes: dict[str, Any], says: str
) -> None:
    system.apply(plan.parse(plans.text()), by="lead", because="first")
    more = {"watch.performance": None} if "model.task" in changes else {}
    changed = plan.parse(plans.text(**changes, **more))
    assert system.apply(changed, by="lead", because="nothing is kept yet")[1]
    system.apply(plan.parse(plans.text()), by="lead", because="back")
    with system.intake(drain_every=3600) as intake:
        read = system.read(NAME, "predictions", [{"id": "a", "time": "2026-04-01T10:00:00Z", "inputs": {"age": 1}}])
        intake.submit(NAME, "predictions", read.table).result()
    with pytest.raises(BadInput, match=says):
        system.apply(changed, by="lead", because="too late")
    # A new input is no conflict.
    wider = {"model.inputs": {"age": "numeric", "text": "text", "channel": "category", "fresh": "category"}}
    assert system.apply(plan.parse(plans.text(**wider)), by="lead", because="more")[1]
