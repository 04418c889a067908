"""What rows of each kind look like: which columns, of which types, by the plan of their system."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Literal

import pyarrow as pa

from shelflife.plan import Plan

# What is sent to us; shadows are answers of the gateway that nobody was given, and no evidence of the system.
SentKind = Literal["predictions", "outcomes", "feedback", "kpis"]
SENT: tuple[SentKind, ...] = ("predictions", "outcomes", "feedback", "kpis")
RowKind = SentKind | Literal["shadows"]
KINDS: tuple[RowKind, ...] = (*SENT, "shadows")

MOMENT = pa.timestamp("us", tz="UTC")
FEEDBACK = ("override", "escalation", "rating", "comment")
# Of an answer of the gateway: by which key, which route and which number of the routes, after how many milliseconds.
SERVED = {"key": pa.string(), "route": pa.string(), "revision": pa.float64(), "latency": pa.float64()}

_TYPES = {
    "numeric": pa.float64(),
    "category": pa.string(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "time": MOMENT,
    "vector": pa.list_(pa.float64()),
}


@dataclass(frozen=True)
class Shape:
    """The columns of one kind of row of one system.

    Attributes
    ----------
    kind
        What the rows are.
    schema
        Columns as they are read; ``inputs`` and several scores are structs.
    needed
        Columns without which a row is rejected.
    words
        Texts that a column may hold, by column; of others any.
    private
        Inputs that are read by their type and kept as digests.
    called
        What the plan calls a column of ours, and so most likely a table of its people too.
    between
        The least and the most that a number may be, by column; of a struct that of each of its parts.
    keeps
        How long rows are kept; None for ever.
    """

    kind: RowKind
    schema: pa.Schema
    needed: frozenset[str]
    words: dict[str, tuple[str, ...]]
    private: frozenset[str] = frozenset()
    called: dict[str, str] = field(default_factory=dict)
    between: dict[str, tuple[float, float]] = field(default_factory=dict)
    keeps: timedelta | None = None

    @cached_property
    def places(self) -> dict[str, list[tuple[str, str | None]]]:
        """In which columns of ours, and in which part of a struct, belongs what has a name of the plan's."""
        found: dict[str, list[tuple[str, str | None]]] = {}
        for ours, theirs in self.called.items():
            found[theirs] = [(ours, None)]
        for column in self.schema:
            for part in column.type if pa.types.is_struct(column.type) else ():
                found.setdefault(part.name, []).append((column.name, part.name))
        return found

    @property
    def kept(self) -> pa.Schema:
        """Columns as they are kept."""
        if not self.private:
            return self.schema
        place = self.schema.get_field_index("inputs")
        inputs = self.schema.field(place).type
        hidden = pa.struct([
            pa.field(one.name, pa.string() if one.name in self.private else one.type)
            for one in (inputs.field(i) for i in range(inputs.num_fields))
        ])  # fmt: skip
        return self.schema.set(place, pa.field("inputs", hidden))


def shape(plan: Plan, kind: RowKind) -> Shape:
    """The shape of a kind of row by the plan."""
    return replace(_shape(plan, kind), keeps=plan.keep)


def _shape(plan: Plan, kind: RowKind) -> Shape:
    answer = pa.float64() if plan.model.task == "regression" else pa.string()
    truth = plan.model.outcome.name if plan.model.outcome is not None else None
    fields = [pa.field("id", pa.string()), pa.field("time", MOMENT)]
    if kind == "predictions":
        # Where both have one name, a table's column of that name is as likely what turned out true.
        called = {} if plan.model.prediction == truth else {"prediction": plan.model.prediction}
        inputs = pa.struct([(name, _TYPES[kind]) for name, kind in plan.model.inputs.items()])
        fields += [pa.field("version", pa.string()), pa.field("prediction", answer)]
        fields += [pa.field(name, kind) for name, kind in SERVED.items()]
        if len(plan.model.score) == 1:
            fields.append(pa.field("score", pa.float64()))
            called["score"] = next(iter(plan.model.score))
        elif plan.model.score:
            fields.append(pa.field("score", pa.struct([(name, pa.float64()) for name in plan.model.score])))
        fields.append(pa.field("inputs", inputs))
        # Of a class a score is the chance; of a number it may be anything.
        between = {"score": (0.0, 1.0)} if plan.model.score and plan.model.task == "classification" else {}
        return Shape(
            kind, pa.schema(fields), frozenset({"id", "time"}), {}, frozenset(plan.model.private), called, between
        )
    if kind == "shadows":
        fields += [pa.field("version", pa.string()), pa.field("prediction", answer), pa.field("score", pa.float64())]
        fields += [pa.field(name, kind) for name, kind in SERVED.items()]
        return Shape(kind, pa.schema([*fields, pa.field("error", pa.string())]), frozenset({"id", "time"}), {})
    if kind == "outcomes":
        fields.append(pa.field("outcome", answer))
        called = {"outcome": truth} if truth else {}
        return Shape(kind, pa.schema(fields), frozenset({"id", "outcome"}), {}, called=called)
    if kind == "feedback":
        texts = [pa.field(name, pa.string()) for name in ("prediction_id", "what", "value", "by", "text")]
        return Shape(kind, pa.schema([*fields, *texts]), frozenset({"id", "what"}), {"what": FEEDBACK})
    figures = [pa.field("kpi", pa.string()), pa.field("value", pa.float64()), pa.field("rows", pa.float64())]
    names = tuple(kpi.name for kpi in plan.objective.kpis)
    return Shape(
        kind, pa.schema([*fields, *figures]), frozenset({"id", "kpi", "time", "value"}), {"kpi": names},
        between={"rows": (0.0, math.inf)},
    )  # fmt: skip
