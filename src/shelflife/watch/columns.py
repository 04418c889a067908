"""One flat table of rows: what inputs, answers and truths are called where they are counted."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.compute import Expression

from shelflife.plan import Plan


@dataclass(frozen=True)
class Columns:
    """Names by which rows of a system are counted, and told to people.

    Attributes
    ----------
    inputs
        Each input and its kind.
    time, prediction, outcome
        Of the moment, the answer and the truth; the last is None where the plan names none.
    scores
        One, or one of each class.
    """

    inputs: dict[str, str]
    time: str
    prediction: str
    scores: tuple[str, ...]
    outcome: str | None

    @classmethod
    def of(cls, plan: Plan) -> Columns:
        """The columns of a plan's model; where two would have one name the later says what it is."""
        model = plan.model
        hidden = set(model.private)
        inputs: dict[str, str] = {name: "category" if name in hidden else kind for name, kind in model.inputs.items()}
        taken = set(inputs)

        def named(name: str, role: str) -> str:
            found = name if name not in taken else f"{name} ({role})"
            taken.add(found)
            return found

        outcome = None if model.outcome is None else named(model.outcome.name, "true")
        prediction = named(model.prediction, "predicted")
        scores = tuple(named(name, "score") for name in model.score)
        return cls(inputs, named("time", "of the row"), prediction, scores, outcome)

    def of_predictions(self, schema: pa.Schema) -> dict[str, Expression]:
        """Where each column but the outcome stands in a table of predictions; what is not there yet is missing."""
        found: dict[str, Expression] = {"id": pc.field("id"), self.time: pc.field("time")}
        inputs = schema.field("inputs").type
        have = {inputs.field(i).name for i in range(inputs.num_fields)}
        for name in self.inputs:
            found[name] = pc.field("inputs", name) if name in have else pc.scalar(None)
        found[self.prediction] = pc.field("prediction")
        if len(self.scores) == 1:
            found[self.scores[0]] = pc.field("score")
        for place, name in enumerate(self.scores if len(self.scores) > 1 else ()):
            found[name] = pc.field("score", schema.field("score").type.field(place).name)
        return found
