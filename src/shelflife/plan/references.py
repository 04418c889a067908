"""What a plan says that cannot be true: people who are nobody, inputs that are none, limits beyond reach."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta

from shelflife.errors import nearest
from shelflife.plan.spec import LOSSES, REGRESSION, UNBOUNDED, Bound, FairnessGate, Gate, MetricGate, Plan
from shelflife.plan.words import Place, dotted, written

# What rows of each kind are made of, besides inputs and scores by their names; see `shelflife.observe.shapes`.
COLUMNS = {
    "predictions": (
        "id",
        "time",
        "version",
        "prediction",
        "key",
        "route",
        "revision",
        "latency",
        "score",
        "inputs",
    ),
    "outcomes": ("id", "time", "outcome"),
    "feedback": ("id", "time", "prediction_id", "what", "value", "by", "text"),
    "kpis": ("id", "time", "kpi", "value", "rows"),
}
SHORTEST_BUCKET = timedelta(minutes=1)
_QUERIES = frozenset({"select", "with", "values", "table", "from"})  # what can stand in the FROM of another


def contradictions(plan: Plan) -> Iterator[tuple[Place, str]]:
    """Every contradiction, with its place in the plan."""
    yield from _people(plan)
    yield from _columns(plan)
    yield from _pulls(plan)
    yield from _limits(plan)
    yield from _repeated(plan)


def own_columns(plan: Plan) -> tuple[str, ...]:
    """What rows of predictions are made of besides inputs; a score only where the model has one."""
    return tuple(name for name in COLUMNS["predictions"] if name != "score" or plan.model.score)


def owners(plan: Plan) -> Iterator[tuple[Place, str]]:
    """Everybody whom the plan names, and where."""
    if plan.objective.owner is not None:
        yield ("objective", "owner"), plan.objective.owner
    for name, feed in plan.feeds.items():
        if feed.owner is not None:
            yield ("feeds", name, "owner"), feed.owner
    for name, source in plan.knowledge.items():
        if source.owner is not None:
            yield ("knowledge", name, "owner"), source.owner
    for position, brief in enumerate(plan.brief):
        yield ("brief", position, "to"), brief.to
    if plan.review is not None:
        yield ("review", "by"), plan.review.by


def audience(plan: Plan, occasion: str) -> list[str]:
    """Those of `people` who are told of an occasion."""
    return list(dict.fromkeys(one.to for one in plan.brief if occasion in one.on))


def approvers(plan: Plan) -> list[str]:
    """Those of `people` who may approve a renewal: a person that is named, or all who have the role."""
    approve = plan.renew.approve if plan.renew is not None else None
    if approve is None:
        return []
    if approve.by in plan.people:
        return [approve.by]
    return [name for name, person in plan.people.items() if person.role == approve.by]


def _people(plan: Plan) -> Iterator[tuple[Place, str]]:
    for place, name in owners(plan):
        if name not in plan.people:
            yield place, f"`{dotted(place)}` names nobody: {name!r} is not one of `people`. {_near(name, plan.people)}"
    approve = plan.renew.approve if plan.renew is not None else None
    if approve is not None and not approvers(plan):
        roles = sorted({person.role for person in plan.people.values()})
        yield (
            ("renew", "approve", "by"),
            f"`renew.approve.by` names nobody: {approve.by!r} is neither one of `people` nor a role that one of them"
            f" has. {_near(approve.by, [*plan.people, *roles])}",
        )


def _columns(plan: Plan) -> Iterator[tuple[Place, str]]:
    inputs = plan.model.inputs
    named: list[tuple[Place, str]] = [(("model", "segments", i), name) for i, name in enumerate(plan.model.segments)]
    named += [(("model", "private", i), name) for i, name in enumerate(plan.model.private)]
    for position, gate in enumerate(plan.renew.gates if plan.renew is not None else ()):
        if isinstance(gate, MetricGate) and gate.segment is not None:
            named.append((("renew", "gates", position, "segment"), gate.segment))
        if isinstance(gate, FairnessGate):
            named.append((("renew", "gates", position, "fairness"), gate.fairness))
    for place, name in named:
        if name not in inputs:
            yield place, f"`{dotted(place)}` is to be one of `model.inputs`; found {name!r}. {_near(name, inputs)}"
        elif place[-2] != "private" and inputs[name] not in {"category", "boolean"}:
            yield (
                place,
                f"`{dotted(place)}` is to be a category or a boolean input; {name!r} is {inputs[name]}, and has no"
                " groups to compare.",
            )
    for name in inputs:
        if name in own_columns(plan):
            yield (
                ("model", "inputs", name),
                f"`model.inputs` names {name!r}, which is the row's own {name}: call the input otherwise.",
            )
    if plan.model.prediction in inputs:
        yield ("model", "prediction"), f"`model.prediction` is to be no input; found {plan.model.prediction!r}."
    if plan.model.outcome is not None and plan.model.outcome.name in inputs:
        yield (
            ("model", "outcome", "name"),
            f"`model.outcome.name` is to be no input, which would tell the answer; found {plan.model.outcome.name!r}.",
        )


def _pulls(plan: Plan) -> Iterator[tuple[Place, str]]:
    for feed, pull in [(name, feed.pull) for name, feed in plan.feeds.items() if feed.pull is not None]:
        place = ("feeds", feed, "pull")
        ours = list(COLUMNS[pull.rows])
        if pull.rows == "predictions":
            ours = [*own_columns(plan), *plan.model.inputs, *plan.model.score]
        for name in pull.columns:
            if name not in ours:
                yield (
                    (*place, "columns", name),
                    f"`{dotted((*place, 'columns'))}` has our words on the left: {pull.rows} have no {name!r}."
                    f" {nearest(name, ours)}",
                )
        said = re.sub(r"--[^\n]*|/\*.*?\*/", "", pull.query or "", flags=re.DOTALL)
        first = re.search(r"\w+", said)
        if pull.query is not None and (first is None or first[0].lower() not in _QUERIES):
            found = first[0] if first else pull.query.strip()
            yield (
                (*place, "query"),
                f"`{dotted((*place, 'query'))}` is to be a SELECT, which only reads; found {found!r}.",
            )


def _repeated(plan: Plan) -> Iterator[tuple[Place, str]]:
    yield from _twice(("objective", "kpis"), [kpi.name for kpi in plan.objective.kpis])
    for name in ("segments", "private", "score"):
        yield from _twice(("model", name), getattr(plan.model, name))
    for position, brief in enumerate(plan.brief):
        yield from _twice(("brief", position, "on"), brief.on)
    for source, knowledge in plan.knowledge.items():
        if knowledge.facts is not None:
            yield from _twice(("knowledge", source, "facts", "must_mention"), knowledge.facts.must_mention)
    if plan.renew is not None:
        # Of triggers with a value one of each kind has a meaning; of gates, all that differ.
        when = [item if isinstance(item, str) else next(iter(type(item).model_fields)) for item in plan.renew.when]
        yield from _twice(("renew", "when"), when)
        yield from _twice(("renew", "gates"), [_gate(gate) for gate in plan.renew.gates])


def _gate(gate: Gate) -> str:
    if isinstance(gate, str):
        return gate
    return ", ".join(f"{name}: {value}" for name, value in gate.model_dump(mode="json", exclude_none=True).items())


def _limits(plan: Plan) -> Iterator[tuple[Place, str]]:
    if plan.watch.bucket < SHORTEST_BUCKET:
        yield (
            ("watch", "bucket"),
            f"`watch.bucket` is to be at least {written(SHORTEST_BUCKET)}; found {written(plan.watch.bucket)}.",
        )
    bounds: list[tuple[Place, str, Bound]] = []
    if plan.watch.performance is not None:
        bounds.append((("watch", "performance"), plan.watch.performance.metric, plan.watch.performance))
    for position, gate in enumerate(plan.renew.gates if plan.renew is not None else ()):
        if isinstance(gate, MetricGate):
            bounds.append((("renew", "gates", position), gate.metric, gate))
        if isinstance(gate, FairnessGate):
            yield from _fits(plan, ("renew", "gates", position), gate.metric)
    for place, metric, bound in bounds:
        unfit = [*_fits(plan, place, metric)]
        yield from unfit
        if unfit:
            continue
        if (
            isinstance(bound, MetricGate)
            and bound.not_worse_by is not None
            and bound.not_worse_by > 1
            and metric not in UNBOUNDED
        ):
            yield (
                (*place, "not_worse_by"),
                f"`{dotted(place)}.not_worse_by` is to be at most 1, {metric} is a share; found"
                f" {bound.not_worse_by:g}.",
            )
        yield from _reachable(place, metric, bound)
    for position, kpi in enumerate(plan.objective.kpis):
        if kpi.value_per_point is not None and kpi.value_per_point.amount == 0:
            yield (
                ("objective", "kpis", position, "value_per_point", "amount"),
                f"`objective.kpis[{position + 1}].value_per_point.amount` is to be more than 0; leave it out if a point"
                " is worth nothing.",
            )


def _fits(plan: Plan, place: Place, metric: str) -> Iterator[tuple[Place, str]]:
    if (metric in REGRESSION) != (plan.model.task == "regression"):
        measures = "mae, rmse or r2" if plan.model.task == "regression" else "accuracy, f1 and the like"
        yield (
            (*place, "metric"),
            f"`{dotted(place)}.metric` does not fit a {plan.model.task}: found {metric}, asked for is {measures}.",
        )


def _reachable(place: Place, metric: str, bound: Bound) -> Iterator[tuple[Place, str]]:
    wrong = "at_least" if metric in LOSSES else "at_most"
    if getattr(bound, wrong) is not None:
        right = "at_most" if metric in LOSSES else "at_least"
        better = "less" if metric in LOSSES else "more"
        yield (
            (*place, wrong),
            f"`{dotted(place)}.{wrong}` promises the wrong side: of {metric} {better} is better. Write `{right}`.",
        )
        return
    for side in ("at_least", "at_most"):
        limit = getattr(bound, side)
        if limit is None:
            continue
        low = -math.inf if metric == "r2" else 0.0
        high = math.inf if metric in UNBOUNDED and metric != "r2" else 1.0
        if not low <= limit <= high:
            allowed = "from 0 to 1" if metric not in UNBOUNDED else "at most 1" if metric == "r2" else "at least 0"
            yield (
                (*place, side),
                f"`{dotted(place)}.{side}` can never hold: {metric} is {allowed}; found {limit:g}."
                + (f" Did you mean {limit / 100:g}?" if 1 < limit <= 100 and metric not in UNBOUNDED else ""),
            )


def _twice(place: Place, names: Iterable[str]) -> Iterator[tuple[Place, str]]:
    seen: set[str] = set()
    for position, name in enumerate(names):
        if name in seen:
            yield (*place, position), f"`{dotted(place)}` names {name!r} twice; keep one of them."
        seen.add(name)


def _near(name: str, words: Iterable[str]) -> str:
    known = sorted(set(words))
    return nearest(name, known) if known else "There is nobody in `people` yet."
