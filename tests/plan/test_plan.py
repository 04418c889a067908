"""A plan is read, or every mistake in it is told once, with its line and what is allowed."""

from __future__ import annotations

import json
import os
import re
import runpy
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelflife import plan
from shelflife.errors import BadInput
from shelflife.observe.shapes import SENT, shape
from shelflife.plan import PlanError
from shelflife.plan.lint import CODES
from shelflife.plan.references import COLUMNS
from shelflife.plan.words import written
from shelflife.testing import plans


@pytest.fixture(scope="session")
def whole(root: Path) -> str:
    """The plan of the docs."""
    found = re.search(r"```yaml\n(shelflife: 1\n.*?)```", (root / "docs" / "plan.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def problems(text: str) -> list[str]:
    with pytest.raises(PlanError) as raised:
        plan.parse(text, source="p.yaml")
    return [f"{problem.line}: {problem.says}" for problem in raised.value.problems]


def test_the_plan_of_the_docs_is_valid_and_leaves_nothing_open(whole: str) -> None:
    read = plan.parse(whole)
    assert read.plan.watch.bucket == timedelta(days=1)
    assert read.plan.model.score == ("chance",)
    assert plan.remarks(read, date(2026, 5, 1)) == []


def test_the_plan_of_the_design_is_valid(root: Path) -> None:
    design = root.parent / "shared" / "design.md"
    if not design.is_file():
        pytest.skip(f"there is no {design}")
    found = re.search(r"```yaml\n(.*?)```", design.read_text(), re.DOTALL)
    assert found is not None
    assert plan.parse(found[1]).plan.system == "support-desk"


MISTAKES = [
    # wrong words
    ("system: parcel-delay", "sytem: parcel-delay", None, r"there is no `sytem` in a plan. Did you mean 'system'\?"),
    ("objective:", "objectives:", None, "there is no `objectives`"),
    ("why: Tell", "wy: Tell", None, r"there is no `wy` in `objective`. Did you mean 'why'\?"),
    (
        "at_most: 0.03",
        "at_mots: 0.03",
        None,
        "there is no `at_mots` in `objective.kpis\\[1\\]`. Did you mean 'at_most'",
    ),
    (
        "per: week}}",
        "per: fortnight}}",
        None,
        "is to be one of hour, day, week, month, quarter, year; found 'fortnight'",
    ),
    ("role: owner", "role: boss", None, "is to be one of owner, approver, .*found 'boss'"),
    ("task: classification", "task: clasification", None, "Did you mean 'classification'"),
    ("weight: numeric", "weight: number", None, "Did you mean 'numeric'"),
    (
        "season: week",
        "season: weekly",
        None,
        "is to be one of day, week, year, none; found 'weekly'. Did you mean 'week'",
    ),
    ("metric: accuracy, at_least", "metric: acuracy, at_least", None, "Did you mean 'accuracy'"),
    (
        "when: [performance",
        "when: [perfomance",
        None,
        "`renew.when\\[1\\]` is to be one of .*Did you mean 'performance'",
    ),
    ("- reproducible", "- reproducable", None, "`renew.gates\\[5\\]` is to be one of .*Did you mean 'reproducible'"),
    ("on: [promoted, rolled", "on: [promote, rolled", None, "Did you mean 'promoted'"),
    ("digest: weekly", "digest: hourly", None, "is to be one of daily, weekly, monthly; found 'hourly'"),
    (
        "check_every: 1d",
        "every: 1d",
        None,
        "there is no `every` in `knowledge.depot-guide.links`. Did you mean 'check_every'",
    ),
    ("validate: 2w", "validat: 2w", None, "there is no `validat` in `renew.data`. Did you mean 'validate'"),
    ("worse_by: 0.02}}\n    f", "worse: 0.02}}\n    f", None, "Did you mean 'worse_by'"),
    ("rows: outcomes", "rows: labels", None, "is to be one of predictions, outcomes, feedback, kpis; found 'labels'"),
    ("tolerance: 0.05", "tolerence: 0.05", None, "Did you mean 'tolerance'"),
    ("same_person: true", "same_persons: true", None, "Did you mean 'same_person'"),
    # wrong types and units
    ("shelflife: 1", "shelflife: 2", None, "`shelflife` is to be one of 1; found 2"),
    ("shelflife: 1", "shelflife: one", None, "`shelflife` is to be one of 1; found 'one'"),
    ("title: Late parcels", "title: 7", None, "`title` is to be text; found 7"),
    ("title: Late parcels", "title:", None, "`title` is to be text; found nothing"),
    ("title: Late parcels", 'title: ""', 3, "`title` is to be some text"),
    ("system: parcel-delay", "system: Parcel Delay", None, "is to be a name of small letters"),
    ("at_most: 0.03", "at_most: low", None, "`objective.kpis\\[1\\].at_most` is to be a number; found 'low'"),
    ("at_most: 0.03", "at_most: true", None, "is to be a number; found true"),
    ("currency: EUR", "currency: Euro", None, "is to be a currency of three letters"),
    ("amount: 2400", "amount: -1", None, "is to be at least 0; found -1"),
    ("email: lead@example.com", "email: lead", None, "is to be an e-mail address"),
    ("size: 40", "size: 2.5", None, "is to be a whole number; found 2.5"),
    ("size: 40", "size: 0", None, "is to be at least 1; found 0"),
    ('"slack://delivery/late"', "late", None, "is to be an address with its scheme"),
    ("parcels.training:train", "parcels.training", None, "is to be a function as module:name"),
    (
        "inputs: {depot: category, weight: numeric, express: boolean, note: text}",
        "inputs: [depot]",
        None,
        "is to be a list of `name: value`; found",
    ),
    ("segments: [depot, express]", "segments: depot", None, "is to be a list, as \\[a, b\\]; found 'depot'"),
    ("score: chance", "score: 3", None, "is to be a name or a list of names; found 3"),
    ("within: 10d", "within: 10", None, "is to be a number and a unit, such as 90m, 2h, 1d or 4w; found 10"),
    ("within: 10d", "within: ten days", None, "is to be a number and a unit"),
    ("fresh_within: 2h", "fresh_within: 0h", None, "is to be longer than nothing"),
    ("review_every: 90d", "review_every: -90d", None, "is to be a number and a unit"),
    ("bucket: 1d", "bucket: daily", None, "is to be a number and a unit"),
    ("at_most: 1, per: 180d", "at_most: 0, per: 180d", None, "is to be more than 0; found 0"),
    ("nulls: {within: 0.01}", "nulls: {within: 1%}", None, "is to be a number; found '1%'"),
    ("nulls: {within: 0.01}", "nulls: {within: 1.5}", None, "is to be at most 1; found 1.5"),
    ("tolerance: 0.05", "tolerance: .nan", None, "is to be a number; found NaN"),
    ("drift: {tolerance: 0.05}", "drift: 0.05", None, "`name: value`, with names of: tolerance; found 0.05"),
    ("{age: 26w}", "{age: old}", None, "is to be best_before, or a number and a unit"),
    ("{age: 26w}", "{ages: 3w}", None, "is to be a word, or one of {age: …}"),
    ("windows: [4w, 13w, 26w, all]", "windows: [4w, everything]", None, "is to be all, or a number and a unit"),
    ("latency_p95: 50ms", "latency_p95: 50", None, "is to be a number and a unit"),
    ("start: 2026-12-18", "start: Christmas", None, "is to be a date, as 2026-05-01"),
    ("share: 0.8", "share: 80%", None, "is to be a number; found '80%'"),
    ("on: [finding, approval_needed, promoted]", "on: []", None, "is to be at least one"),
    ("review: {every: 90d, by: lead}", "review: 90d", None, "`review` is to be a list of `name: value`"),
    # what is missing
    ("shelflife: 1\n", "", None, "the plan needs `shelflife`"),
    ("title: Late parcels\n", "", 1, "the plan needs `title`"),
    (", per: 180d}", "}", None, "`watch.false_alarms` needs `per`"),
    (", within: 3d, same", ", same", None, "`renew.approve` needs `within`"),
    (
        "expect_rows: {at_least: 5000, per: 1d}",
        "expect_rows: {per: 1d}",
        None,
        "promises nothing: it needs `at_least` or",
    ),
    ("- {metric: accuracy, not_worse_by: 0.005}", "- {metric: accuracy}", None, "asks for nothing: it needs"),
    ("bake: {rows: 500, time: 1h}", "bake: {}", None, "waits for nothing: it needs `rows` or `time`"),
    ("table: scans/*.parquet, ", "", None, "fetches from one place"),
    # references to nobody and to nothing
    (
        "owner: lead\n  kpis",
        "owner: leed\n  kpis",
        None,
        "names nobody: 'leed' is not one of `people`. Did you mean 'lead'",
    ),
    ("owner: engineer", "owner: enginer", None, "`feeds.scans.owner` names nobody"),
    ("to: callers", "to: caller", None, "`brief\\[1\\].to` names nobody: 'caller' .*Did you mean 'callers'"),
    ("by: lead}", "by: leader}", None, "`review.by` names nobody"),
    ("by: approver", "by: board", None, "`renew.approve.by` names nobody: 'board' is neither"),
    (
        "segments: [depot, express]",
        "segments: [depo]",
        None,
        "is to be one of `model.inputs`; found 'depo'. Did you mean",
    ),
    ("segments: [depot, express]", "segments: [weight]", None, "'weight' is numeric, and has no groups to compare"),
    ("segments: [depot, express]", "segments: [depot, depot]", None, "names 'depot' twice"),
    ("segment: depot", "segment: depots", None, "is to be one of `model.inputs`"),
    ("fairness: express", "fairness: age", None, "is to be one of `model.inputs`"),
    ("private: [note]", "private: [notes]", None, "is to be one of `model.inputs`"),
    ("prediction: late", "prediction: depot", None, "`model.prediction` is to be no input"),
    ("name: told_in_time", "name: calls_per_parcel", None, "names 'calls_per_parcel' twice"),
    # limits beyond reach
    ("at_least: 0.85", "at_least: 85", None, "can never hold: accuracy is from 0 to 1; found 85. Did you mean 0.85"),
    ("at_least: 0.85", "at_most: 0.85", None, "promises the wrong side: of accuracy more is better. Write `at_least`"),
    ("metric: accuracy, at_least: 0.85", "metric: log_loss, at_least: 0.85", None, "promises the wrong side"),
    ("metric: accuracy, at_least: 0.85", "metric: mae, at_most: 2", None, "does not fit a classification"),
    ("fairness: express, metric: recall", "fairness: express, metric: mae", None, "does not fit a classification"),
    ("not_worse_by: 0.005", "not_worse_by: 5", None, "is to be at most 1, accuracy is a share; found 5"),
    ("at_least: 0.9", "at_least: 0.9, at_most: 0.2", None, "cannot hold: at least 0.9 and at most 0.2"),
    ("steps: [0.05, 0.25, 1.0]", "steps: [0.25, 0.05, 1.0]", None, "are to rise and to end at 1.0"),
    ("steps: [0.05, 0.25, 1.0]", "steps: [0.05, 0.25]", None, "are to rise and to end at 1.0"),
    ("steps: [0.05, 0.25, 1.0]", "steps: [5, 25, 100]", None, "are to be shares of traffic"),
    ("end: 2027-01-03", "end: 2026-01-03", None, "ends before it starts"),
    # not YAML
    ("title: Late parcels", "title: Late parcels\ntitle: again", 4, "`title` is given twice in one place"),
    ("weight: numeric", "depot: numeric", None, "`depot` is given twice in one place"),
    ("  bucket: 1d", "\tbucket: 1d", None, "begins with a tab; YAML is indented with spaces"),
    (
        "title: Late parcels",
        "title: Late: parcels",
        None,
        "text with a colon needs quotes; found 'title: Late: par",
    ),
    ("title: Late parcels", "title: [Late", 3, "a comma or the closing `]` is missing before line 4"),
    ("title: Late parcels", "title: {Late", 3, "a comma or the closing `}` is missing before line 4"),
    ("title: Late parcels", "title: *late", None, "text that begins with `\\*` needs quotes"),
    ("title: Late parcels", 'title: "Late parcels', 3, "the quote that opens here is closed only in line 15"),
    ("title: Late parcels", "title: 'Late parcels", 3, "the quote that opens here is never closed"),
    ("title: Late parcels", "title:Late parcels", 3, "a name is followed by a colon and a space"),
    ("keep: 400d", "---\nkeep: 400d", 69, "a second plan begins here; one file is one plan"),
    ("title: Late parcels", "title: !!python/object/apply:os.system [id]", None, "no tags; found `!!python/object"),
    ("title: Late parcels", "title: !!binary aGk=", 3, "found another type"),
    ("season: week", "<<: {saison: week}", None, "there is no `saison` in `watch`"),
    ("drift: {tolerance: 0.05}", "drift:", None, "`watch.drift` says nothing; give it a value"),
    ("weight: numeric", "weight:", 20, "`model.inputs.weight` is to be one of .*; found nothing"),
    ("at_most: 0.03", "at_most: 0,03", None, "`at_most` has a decimal comma; write 0.03 with a point"),
    ("at_most: 0.03", "at_most: '0,03'", None, "found '0,03'. Decimals have a point: 0.03"),
    ("system: parcel-delay", "system: 123", None, "found 123. It was read as a number; write it in quotes"),
    ("shelflife: 1", "shelflife: '1'", None, "found '1'. It was read as text; write it without quotes"),
    ("deputy:", "Deputy Lead:", 12, "a name in `people` is to be .*; found 'Deputy Lead'"),
    (
        "{latency_p95: 50ms}",
        "{latency_p95: 50ms, size_mb: 4}",
        None,
        "there is no `size_mb` in `renew.gates\\[3\\]`. Write it as an item of its own",
    ),
    ("{latency_p95: 50ms}", "{latency_p95: 50ms, sise: 4}", None, "Allowed: latency_p95\\."),
    (
        "by: approver",
        "by: nobody",
        None,
        "There is 'affected', 'analyst', 'approver', 'callers', 'deputy', 'engineer', 'lead', 'owner'",
    ),
    # what could not be carried out
    ("bucket: 1d", "bucket: 1ms", None, "`watch.bucket` is to be at least 1m; found 1ms"),
    ("columns: {id: parcel", "columns: {idd: parcel", None, "outcomes have no 'idd'. Did you mean 'id'"),
    ("{depot: category", "{id: numeric, depot: category", None, "names 'id', which is the row's own id"),
    ("{depot: category", "{score: numeric, depot: category", None, "names 'score', which is the row's own score"),
    ("weight: numeric", "was_late: boolean", 23, "`model.outcome.name` is to be no input"),
    ("table: scans/*.parquet", "sql: '${DB}', query: DELETE FROM scans", None, "is to be a SELECT, .*found 'DELETE'"),
    ("must_mention: [depot, closes_at]", "must_mention: []", None, "is to be at least one"),
    ("title: Late parcels", "title: '   '", None, "`title` is to be some text"),
    ("when: [performance, drift", "when: [performance, performance", None, "names 'performance' twice"),
    ("on: [promoted, rolled_back, k", "on: [promoted, promoted, k", None, "names 'promoted' twice"),
    ("    - beats_baseline", "    - reproducible", None, "names 'reproducible' twice"),
    ("keep: 400d", "1: x", None, "a name is to be text; found 1"),
]


@pytest.mark.parametrize(("right", "wrong", "line", "message"), MISTAKES)
def test_one_mistake_is_one_error_with_its_line(
    whole: str, right: str, wrong: str, line: int | None, message: str
) -> None:
    """`line` is given where it is not that of the first letter that differs."""
    same = len(os.path.commonprefix([right, wrong]))  # noqa: RUF071 - of texts, not paths
    expected = line or whole[: whole.index(right) + same].count("\n") + 1
    (found,) = problems(whole.replace(right, wrong, 1))
    assert re.match(rf"{expected}: .*{message}", found), found


def test_every_mistake_is_told_at_once(whole: str) -> None:
    text = (
        whole.replace("bucket: 1d", "bucket: daily").replace("role: owner", "role: boss").replace("by: lead", "by: x")
    )
    assert [found.split(":")[0] for found in problems(text)] == ["11", "40"]


@pytest.mark.parametrize(
    "text", ["", "- a\n", "words\n", "{", "&a [*a]", "a: &a [1]\n" + "b: *a\n", "\0", "%YAML 9.9\n--- x"]
)
def test_what_is_no_plan_is_said_to_be_none(text: str) -> None:
    assert problems(text)


def test_aliases_that_unfold_without_end_are_refused() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 30))
    assert any("beyond reading" in found for found in problems(bomb))


