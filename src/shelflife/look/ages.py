"""The axis of ages: from birth to the oldest, in the unit people count in, with what each age rests on below it."""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt

from shelflife.look import marks, words
from shelflife.look.charts import colour, pixels, steps

# Ages are ticked in steps that people count in: quarters and years in weeks, weeks in days, days in hours.
_STEPS = {"week": (1, 2, 4, 8, 13, 26, 52, 104), "day": (1, 2, 7, 14, 28, 91, 182), "hour": (1, 2, 6, 12, 24, 48, 168)}


@dataclass(frozen=True)
class Ages:
    """Ages counted in `word`s of `size` days, `limit` of them long."""

    size: float
    word: str
    limit: float
    ticks: tuple[float, ...]

    @classmethod
    def until(cls, days: float, every: float, width: int) -> Ages:
        """The axis for ages up to `days`, measured in slices of `every` days, on `width` pixels."""
        size, word = words.unit(every)
        limit = days / size
        return cls(size, word, limit, tuple(steps(limit, width // 75, _STEPS.get(word, ()))))

    def x(self) -> alt.X:
        """The encoding of ``age``, counted in `word`s."""
        axis = alt.Axis(values=list(self.ticks), format=",.6~r", title=None)
        return alt.X("age:Q", axis=axis, scale=alt.Scale(domain=[0, self.limit], nice=False))

    def rows(self, name: str, counts: list[int], height: int) -> list[alt.Chart]:
        """The unit left of the ages and, below, how many of what is named there each age rests on."""
        counted = [{"age": tick, "text": f"{count:,}"} for tick, count in zip(self.ticks, counts, strict=True)]
        muted, x = colour("muted"), alt.X("age:Q", scale=alt.Scale(domain=[0, self.limit]))
        heads = ((f"{self.word}s old", height + 17.0), (name, height + 33.0))
        return [
            marks.text(counted, align="center", color=muted).encode(x=x, **pixels(y=height + 33)),
            *(
                marks.text([{"text": head}], align="right", color=muted).encode(**pixels(x=-18, y=y))
                for head, y in heads
            ),
        ]
