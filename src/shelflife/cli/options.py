"""Options that several commands take, with the same words."""

from __future__ import annotations

from typing import Annotated

from shelflife.cli.frame import panel

data, roles, running = panel("Data"), panel("Roles of columns"), panel("Running")

Time = Annotated[str | None, data("Column of times; without it all rows are one bucket.")]
Exclude = Annotated[str | None, data("Columns that are not counted or compared, with commas.")]
Prediction = Annotated[str | None, roles("Column of what was predicted.")]
Score = Annotated[str | None, roles("Column of scores from 0 to 1, or one per class with commas.")]
Outcome = Annotated[str | None, roles("Column of what turned out true; may be missing where it is not known yet.")]
Text = Annotated[str | None, roles("Columns of free text, with commas, where it is not plain from their values.")]
Kinds = Annotated[
    str | None,
    roles("Kinds where values do not say them: zip=category,age=numeric; also boolean, text, time, vector."),
]
Task = Annotated[str | None, roles("classification or regression; inferred and said.")]
Jobs = Annotated[int | None, running("Workers at once; as many as there are cores.")]
