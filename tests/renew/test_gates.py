"""What gates say, tested by what they promise: a challenger that is too bad passes hardly ever, however it is asked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from shelflife import plan
from shelflife.models import Answers
from shelflife.plan import Plan
from shelflife.renew.evidence import interval
from shelflife.renew.gates import LEVEL, Facts, Held, judge, together
from shelflife.testing import plans


@pytest.fixture
def trials(full: bool) -> int:
    """How often a gate is asked to see its level."""
    return 2_000 if full else 200


def asking(*gates: Any) -> Plan:
    """A plan with these gates."""
    raw = json.loads(plans.text())
    raw["model"]["segments"] = ["channel"]
    raw["renew"] = {"gates": list(gates)}
    return plan.parse(json.dumps(raw)).plan


def binary(
    draw: np.random.Generator, rows: int, ours: float, theirs: float, *, rivals: int = 1, both: float = 0.5
) -> Held:
    """Rows on which two models are wrong so often; on a part of them both for the same reason."""
    hard = draw.random(rows)
    own, other = draw.random(rows), draw.random(rows)
    shared = draw.random(rows) < both
    wrong = np.where(shared, hard, own) < ours, np.where(shared, hard, other) < theirs
    truth = np.where(draw.random(rows) < 0.5, "a", "b").astype(object)
    flipped = np.where(truth == "a", "b", "a").astype(object)
    said = [np.where(one, flipped, truth).astype(object) for one in wrong]
    shares = np.column_stack([np.where(said[0] == name, 0.8, 0.2) for name in ("a", "b")])
    channel = np.where(draw.random(rows) < 0.5, "web", "mail").astype(object)
    return Held(truth, Answers(said[0], shares, ("a", "b")), Answers(said[1], shares, ("a", "b")),
                np.full(rows, "a", dtype=object), {"channel": channel}, rivals)  # fmt: skip


def states(asked: Plan, helds: Any, facts: Facts | None = None) -> list[str]:
    return [together(judge(asked, held, facts or Facts())) for held in helds]


@pytest.mark.guarantee
@pytest.mark.parametrize("rows", [50, 1000])
@pytest.mark.parametrize("rivals", [1, 4])
def test_a_challenger_worse_by_the_margin_hardly_ever_passes(rows: int, rivals: int, trials: int) -> None:
    draw = np.random.default_rng(rows + rivals)
    asked = asking({"metric": "accuracy", "not_worse_by": 0.02})
    found = states(asked, (binary(draw, rows, 0.22, 0.20, rivals=rivals) for _ in range(trials)))
    assert found.count("pass") / trials <= LEVEL + 2 * np.sqrt(LEVEL / trials)


@pytest.mark.guarantee
def test_one_as_good_hardly_ever_fails_and_a_much_better_one_passes(trials: int) -> None:
    draw = np.random.default_rng(1)
    asked = asking({"metric": "accuracy", "not_worse_by": 0.02})
    same = states(asked, (binary(draw, 500, 0.2, 0.2) for _ in range(trials)))
    assert same.count("fail") / trials <= LEVEL
    better = states(asked, (binary(draw, 1000, 0.14, 0.2) for _ in range(50)))
    assert better.count("pass") >= 45
    worse = states(asked, (binary(draw, 1000, 0.35, 0.2) for _ in range(50)))
    assert worse.count("fail") >= 45


@pytest.mark.parametrize("metric", ["brier", "log_loss", "f1"])
def test_other_measures_hold_their_level_as_well(metric: str) -> None:
    draw = np.random.default_rng(3)
    trials = 150
    asked = asking({"metric": metric, "not_worse_by": 0.0})
    passed = 0
    for _ in range(trials):
        held = binary(draw, 200, 0.2, 0.2)
        sure = draw.uniform(0.5, 1.0, (2, 200))
        answers = [
            Answers(said, np.column_stack([np.where(said == name, s, 1 - s) for name in "ab"]), ("a", "b"))
            for said, s in zip((held.challenger.predictions, held.champion.predictions), sure, strict=True)
        ]
        passed += together(judge(asked, Held(held.truth, *answers, held.baseline), Facts())) == "pass"
    assert passed / trials <= LEVEL + 2 * np.sqrt(LEVEL / trials)


def test_few_rows_are_unknown_and_unknown_is_no_pass() -> None:
    draw = np.random.default_rng(0)
    asked = asking(
        {"metric": "accuracy", "not_worse_by": 0.5}, "beats_baseline", "calibrated", {"flips": {"at_most": 0.9}}
    )
    found = judge(asked, binary(draw, 20, 0.0, 0.5), Facts())
    assert {one.state for one in found} == {"unknown"}
    assert together(found) == "unknown"
    assert all(one.says for one in found)


def flawless(rows: int, positives: int) -> Held:
    """Rows of which both models know all, and of which few are of one class."""
    truth = np.array(["b"] * positives + ["a"] * (rows - positives), dtype=object)
    chances = np.column_stack([truth == "a", truth == "b"]) * 0.8 + 0.1
    answers = Answers(truth.copy(), chances, ("a", "b"))
    return Held(truth, answers, answers, np.full(rows, "a", dtype=object), {"channel": truth})


@pytest.mark.parametrize(
    ("gate", "few", "many"),
    [
        ({"metric": "accuracy", "at_least": 0.95}, (40, 20), (200, 100)),
        ({"metric": "recall", "at_least": 0.9}, (200, 2), (200, 100)),
        ({"metric": "recall", "not_worse_by": 0.02}, (200, 2), (2000, 1000)),
        ({"fairness": "channel", "metric": "accuracy", "gap": 0.05}, (80, 40), (800, 400)),
    ],
)
def test_that_no_mistake_was_seen_in_a_few_rows_is_no_proof(gate: Any, few: Any, many: Any) -> None:
    asked = asking(gate)
    assert [states(asked, [flawless(*rows)]) for rows in (few, many)] == [["unknown"], ["pass"]]


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "log_loss", "brier", "calibration_error"])
def test_what_is_the_same_of_all_rows_tells_nothing_of_those_that_were_not_seen(metric: str) -> None:
    limit = {"at_least": 0.7} if metric in {"roc_auc", "average_precision"} else {"at_most": 0.5}
    asked = asking({"metric": metric, **limit})
    assert states(asked, [flawless(200, 3), flawless(200, 100)]) == ["unknown", "unknown"]
    if "at_most" in limit:
        fair = asking({"fairness": "channel", "metric": metric, "gap": 0.1})
        assert states(fair, [flawless(200, 100)]) == ["unknown"]
        draw = np.random.default_rng(0)
        unsure = flawless(200, 100)
        chances = draw.uniform(0.6, 0.9, 200)[:, None]
        sure = unsure.truth[:, None] == np.array(["a", "b"])
        answers = Answers(unsure.truth.copy(), np.where(sure, chances, 1 - chances), ("a", "b"))
        assert states(asked, [Held(unsure.truth, answers, answers, unsure.baseline, unsure.segments)]) == ["pass"]


def test_a_smaller_level_asks_for_more_than_all_draws_tell() -> None:
    draws = np.random.default_rng(0).normal(size=1000)
    low, high = zip(*(interval([draws], level, 500) for level in (0.05, 0.01, 1e-3, 1e-4, 1e-6)), strict=True)
    assert sorted(set(low), reverse=True) == list(low)
    assert sorted(set(high)) == list(high)
    assert high[-1] > draws.max()


def test_the_chances_of_rivals_are_shared_by_every_gate() -> None:
    asked = asking({"flips": {"at_most": 0.5}}, "calibrated", {"metric": "accuracy", "at_least": 0.7})
    widths = []
    for rivals in (1, 4):
        found = judge(asked, binary(np.random.default_rng(0), 400, 0.2, 0.2, rivals=rivals), Facts())
        widths.append([one.evidence["high"] - one.evidence["low"] for one in found])
    assert all(four > one for one, four in zip(*widths, strict=True))


def test_a_segment_without_rows_and_a_group_of_a_few_are_unknown() -> None:
    gates: list[Any] = [
        {"metric": "accuracy", "not_worse_by": 0.5, "segment": "channel"},
        {"fairness": "channel", "metric": "accuracy", "gap": 0.9},
    ]
    held = binary(np.random.default_rng(0), 600, 0.2, 0.2)
    assert states(asking(*gates), [held]) == ["pass"]
    assert states(asking(gates[0]), [held.where(slice(0, 0))]) == ["unknown"]
    held.segments["channel"][:20] = "phone"
    assert states(asking(gates[1]), [held]) == ["unknown"]


def test_the_widest_gap_is_looked_for_among_all_groups() -> None:
    draw = np.random.default_rng(0)
    held = binary(draw, 4000, 0.05, 0.05)
    held.segments["channel"][:40] = "phone"  # so few that it may be far from the others
    asked = asking({"fairness": "channel", "metric": "accuracy", "gap": 0.05})
    assert states(asked, [held]) == ["unknown"]


def test_each_segment_has_its_verdict() -> None:
    draw = np.random.default_rng(0)
    held = binary(draw, 4000, 0.1, 0.1)
    web = held.segments["channel"] == "web"
    spoilt = np.where(web & (draw.random(4000) < 0.3), "c", held.challenger.predictions).astype(object)
    held = Held(held.truth, Answers(spoilt), held.champion, held.baseline, held.segments)
    found = {one.gate: one.state for one in judge(
        asking({"metric": "accuracy", "not_worse_by": 0.05, "segment": "channel"}), held, Facts())}  # fmt: skip
    assert found == {
        "accuracy not worse by 0.05, channel = mail": "pass", "accuracy not worse by 0.05, channel = web": "fail",
    }  # fmt: skip


def test_limits_flips_fairness_baseline_and_calibration() -> None:
    draw = np.random.default_rng(5)
    held = binary(draw, 3000, 0.2, 0.2, both=1.0)
    gates: list[Any] = [
        {"metric": "accuracy", "at_least": 0.75}, {"metric": "accuracy", "at_least": 0.85},
        {"flips": {"at_most": 0.05}}, {"fairness": "channel", "metric": "accuracy", "gap": 0.1}, "beats_baseline",
        "calibrated",
    ]  # fmt: skip
    assert [one.state for one in judge(asking(*gates), held, Facts())] == [
        "pass",
        "fail",
        "pass",
        "pass",
        "pass",
        "pass",
    ]
    apart = np.where(held.segments["channel"] == "web", "c", held.challenger.predictions).astype(object)
    worse = Held(
        held.truth, Answers(apart, held.challenger.scores, ("a", "b")), held.champion, held.baseline, held.segments
    )
    said = [one.state for one in judge(asking(*gates), worse, Facts())]
    assert said == ["fail", "fail", "fail", "fail", "fail", "fail"]


def test_what_was_measured_is_held_against_its_limit_and_what_was_not_is_unknown() -> None:
    asked = asking({"latency_p95": "50ms"}, {"size_mb": 4}, "reproducible", "data_checks", {"function": "mine:test"})
    held = binary(np.random.default_rng(0), 100, 0.1, 0.1)
    assert {one.state for one in judge(asked, held, Facts())} == {"unknown"}
    good = Facts(
        latency_p95=12.0, size_mb=3.0, reproducible=(True, "same"), data=(), functions={"mine:test": (True, "ok")}
    )
    assert {one.state for one in judge(asked, held, good)} == {"pass"}
    bad = Facts(latency_p95=51.0, size_mb=4.1, reproducible=(False, "no"), data=("age is missing",),
                functions={"mine:test": (False, "no")})  # fmt: skip
    assert {one.state for one in judge(asked, held, bad)} == {"fail"}


def test_the_same_rows_give_the_same_verdicts() -> None:
    asked = asking({"metric": "f1", "not_worse_by": 0.02}, {"metric": "recall", "at_least": 0.7})
    held = binary(np.random.default_rng(0), 300, 0.15, 0.2)
    assert judge(asked, held, Facts()) == judge(asked, held, Facts())


def test_numbers_are_judged_by_their_errors() -> None:
    raw = json.loads(plans.text())
    raw["model"] |= {"task": "regression"}
    raw["watch"].pop("performance", None)
    raw["renew"] = {
        "gates": [{"metric": "mae", "not_worse_by": 0.1}, {"metric": "rmse", "at_most": 2.0}, "beats_baseline"]
    }
    asked = plan.parse(json.dumps(raw)).plan
    draw = np.random.default_rng(0)
    truth = draw.normal(0, 3, 1500)

    def said(scale: float) -> Answers:
        return Answers(truth + draw.normal(0, scale, len(truth)))

    held = Held(truth, said(1.0), said(1.2), np.zeros(len(truth)))
    assert [one.state for one in judge(asked, held, Facts())] == ["pass", "pass", "pass"]
    held = Held(truth, said(3.5), said(1.0), np.zeros(len(truth)))
    assert [one.state for one in judge(asked, held, Facts())] == ["fail", "fail", "fail"]
