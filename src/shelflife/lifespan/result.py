"""What `lifespan` answers: plain frozen values, one dataclass per kind of row.

The JSON form is a contract (``schema`` names it): keys are added, never renamed.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import altair as alt
    import pyarrow as pa

SCHEMA = "shelflife.lifespan/1"

Task = Literal["classification", "regression"]
Verdict = Literal["expires", "no expiry seen", "unknown"]


@dataclass(frozen=True)
class Data:
    """The table that was measured and the slices of time it was cut into."""

    rows: int
    start: datetime
    end: datetime
    every_days: float
    target: str
    task: Task
    metric: str
    source: str
    time: str
    features: tuple[str, ...]
    rows_per_day: float
    sha256: str


@dataclass(frozen=True)
class Origin:
    """One past moment at which a model was trained, and how long that model lasted.

    ``expired_after_days`` is the age at which its excess loss began to pass the tolerance, ``detected_after_days``
    the age at which the evidence sufficed to say so; both are None for a model still good when the history ends.
    ``good_until_days`` is the age up to which nothing speaks against it: where survival counts it as censored.
    """

    at: datetime
    rows: int
    expired_after_days: float | None
    detected_after_days: float | None
    observed_days: float
    good_until_days: float


@dataclass(frozen=True)
class CurvePoint:
    """Mean loss of models of one age and of fresh models, on the same rows, in units of the metric."""

    age_days: float
    origins: int
    loss: float
    fresh_loss: float
    excess: float
    excess_low: float
    excess_high: float
    rows: int


@dataclass(frozen=True)
class SurvivalPoint:
    """Share of models still within the tolerance beyond one age (Kaplan-Meier), with its interval."""

    age_days: float
    survival: float
    low: float
    high: float
    at_risk: int


@dataclass(frozen=True)
class Answer:
    """How long models last. ``tolerance`` is in units of the metric; ``tolerance_relative`` as a share of the fresh
    loss where so asked.
    """

    verdict: Verdict
    median_days: float | None
    low_days: float | None
    high_days: float | None
    quartile_days: float | None
    tolerance: float
    confidence: float
    tolerance_relative: float | None
    watched_days: float
    expired: int
    log10_evidence: float


@dataclass(frozen=True)
class Baseline:
    """A rival that learns nothing, on the rows on which fresh models were scored."""

    name: str
    loss: float
    model_loss: float
    beaten: bool


@dataclass(frozen=True)
class Cadence:
    """What retraining every so often leaves of excess loss per row, and what that costs."""

    every_days: float
    expected_excess: float
    renewals_per_year: float
    cost_per_year: float | None


@dataclass(frozen=True)
class Cell:
    """One cell of the decay map: the model born at ``born`` on the rows from ``start``, ``age_days`` later."""

    born: datetime
    start: datetime
    age_days: float
    rows: int
    excess: float


@dataclass(frozen=True)
class Event:
    """A moment at which models of different ages ended together: something happened, they did not merely age."""

    at: datetime
    origins: int


@dataclass(frozen=True)
class Control:
    """The same measurement with the rows in random order of time, where nothing can age."""

    verdict: Verdict
    expired: int
    origins: int
    largest_excess: float


@dataclass(frozen=True)
class Ingredients:
    """What a model measured here is made of, so that the same can be made again."""

    data: str
    code: str
    environment: str
    seed: int


@dataclass(frozen=True, repr=False)
class Lifespan:
    """The answer to *how long do my models last?* and everything it rests on.

    Attributes are the keys of the JSON contract ``shelflife.lifespan/1``; ages are in days, losses in units of
    ``data.metric``. ``says`` is the answer in a sentence or two, most important first.

    Examples
    --------
    >>> import shelflife
    >>> from shelflife.testing import histories
    >>> history = histories.drifting(days=200, rows_per_day=20, ageing=0.004, seed=3)
    >>> result = shelflife.lifespan(
    ...     history, time="ts", target="y", every="1w", window="8w", model=histories.fast_model, jobs=1
    ... )
    >>> result.lifespan.verdict
    'expires'
    """

    says: str
    data: Data
    origins: tuple[Origin, ...]
    curve: tuple[CurvePoint, ...]
    survival: tuple[SurvivalPoint, ...]
    lifespan: Answer
    baseline: Baseline
    baselines: tuple[Baseline, ...]
    best_before: datetime | None
    cadence: tuple[Cadence, ...]
    recommended_cadence_days: float | None
    events: tuple[Event, ...]
    decay_map: tuple[Cell, ...]
    control: Control | None
    window_days: float | None
    label_delay_days: float
    ingredients: Ingredients
    notes: tuple[str, ...]
    engine: str
    jobs: int
    seconds: float
    seconds_training: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract as plain values: dates as ISO text, missing numbers as None."""
        return {"schema": SCHEMA, **_plain(dataclasses.asdict(self))}

    def to_json(self) -> str:
        """The JSON contract as text, indented, keys in the order of the contract."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def table(self) -> pa.Table:
        """The decay curve as an Arrow table, one row per age, with the survival at that age beside it."""
        import pyarrow as pa

        survival = {point.age_days: point for point in self.survival}
        rows = []
        for point in self.curve:
            lasting = survival.get(point.age_days)
            rows.append(
                {
                    **dataclasses.asdict(point),
                    "survival": lasting.survival if lasting else None,
                    "survival_low": lasting.low if lasting else None,
                    "survival_high": lasting.high if lasting else None,
                    "at_risk": lasting.at_risk if lasting else None,
                }
            )
        return pa.Table.from_pylist(rows)

    def plot(self) -> alt.VConcatChart:
        """The decay curve, the survival curve and the decay map as one Altair chart."""
        from shelflife.lifespan import charts

        return charts.overview(self)

    def report(self) -> str:
        """The answer as one self-contained HTML page that works offline."""
        from shelflife.lifespan import report

        return report.html(self)

    def badge(self) -> str:
        """The best-before badge as SVG text."""
        from shelflife.lifespan import report

        return report.badge(self)

    def __repr__(self) -> str:
        return f"<Lifespan {self.lifespan.verdict}: {self.says}>"

    def _repr_html_(self) -> str:
        from shelflife.lifespan import report

        return report.fragment(self)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