def test_files_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"shelflife: 1\ntitle: caf\xe9\n")
    with pytest.raises(PlanError, match=r"p\.yaml:2: a plan is UTF-8 text; found the byte 0xe9"):
        plan.read(tmp_path / "p.yaml")
    with pytest.raises(BadInput, match="There is no plan"):
        plan.read(tmp_path / "none.yaml")
    (tmp_path / "long.yaml").write_text("#" * 1_000_001)
    with pytest.raises(BadInput, match="a plan has at most"):
        plan.read(tmp_path / "long.yaml")


@given(st.text(max_size=300))
def test_any_text_is_a_plan_or_a_plan_error(text: str) -> None:
    with pytest.raises(PlanError):
        plan.parse(text)


@given(st.integers(1, 10**9), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_durations_are_read_as_they_are_written(number: int, unit: str) -> None:
    span = timedelta(
        **{{"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[unit]: number % 9999 + 1}
    )
    read = plans.minimal(**{"watch.false_alarms": {"at_most": 1.0, "per": written(span)}})
    assert read.watch.false_alarms.per == span


@pytest.mark.parametrize("kept", [True, False], ids=["at hand", "not kept"])
def test_a_plan_is_recalled_as_it_was_read(whole: str, kept: bool) -> None:
    for text in (whole, plans.text()):
        read = plan.parse(text)
        again = plan.recalled(text, read.said if kept else None, read.sha256, source="plan 1")
        assert (again.plan, again.said, again.sha256) == (read.plan, read.said, read.sha256)
        assert again.line("watch", "drift") == read.line("watch", "drift")


def test_what_somebody_changed_is_not_recalled(whole: str) -> None:
    read = plan.parse(whole)
    looser = read.said.replace('"at_most": 0.03', '"at_most": 0.9')
    assert looser != read.said
    assert plan.recalled(whole, looser, read.sha256, source="plan 1").plan == read.plan


def test_content_and_not_layout_is_what_a_plan_says(whole: str) -> None:
    same = "# a comment\n" + whole.replace("{every: 90d, by: lead}", "\n  by: lead\n  every: 90d")
    assert plan.parse(same).sha256 == plan.parse(whole).sha256
    assert plan.parse(whole.replace("0.85", "0.86")).sha256 != plan.parse(whole).sha256


# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("  owner: lead\n  kpis", "  kpis", "PL101"),
        ("    owner: engineer\n", "", "PL101"),
        ("  approve: {by: approver, within: 3d, same_person: true}\n", "", "PL102"),
        (", same_person: true", "", "PL103"),
        (', channel: "slack://delivery/late"', "", "PL104"),
        ("  - {to: callers, on: [promoted, rolled_back, knowledge_stale], acknowledge: {share: 0.8, within: 3d}}\n", "",
         "PL105"),
        ("  outcome: {name: was_late, within: 10d}\n", "", "PL201"),
        ("  performance: {metric: accuracy, at_least: 0.85}\n", "", "PL202"),
        ("within: 10d", "within: 400d", "PL203"),
        ("bucket: 1d", "bucket: 1w", "PL204"),
        ("by: lead}\nkeep", "by: lead, last: 2025-01-01}\nkeep", "PL301"),
        ("review: {every: 90d, by: lead}\n", "", "PL302"),
        ("  train: parcels.training:train\n", "", "PL401"),
        ("  gates:\n", "  x_gates:\n", "PL402"),
        ("bucket: 1d", "bucket: 2d", "PL204"),
        ("keep: 400d", "keep: 1h", "PL205"),
        ("per: 180d", "per: 1d", "PL206"),
        ("at_most: 1, per: 180d", "at_most: 1000, per: 1d", "PL206"),
        ("every: 1h", "every: 1s", "PL207"),
        ("challenger: {every: 1w}", "challenger: {every: 1s}", "PL207"),
        ("by: lead}\nkeep", "by: lead, last: 2030-01-01}\nkeep", "PL303"),
        ("windows: [4w, 13w, 26w, all], validate: 2w", "windows: [4w], validate: 30w", "PL403"),
        ("table: scans/*.parquet", "sql: 'postgresql://u:secret@h/x', query: SELECT 1", "PL501"),
        ("table: scans/*.parquet", "sql: 'mssql://h/x?user=u&password=secret', query: SELECT 1", "PL501"),
        ("table: scans/*.parquet", "connector: crm, options: {api_key: abc}", "PL501"),
    ],
)  # fmt: skip
def test_what_is_left_open_is_remarked(whole: str, right: str, wrong: str, code: str) -> None:
    assert right in whole
    text = whole.replace(right, wrong, 1)
    if code == "PL402":
        text = re.sub(r"  x_gates:\n(    - .*\n)+", "", text)
    codes = [remark.code for remark in plan.remarks(plan.parse(text), date(2026, 5, 1))]
    assert code in codes


def test_a_date_that_may_never_come_needs_another_reason(whole: str) -> None:
    best = whole.replace("{age: 26w}", "{age: best_before}")
    assert plan.remarks(plan.parse(best), date(2026, 5, 1)) == []  # challengers are trained in the wings
    alone = re.sub(r"  challenger: .*\n", "", re.sub(r"when: \[.*\]", "when: [{age: best_before}]", best))
    assert [one.code for one in plan.remarks(plan.parse(alone), date(2026, 5, 1)) if one.code == "PL404"] == ["PL404"]
    both = alone.replace("{age: best_before}", "{age: best_before}, {every: 52w}")
    assert "PL404" not in {one.code for one in plan.remarks(plan.parse(both), date(2026, 5, 1))}


def test_a_measure_of_the_score_needs_one(whole: str) -> None:
    text = whole.replace("{metric: accuracy, at_least: 0.85}", "{metric: roc_auc, at_least: 0.85}")
    assert plan.remarks(plan.parse(text), date(2026, 5, 1)) == []
    found = plan.remarks(plan.parse(text.replace("  score: chance\n", "")), date(2026, 5, 1))
    assert [(remark.code, "roc_auc is promised" in remark.says) for remark in found] == [("PL201", True)]


@pytest.mark.parametrize("url", ["postgresql://${USER}:${PASSWORD}@h/x", "${DATABASE}", "sqlite:///x.db", "pg://u@h/x"])
def test_secrets_of_the_environment_are_not_remarked_upon(whole: str, url: str) -> None:
    text = whole.replace("table: scans/*.parquet", f"sql: '{url}', query: SELECT 1")
    assert plan.remarks(plan.parse(text), date(2026, 5, 1)) == []


def test_a_review_that_is_yet_to_come_is_none(whole: str) -> None:
    read = plan.parse(whole.replace("by: lead}\nkeep", "by: lead, last: 2030-01-01}\nkeep"))
    found = plan.remarks(read, date(2026, 5, 1), reviewed=date(2025, 1, 1))
    assert [remark.code for remark in found] == ["PL301", "PL303"]


@pytest.mark.parametrize("query", ["select 1", "-- all\n WITH x AS (SELECT 1) FROM x", "/* a\n b */ (SELECT 1)"])
def test_a_query_may_begin_with_anything_that_selects(whole: str, query: str) -> None:
    text = whole.replace("table: scans/*.parquet", f"sql: '${{DB}}', query: {json.dumps(query)}")
    assert plan.parse(text).plan.feeds["scans"].pull


def test_columns_of_rows_are_those_that_are_observed(whole: str) -> None:
    for kind in SENT:
        assert COLUMNS[kind] == tuple(shape(plan.parse(whole).plan, kind).schema.names)


def test_applying_a_plan_counts_as_reading_it(whole: str) -> None:
    read = plan.parse(whole)
    assert [r.code for r in plan.remarks(read, date(2026, 5, 1), reviewed=date(2026, 1, 1))] == ["PL301"]
    assert plan.remarks(read, date(2026, 5, 1), reviewed=date(2026, 4, 1)) == []


def test_every_remark_is_in_the_docs(root: Path) -> None:
    page = (root / "docs" / "plan.md").read_text()
    for code, name in CODES.items():
        assert f"| {code} | {name} |" in page


def test_the_reference_says_what_the_classes_say(root: Path) -> None:
    page = runpy.run_path(str(root / "docs" / "plan_reference.py"))["page"]
    assert (root / "docs" / "plan-reference.md").read_text() == page(), "run: python docs/plan_reference.py"


def test_differences_are_told_by_what_they_do(whole: str) -> None:
    old = plan.parse(whole).plan
    new = plan.parse(
        whole.replace("at_least: 0.85", "at_least: 0.9")
        .replace("tolerance: 0.05", "tolerance: 0.1")
        .replace("  adoption: {overrides: {at_most: 0.15}}\n", "")
        .replace("weight: numeric", "weight: numeric, parcels: numeric")
        .replace("    - reproducible\n", "")
    ).plan
    told = {(change.place, change.effect) for change in plan.differences(old, new)}
    assert told == {
        ("watch.performance.at_least", "stricter"),
        ("watch.drift.tolerance", "looser"),
        ("watch.adoption.overrides.at_most", "no longer watched"),
        ("model.inputs.parcels", "newly watched"),
        ("renew.gates[reproducible]", "removed"),
    }
    assert plan.differences(old, old) == []
    there, back = plan.differences(old, new), plan.differences(new, old)
    opposite = {"stricter": "looser", "looser": "stricter", "newly watched": "no longer watched",
                "no longer watched": "newly watched", "added": "removed", "removed": "added"}  # fmt: skip
    assert {(c.place, opposite[c.effect]) for c in there} == {(c.place, c.effect) for c in back}


def test_a_word_that_stays_in_a_list_is_no_difference_whatever_else_comes_into_it() -> None:
    raw = json.loads(plans.text())
    raw["renew"] = {"when": ["drift"], "gates": ["beats_baseline"]}
    old = plan.parse(json.dumps(raw)).plan
    raw["renew"] = {"when": [{"age": "26w"}, "drift"], "gates": [{"size_mb": 5}, "beats_baseline"]}
    new = plan.parse(json.dumps(raw)).plan
    assert {(one.place, one.effect) for one in plan.differences(old, new)} == {
        ("renew.when[age].age", "added"), ("renew.gates[size_mb].size_mb", "added"),
    }  # fmt: skip


def test_the_schema_is_one_and_takes_what_is_valid(whole: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from ruamel.yaml import YAML

    schema = plan.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    said = json.loads(json.dumps(YAML(typ="safe", pure=True).load(whole), default=str))
    jsonschema.Draft202012Validator(schema).validate(said)
    said["watch"]["bucket"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(said)
