"""What a plan may say: one class a section, one field a word, in the order in which people write them.

A plan that breaks a rule here is not valid; what is valid and yet unwise is told by `shelflife.plan.lint`. Every
field carries the words that editors and the reference show.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from shelflife.plan.words import (
    Amount,
    BestBefore,
    Column,
    Columns,
    Count,
    Currency,
    DatabaseUrl,
    Duration,
    Email,
    Function,
    Line,
    Name,
    Number,
    Share,
    Url,
    Window,
)  # fmt: skip

Kind = Literal["numeric", "category", "boolean", "text", "time", "vector"]
PersonRole = Literal["owner", "approver", "analyst", "engineer", "affected", "leader"]
Period = Literal["hour", "day", "week", "month", "quarter", "year"]
Season = Literal["day", "week", "year", "none"]
Metric = Literal[
    "accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "log_loss", "brier",
    "calibration_error", "mae", "rmse", "r2",
]  # fmt: skip
Occasion = Literal[
    "finding", "resolved", "approval_needed", "promoted", "rolled_back", "rejected", "renewal_started",
    "knowledge_stale", "feed_stale", "change", "review_due",
]  # fmt: skip

# Of these less is better; of all others more is.
LOSSES = frozenset({"log_loss", "brier", "calibration_error", "mae", "rmse"})
# These are of the score and not of the answer alone.
SCORED = frozenset({"roc_auc", "average_precision", "log_loss", "brier", "calibration_error"})
UNBOUNDED = frozenset({"log_loss", "mae", "rmse", "r2"})
REGRESSION = frozenset({"mae", "rmse", "r2"})


class Section(BaseModel):
    """A part of a plan: nothing but the words it knows, nothing turned silently into another type, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _whole(message: str, **found: Any) -> PydanticCustomError:
    """What is wrong with a part as a whole; the message is complete without what was found."""
    return PydanticCustomError("whole", message, found)


class Bound(Section):
    """A limit from below, from above, or both."""

    at_least: Number | None = Field(None, description="Not less than this.")
    at_most: Number | None = Field(None, description="Not more than this.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        self._check()
        return self

    def _check(self) -> None:
        """Raise where no promise is made, or one that cannot be kept."""
        if self.at_least is None and self.at_most is None:
            raise _whole("promises nothing: it needs `at_least` or `at_most`")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise _whole(
                "cannot hold: at least {low} and at most {high}",
                low=f"{self.at_least:g}", high=f"{self.at_most:g}",
            )  # fmt: skip


class Value(Section):
    """What something is worth."""

    amount: Amount = Field(description="How much, in the currency.")
    currency: Currency = Field(description="Three letters, as EUR.")
    per: Period = Field(description="In which time.")


class Kpi(Bound):
    """One figure by which the business judges the system."""

    name: Name = Field(description="What it is called; observations of KPIs name it.")
    value_per_point: Value | None = Field(None, description="What one percentage point of it is worth.")


class Objective(Section):
    """Why the system exists, who answers for it and by what it is judged."""

    why: Line = Field(description="What it is for, in a sentence of the business.")
    owner: Name | None = Field(None, description="Who owns the outcome: one of `people`.")
    kpis: tuple[Kpi, ...] = Field((), description="The figures by which it is judged.")


class Person(Section):
    """A person or a group who owns, decides, builds, runs, pays or is affected."""

    name: Line = Field(description="How people know them.")
    role: PersonRole = Field(description="What they are to this system.")
    email: Email | None = Field(None, description="Where they are written to.")
    channel: Url | None = Field(None, description="Where they are told, as slack://… .")
    size: Count | None = Field(None, description="How many they are, for a group.")


class Outcome(Section):
    """The truth about a prediction, and how late it may come."""

    name: Column = Field(description="What turns out true.")
    within: Duration = Field(description="How long after the prediction it is known.")


class Model(Section):
    """What predicts: its inputs, its answer and the truth that comes later."""

    name: Line = Field(description="The registered model.")
    task: Literal["classification", "regression"] = Field(description="What kind of answer it gives.")
    train: Function | None = Field(None, description="The function that trains it, module:name.")
    inputs: dict[Column, Kind] = Field(min_length=1, description="Every input and its kind.")
    prediction: Column = Field(description="What it predicts.")
    score: Columns = Field((), description="Its score, or one for each class.")
    outcome: Outcome | None = Field(None, description="The truth, when it is known.")
    segments: tuple[Column, ...] = Field((), description="Inputs by whose values performance is also watched apart.")
    private: tuple[Column, ...] = Field((), description="Inputs that are kept only as digests.")
    pickle: tuple[Line, ...] = Field(
        (), description="Registered models that may be loaded though they are pickles, which run what they hold."
    )


class Rows(Bound):
    """How many rows are expected in a time."""

    at_least: Amount | None = Field(None, description="Not fewer than this.")
    at_most: Amount | None = Field(None, description="Not more than this.")
    per: Duration = Field(description="In this time.")


class Pull(Section):
    """Where rows are fetched from, on a schedule, those that are new by a column that only grows."""

    rows: Literal["predictions", "outcomes", "feedback", "kpis"] = Field(description="What the rows are.")
    sql: DatabaseUrl | None = Field(
        None, description="A database, as an SQLAlchemy URL; ${NAME} is read from the environment."
    )
    query: Line | None = Field(None, description="The SELECT whose rows are fetched from that database.")
    table: Line | None = Field(
        None, description="Parquet files or a Delta table: a path, a pattern, s3://bucket/table."
    )
    connector: Name | None = Field(None, description="Another source, by the name that its package gives it.")
    options: dict[str, str] = Field({}, description="What that connector is told; ${NAME} as above.")
    mark: Column = Field(description="The column that grows: rows beyond the last one seen are new.")
    every: Duration = Field(description="How often.")
    overlap: Duration | None = Field(
        None, description="So far back rows are read again, where some are written late; the mark is a time then."
    )
    columns: dict[Column, Column] = Field({}, description="Our words for its columns: {id: ticket, time: created_at}.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(source is not None for source in (self.sql, self.table, self.connector)) != 1:
            raise _whole("fetches from one place: it needs one of `sql` with `query`, `table`, `connector`")
        if (self.sql is None) != (self.query is None):
            raise _whole("needs `sql` and `query` together")
        if self.options and self.connector is None:
            raise _whole("has `options`, which only a `connector` is told")
        return self


class Feed(Section):
    """A data pipeline that the system depends on."""

    fresh_within: Duration = Field(description="How old its newest event may be.")
    expect_rows: Rows | None = Field(None, description="How many rows are expected.")
    rows: Literal["predictions", "outcomes", "feedback", "kpis"] | None = Field(
        None, description="The rows by which it is seen; those of its `pull`, else the predictions."
    )
    owner: Name | None = Field(None, description="Who repairs it: one of `people`.")
    pull: Pull | None = Field(None, description="Where its rows are fetched from; without it they are sent to us.")


class Links(Section):
    """The links in a knowledge source."""

    check_every: Duration = Field(description="How often each is tried.")


class Facts(Section):
    """A table of what is true, which a knowledge source has to agree with."""

    source: Line = Field(description="The table.")
    key: Column = Field(description="The column that names what a row is about.")
    must_mention: tuple[Column, ...] = Field(
        min_length=1, description="Columns whose values have to be found in the documents."
    )


class Knowledge(Section):
    """Documents, pages or tables that the system answers from or was taught from."""

    source: Line = Field(description="A pattern of files, a sitemap, a Git repository or a table.")
    owner: Name | None = Field(None, description="Who keeps it true: one of `people`.")
    review_every: Duration | None = Field(None, description="How often each document is read again by its owner.")
    links: Links | None = Field(None, description="Its links.")
    facts: Facts | None = Field(None, description="What it has to agree with.")


class FalseAlarms(Section):
    """The budget of false alarms of the whole system."""

    at_most: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(1, description="So many false alarms.")
    per: Duration = Field(description="In this time.")


class Nulls(Section):
    """How far the share of missing values may move from the reference's."""

    within: Share = Field(description="In shares of rows: 0.01 is one point.")


class AtMost(Section):
    """A share that is not to be passed."""

    at_most: Share = Field(description="Not more than this share.")


class Quality(Section):
    """What the data promise."""

    nulls: Nulls | None = Field(None, description="Missing values.")
    unseen: AtMost | None = Field(None, description="Values that the reference has never seen.")


class Drift(Section):
    """How far the data may move before it matters."""

    tolerance: Share = Field(description="In shares of rows: 0.05 is five points.")


class Performance(Bound):
    """What the model promises."""

    metric: Metric = Field(description="The measure.")


class Adoption(Section):
    """Whether people use what the system says."""

    overrides: AtMost | None = Field(None, description="Share of predictions that people replace by their own answer.")
    escalations: AtMost | None = Field(None, description="Share of predictions that are handed to somebody else.")


class Watch(Section):
    """What is watched, in which slices of time, with which budget of false alarms."""

    bucket: Duration = Field(description="The slice of time, at least 1m; mostly 1h, 1d or 1w.")
    season: Season = Field(
        "none", description="What a bucket is compared with: the same phase of the day, week or year."
    )
    false_alarms: FalseAlarms = Field(description="The budget for the whole system.")
    quality: Quality | None = Field(None, description="What the data promise.")
    drift: Drift | None = Field(None, description="How far the data may move.")
    performance: Performance | None = Field(None, description="What the model promises.")
    adoption: Adoption | None = Field(None, description="Whether people use it.")


# ----------------------------------------------------------------------------------------------------------------------
# Renewal


def _tagged(keys: tuple[str, ...]) -> Callable[[Any], str | None]:
    """Which class an item of a list is, by the word it is or the first telling key it has."""

    def tag(item: Any) -> str | None:
        if isinstance(item, str):
            return "=word"
        if isinstance(item, dict):
            return next((f"={key}" for key in keys if key in item), None)
        return next((f"={key}" for key in keys if hasattr(item, key)), None)

    return tag


class Age(Section):
    """A version is as old as this."""

    age: BestBefore = Field(description="best_before, or an age.")


class Schedule(Section):
    """So much time has gone by since the last renewal."""

    every: Duration = Field(description="How often.")


class Outcomes(Section):
    """So many new outcomes are known."""

    outcomes: Count = Field(description="How many.")


TriggerWord = Literal["performance", "drift", "quality", "change", "knowledge", "kpi", "relation"]
Trigger = Annotated[
    Annotated[TriggerWord, Tag("=word")]
    | Annotated[Age, Tag("=age")]
    | Annotated[Schedule, Tag("=every")]
    | Annotated[Outcomes, Tag("=outcomes")],
    Discriminator(
        _tagged(("age", "every", "outcomes")),
        custom_error_type="trigger",
        custom_error_message="is to be a word, or one of {age: …}, {every: …}, {outcomes: …}",
    ),
]


class MetricGate(Bound):
    """A measure of the challenger on held-out recent rows: not worse than the champion's, or within a limit."""

    metric: Metric = Field(description="The measure.")
    segment: Column | None = Field(None, description="Also for every value of this input.")
    not_worse_by: Amount | None = Field(None, description="How much worse than the champion it may be.")

    def _check(self) -> None:
        if self.not_worse_by is None and self.at_least is None and self.at_most is None:
            raise _whole("asks for nothing: it needs `not_worse_by`, `at_least` or `at_most`")
        if self.at_least is not None or self.at_most is not None:
            super()._check()


class LatencyGate(Section):
    """How long an answer takes, at the 95th percentile."""

    latency_p95: Duration = Field(description="At most this long.")


class SizeGate(Section):
    """How large the artifact is."""

    size_mb: Amount = Field(description="At most so many megabytes.")


class FlipsGate(Section):
    """How many rows are answered otherwise than by the champion."""

    flips: AtMost = Field(description="At most this share.")


class FairnessGate(Section):
    """The gap of a measure between the values of an input."""

    fairness: Column = Field(description="The input.")
    metric: Metric = Field(description="The measure.")
    gap: Amount = Field(description="At most this far between the best and the worst value.")


class FunctionGate(Section):
    """A test of the user's own."""

    function: Function = Field(description="module:name; it is given the challenger and answers whether it passes.")


GateWord = Literal["reproducible", "beats_baseline", "calibrated", "data_checks"]
Gate = Annotated[
    Annotated[GateWord, Tag("=word")]
    | Annotated[MetricGate, Tag("=metric")]
    | Annotated[LatencyGate, Tag("=latency_p95")]
    | Annotated[SizeGate, Tag("=size_mb")]
    | Annotated[FlipsGate, Tag("=flips")]
    | Annotated[FairnessGate, Tag("=fairness")]
    | Annotated[FunctionGate, Tag("=function")],
    Discriminator(
        # `fairness` first: such a gate names a metric as well.
        _tagged(("fairness", "metric", "latency_p95", "size_mb", "flips", "function")),
        custom_error_type="gate",
        custom_error_message=(
            "is to be a word, or one of {metric: …}, {latency_p95: …}, {size_mb: …}, {flips: …}, {fairness: …},"
            " {function: …}"
        ),
    ),
]


class Challenger(Section):
    """How often a rival is trained in the wings."""

    every: Duration = Field(description="How often.")
    better_by: Amount = Field(0.0, description="By how much it has to do better than the champion; else that stays.")


class Money(Section):
    """An amount of money."""

    amount: Amount = Field(description="How much.")
    currency: Currency = Field(description="Three letters, as EUR.")


class Worth(Section):
    """What a renewal costs and an error costs: one that does not pay is not asked for."""

    error: Money = Field(description="What one error costs; of numbers, being off by one.")
    renewal: Money = Field(description="What training, review and rollout of one renewal cost.")
    horizon: Duration = Field(description="The time over which it has to pay.")

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if self.error.currency != self.renewal.currency:
            raise _whole("names two currencies; write both amounts in one")
        return self


class TrainingData(Section):
    """What is trained on, and what decides between the results."""

    windows: tuple[Window, ...] = Field(min_length=1, description="How far back each rival learns: durations, or all.")
    validate_: Duration = Field(alias="validate", description="The newest rows, kept apart to decide between them.")


class Limits(Section):
    """What one training may take; beyond it is stopped."""

    time: Duration | None = Field(None, description="So long.")
    memory_mb: Amount | None = Field(None, description="So many megabytes.")


class Approve(Section):
    """Who decides."""

    by: Name = Field(description="A person, or a role that at least one person has.")
    within: Duration = Field(description="How long they have.")
    same_person: bool = Field(False, description="Whether who started a renewal may be its only approver.")


class Bake(Section):
    """How long each step of a rollout is watched; where its error may end it, counted when outcomes are due."""

    rows: Count | None = Field(None, description="At least so many rows.")
    time: Duration | None = Field(None, description="At least so long.")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.rows is None and self.time is None:
            raise _whole("waits for nothing: it needs `rows` or `time`")
        return self


class WorseBy(Section):
    """How much worse than the champion, live."""

    worse_by: Amount = Field(description="By more than this.")


class AbortIf(Section):
    """What ends a canary."""

    error: WorseBy | None = Field(None, description="Its error, in shares.")
    overrides: WorseBy | None = Field(None, description="Its overrides, in shares.")
    latency_p95: Duration | None = Field(None, description="Answers that take longer.")


class Freeze(Section):
    """A time in which nothing is rolled out."""

    start: date = Field(description="The first day.")
    end: date = Field(description="The last day.")
    why: Line | None = Field(None, description="The reason.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end < self.start:
            raise _whole("ends before it starts")
        return self


def _rising(steps: Any) -> Any:
    if isinstance(steps, list | tuple) and all(isinstance(step, int | float) for step in steps):
        if any(not 0 < step <= 1 for step in steps):
            raise PydanticCustomError("steps", "are to be shares of traffic above 0 and at most 1")
        if any(later <= earlier for earlier, later in itertools.pairwise(steps)) or (steps and steps[-1] != 1):
            raise PydanticCustomError("steps", "are to rise and to end at 1.0, everyone")
    return tuple(steps) if isinstance(steps, list) else steps


class Rollout(Section):
    """In which steps a challenger reaches everyone."""

    steps: Annotated[tuple[Share, ...], BeforeValidator(_rising)] = Field(
        (1.0,), min_length=1, description="Shares of traffic, rising to 1.0."
    )
    bake: Bake | None = Field(None, description="How long each step is watched.")
    abort_if: AbortIf | None = Field(None, description="What ends it.")
    freeze: tuple[Freeze, ...] = Field((), description="Times in which nothing is rolled out.")


class Renew(Section):
    """When and how the system is renewed, and who decides."""

    when: tuple[Trigger, ...] = Field((), description="What starts a renewal.")
    cooldown: Duration | None = Field(None, description="How long after a renewal none is started by itself.")
    challenger: Challenger | None = Field(None, description="Rivals trained in the wings.")
    data: TrainingData | None = Field(None, description="What is trained on.")
    worth: Worth | None = Field(None, description="What renewing costs and errors cost.")
    limits: Limits | None = Field(None, description="What one training may take.")
    gates: tuple[Gate, ...] = Field((), description="What a challenger has to pass.")
    approve: Approve | None = Field(None, description="Who decides.")
    rollout: Rollout | None = Field(None, description="In which steps it reaches everyone.")

    @property
    def by_best_before(self) -> bool:
        """Whether a champion that is past its best-before date is a reason."""
        return any(isinstance(one, Age) and one.age == "best_before" for one in self.when)


class Acknowledge(Section):
    """Who of those told has to say that they know."""

    share: Share = Field(description="This share of them.")
    within: Duration = Field(description="In this time.")


class Brief(Section):
    """Who is told what."""

    to: Name = Field(description="One of `people`.")
    on: tuple[Occasion, ...] = Field(min_length=1, description="On which occasions.")
    acknowledge: Acknowledge | None = Field(None, description="Whether they have to say that they know.")
    digest: Literal["daily", "weekly", "monthly"] | None = Field(
        None, description="Together, so often, not one by one."
    )


class Review(Section):
    """How often people read the plan again."""

    every: Duration = Field(description="How often.")
    by: Name = Field(description="Who: one of `people`.")
    last: date | None = Field(None, description="When it was last read through; applying the plan counts too.")


class Plan(Section):
    """The maintenance plan of one system."""

    shelflife: Literal[1] = Field(description="The version of this format.")
    system: Name = Field(description="The system's name, in addresses and folders.")
    title: Line = Field(description="What people call it.")
    objective: Objective = Field(description="Why it exists, who owns it, how it is judged.")
    people: dict[Name, Person] = Field({}, description="Who is concerned, by a short name.")
    model: Model = Field(description="What predicts.")
    feeds: dict[Name, Feed] = Field({}, description="The pipelines it depends on.")
    knowledge: dict[Name, Knowledge] = Field({}, description="The documents it answers from.")
    watch: Watch = Field(description="What is watched.")
    renew: Renew | None = Field(None, description="When and how it is renewed.")
    brief: tuple[Brief, ...] = Field((), description="Who is told what.")
    review: Review | None = Field(None, description="How often the plan itself is read again.")
    keep: Duration | None = Field(None, description="How long observations are kept; without it for good.")
